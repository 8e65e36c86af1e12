"""Tracks from hits, and the detector's parameters from tracks that nobody has measured otherwise."""
