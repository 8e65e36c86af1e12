"""Tracks from hits."""
