"""The page to play on, and the move server: HTTP on top of the engine. Knows no graph."""
