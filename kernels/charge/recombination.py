"""The models of recombination that `quench` knows, by number. Needs no Numba, so that a command line may read it."""

BIRKS = 0
BOX = 1
ELLIPSOID = 2
