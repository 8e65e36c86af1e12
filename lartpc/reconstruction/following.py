"""Tracks along given points: least squares of nodes with the kinks' prior."""

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.reconstruction.layout import FIRST, LENGTH, RHO, SLOPES, TIME


def slopes_of(chords, frame):
    """Slopes (n, 2) of directions (n, 3) in a frame; of those that turn by over 84 degrees, as if they had 84."""
    ahead, across = chords @ frame[0], chords @ frame[1:].T
    return across / np.maximum(ahead, 0.1 * np.linalg.norm(chords, axis=1))[:, None]


@one_blas_thread
def follow(track, nodes, accuracy):
    """Unknowns whose nodes come near to the given ones, (n + 1, 3) [cm]; g is 0, t0 and rho are their centres.

    Least of sum |p_k - nodes_k|^2/(2 accuracy^2) + sum alpha^2/2 by Gauss-Newton from the chords' directions, with
    halved steps where a whole one does not descend.
    """
    chords = np.diff(nodes, axis=0)
    slopes = slopes_of(chords, track.frame)
    ends = FIRST + 2 * (track.steps - 1)
    eta = np.zeros(track.size)
    eta[:3], eta[SLOPES], eta[LENGTH] = nodes[0], slopes[0], np.sum(np.linalg.norm(chords, axis=1))
    eta[TIME], eta[RHO] = track.t0.centre, track.rho.centre
    eta[FIRST:ends] = (np.diff(slopes, axis=0) / track.kinks[:, None]).ravel()
    moved = np.r_[:6, FIRST:ends]
    prior = np.where(np.arange(ends) < FIRST, 0.0, 1.0)[moved]

    def value(eta):
        off = track.nodes(eta) - nodes
        return np.sum(off**2) / (2 * accuracy**2) + np.sum(eta[moved] ** 2 * prior) / 2

    for _ in range(20):
        residual = (track.nodes(eta) - nodes).ravel() / accuracy
        rows = track.nodes_jacobian(eta)[:, :, moved].reshape(len(residual), -1) / accuracy
        gradient = rows.T @ residual + prior * eta[moved]
        change = -np.linalg.solve(rows.T @ rows + np.diag(prior), gradient)
        before, size = value(eta), 1.0
        while size > 1e-3:
            new = eta.copy()
            new[moved] += size * change
            if new[LENGTH] > 0 and value(new) <= before:
                eta = new
                break
            size /= 2
        if size <= 1e-3 or -gradient @ change < 1e-6:
            break
    return eta
