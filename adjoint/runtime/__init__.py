"""Adjoints of the kernels of `runtime`."""
