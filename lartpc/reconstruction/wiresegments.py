"""Charge and place of short segments from the waveforms of wires, without a model of a track.

Unknowns of each segment: x, y, z of its middle [cm] and log(dE). From points in space where wires cross, see
`wireseeds`, and chains of pieces along them, see `wirechains`, Gauss-Newton on the likelihood of the waveforms. Errors
are those of its information, with a prior: places are within PLACE of where they begin, energies within a factor
exp(LOG), and pieces of a chain follow each other, with gaps that are within GAP of none. Where along its chain charge
is cut into pieces data hardly tell: without the latter all pieces of a chain move along it by millimetres.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.exceptions import InputError
from lartpc.goodness.waveforms import is_noise
from lartpc.losses.linear import Normal
from lartpc.losses.waveforms import NoiseWeights
from lartpc.reconstruction.wirechains import Pieces, pieces_of
from lartpc.reconstruction.wiremodel import Change, Read, normal, seen
from lartpc.reconstruction.wireseeds import points_of
from lartpc.simulation.wires import WireSimulation

LENGTH = 1.0  # [cm] of a segment: shorter ones have charge and place that wires of 3 mm do not tell apart
DEDX = 2.1  # [MeV/cm] of recombination: of what ionises least
PLACE, LOG, GAP = 1.0, 2.0, 0.01  # [cm], 1, [cm]: widths of the prior
STEP = 0.02  # [cm] of central differences
BLURS = (2.0, 2.0)  # [us] of the first steps, while places are off by as much as pulses are wide
MOST = 12  # steps by the likelihood
LARGEST_EVENT = 400  # segments: matrices are dense
SMALL = 0.05  # of an error: the step after which there is no more to do
LARGEST = np.array([0.2, 0.2, 0.2, 0.5])  # of a step


class SegmentsFit(NamedTuple):
    """Fitted segments (n,); unknowns of each are x, y, z [cm] and log(dE)."""

    pieces: Pieces
    errors: np.ndarray  # (n, 4)
    covariance: np.ndarray  # (4 n, 4 n), segment by segment
    mean_square: float  # of the residuals over their noise, of `samples`
    samples: int
    converged: bool

    @property
    def good(self) -> bool:
        """Whether it converged and the residuals are as the noise has them."""
        return self.converged and is_noise(self.mean_square, self.samples)


@one_blas_thread
def segments_from_waveforms(
    simulation: WireSimulation,
    read: Read,
    event_id: int,
    start: Pieces | None = None,
    *,
    length: float = LENGTH,
    dEdx: float = DEDX,
    t0: float = 0.0,
) -> SegmentsFit:
    """Fit segments of `length` [cm] to what channels read of an event, whose charge is all of the time t0 [us].

    `read` as of `track_from_waveforms`; `start`: of the fit, else from `points_of`. Segments lie along the line through
    their neighbours in their chain. All recombine as at `dEdx` [MeV/cm]; dE follows from the charge with that.

    Raises InputError: no chain of points, more than 400 segments, `length` or `dEdx` not above 0. Raises
    FloatingPointError where nothing is finite any more.
    """
    if start is None:
        start = pieces_in(simulation, read, event_id, length=length, dEdx=dEdx, t0=t0)
    n = len(start.dE)
    if not 0 < n <= LARGEST_EVENT:
        found = f"charge for {n} segments" if n else "no charge on wires that cross"
        raise InputError(f"event {event_id}: found {found}, allowed are 1 to {LARGEST_EVENT} segments")
    weights, pieces, prior = NoiseWeights(simulation.detector, simulation.dtype), start, start
    for blur in BLURS:
        step, _ = newton(linearized(simulation, read, event_id, weights, pieces, prior, blur))
        pieces = pieces.moved(np.clip(step.reshape(-1, 4), -LARGEST, LARGEST)).turned()
    for k in range(MOST + 1):
        at = linearized(simulation, read, event_id, weights, pieces, prior)
        step, covariance = newton(at)
        errors = np.sqrt(np.diag(covariance))
        converged = bool((np.abs(step) < SMALL * errors).all())
        if converged or k == MOST:
            break
        pieces = pieces.moved(np.clip(step.reshape(-1, 4), -LARGEST, LARGEST)).turned()
    return SegmentsFit(pieces, errors.reshape(-1, 4), covariance, at.mean_square, at.residuals, converged)


def pieces_in(
    simulation: WireSimulation,
    read: Read,
    event_id: int,
    *,
    length: float = LENGTH,
    dEdx: float = DEDX,
    t0: float = 0.0,
) -> Pieces:
    """Where a fit begins; there may be none. Arguments and InputError as of `segments_from_waveforms`."""
    for name, value, unit in (("length", length, "cm"), ("dEdx", dEdx, "MeV/cm")):
        if not 0 < value < np.inf:
            raise InputError(f"{name}: found {value:g} {unit}, allowed is above 0")
    pitch = float(simulation.detector.planes.pitch.max())
    return pieces_of(points_of(simulation, read, event_id, t0), pitch, length, dEdx, t0)


def linearized(
    simulation: WireSimulation,
    read: Read,
    event_id: int,
    weights: NoiseWeights,
    pieces: Pieces,
    prior: Pieces,
    blur: float = 0.0,
) -> Normal:
    """-log likelihood with the prior about `prior`, gradient and information by all unknowns, near `pieces`."""
    sources, n = pieces.sources(), len(pieces.dE)
    changes = [Change(sources.moved(h, h), sources.moved(-h, -h), 2.0 * STEP) for h in STEP * np.eye(3)]
    at = normal(weights, seen(simulation, read, event_id, sources, changes, scaled=True), n, blur)
    width = np.tile([PLACE, PLACE, PLACE, LOG], n)
    off = np.column_stack((pieces.middle - prior.middle, np.log(pieces.dE / prior.dE))).reshape(-1) / width
    gap, by_unknown = _gaps(pieces)
    return at._replace(
        value=at.value + 0.5 * float(off @ off + gap @ gap),
        gradient=at.gradient + off / width + by_unknown.T @ gap,
        information=at.information + np.diag(1.0 / width**2) + by_unknown.T @ by_unknown,
    )


def _gaps(pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Gaps between neighbours of a chain over their width (m,), and derivatives by all unknowns (m, 4 n)."""
    n = len(pieces.dE)
    first = np.flatnonzero(pieces.chain[1:] == pieces.chain[:-1])
    along = pieces.direction[first] + pieces.direction[first + 1]
    along /= np.linalg.norm(along, axis=1)[:, None]
    gap = np.sum((pieces.middle[first + 1] - pieces.middle[first]) * along, axis=1) - pieces.length
    by_unknown = np.zeros((len(first), n, 4))
    rows = np.arange(len(first))
    by_unknown[rows, first, :3] = -along / GAP
    by_unknown[rows, first + 1, :3] = along / GAP
    return gap / GAP, by_unknown.reshape(len(first), 4 * n)


def newton(at: Normal) -> tuple[np.ndarray, np.ndarray]:
    """The Gauss-Newton step (n,), and the inverse information (n, n)."""
    if not np.isfinite(at.value):
        raise FloatingPointError("segments from waveforms: the likelihood is not finite")
    covariance = np.linalg.inv(at.information)
    return -covariance @ at.gradient, covariance
