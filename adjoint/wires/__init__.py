"""Adjoints of the kernels of `wires`."""
