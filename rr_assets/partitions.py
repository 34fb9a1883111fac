"""The partitions of the loop: one per config. Generations are metadata, never a second dimension."""

import dagster as dg

from rr_engine.boards import CONFIGS

CONFIG_PARTITIONS = dg.StaticPartitionsDefinition([config.key for config in CONFIGS])
