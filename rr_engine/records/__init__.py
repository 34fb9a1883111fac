"""Games on disk: the trace format, and Parquet shards of played games."""
