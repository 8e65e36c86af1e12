"""Adjoints of the kernels of `response`."""
