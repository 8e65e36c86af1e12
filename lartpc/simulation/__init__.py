"""The chain of all stages, on batches of events."""
