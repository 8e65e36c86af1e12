"""Adjoints of the kernels of `pixels`, and rows of Jacobians."""
