"""Bytes: HDF5, YAML, npz, complete output. Knows no physics."""
