"""Measuring what takes seconds: the rules (`engine`), self-play (`selfplay`) and training (`training`)."""
