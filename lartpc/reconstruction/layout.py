"""Where the unknowns of a track are; see `track`."""

Z, SLOPES, LENGTH, TIME, RHO = 2, slice(3, 5), 5, 6, 7  # after x, y
FIRST = 8  # unknowns before the kinks
