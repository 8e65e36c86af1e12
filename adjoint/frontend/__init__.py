"""Adjoints of the kernels of `frontend`."""
