"""Where the unknowns of a track are; see `track`."""

SLOPES, LENGTH, TIME, RHO = slice(3, 5), 5, 6, 7  # after x, y, z
FIRST = 8  # unknowns before the kinks
