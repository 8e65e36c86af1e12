"""Gradients and Jacobians of the chain, and their check."""
