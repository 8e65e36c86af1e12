"""Tracks of particles so fast that they lose nearly the same wherever they are."""

from __future__ import annotations

import numpy as np

from lartpc.generator.stopping import range_table
from lartpc.reconstruction.layout import LENGTH, RHO
from lartpc.reconstruction.track import Track


class FastTrack(Track):
    """As `Track`, but what its losses tell is not a residual range: a factor of all of them is unknown instead.

    mean_k(rho) = exp(rho/R - 1) mean_k(R), R the centre of rho's prior, whose width over R is that of the factor. The
    loss of a fast muon is flat in its range, so that this would follow from the loss by no linear model; the factor
    does.
    """

    def mean_losses(self, eta) -> tuple[np.ndarray, np.ndarray]:
        """As of `Track`."""
        typical = self.rho.centre
        factor = np.exp(eta[RHO] / typical - 1)
        ranges = (typical + eta[LENGTH] * self.fractions) * self.density
        kinetic, slope = range_table(self.particle.mass).kinetic_and_slope(ranges)
        mean = factor * np.diff(kinetic)
        by_length = factor * self.density * np.diff(slope * self.fractions)
        return mean, np.stack([by_length, mean / typical], axis=1)
