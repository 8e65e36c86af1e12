"""What all kernels share: the launcher, slots of the parameters, random numbers, special functions."""
