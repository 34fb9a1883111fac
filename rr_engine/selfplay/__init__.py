"""Self-play: making games (`play`), and deciding how many of which kind (`plan`, `curriculum`)."""
