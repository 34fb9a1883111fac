"""Games made visible. Knows nothing of who plays them."""
