"""Adjoints of the kernels of `charge`."""
