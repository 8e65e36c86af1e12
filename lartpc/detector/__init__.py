"""The detector: geometry, electronics, channels, and the files that describe it."""
