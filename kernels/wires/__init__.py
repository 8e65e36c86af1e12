"""Kernels of wires: from clouds to what drives the waveforms of a response on the wires of a plane."""
