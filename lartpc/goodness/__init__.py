"""Whether a model describes a target, and where it does not."""
