"""Adjoints of the kernels of `losses`."""
