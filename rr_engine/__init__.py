"""RingRift without the graph: rules, search, learning, arena and vault. Knows no Dagster and runs alone."""
