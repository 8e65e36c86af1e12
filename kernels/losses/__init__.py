"""Comparison of hits and of charges with measured ones."""
