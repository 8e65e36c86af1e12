"""A straight track from the waveforms of wires: where its middle is, where it goes, and what charge it leaves.

Gauss-Newton from starts that are tens of wires off: pulses that are apart by more than their width do not see each
other, so that stages of blurred waveforms come first, see `wireblur`, each with what its blur can tell. The last is the
likelihood of the waveforms, of which the errors are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.goodness.waveforms import is_noise
from lartpc.losses.linear import Normal
from lartpc.losses.waveforms import NoiseWeights
from lartpc.reconstruction.polyline import frame_along
from lartpc.reconstruction.wireblur import blurred_normal
from lartpc.reconstruction.wiremodel import Change, Read, Sources, normal, seen
from lartpc.simulation.wires import WireSimulation

MIDDLE, ANGLES, SCALE = slice(0, 3), slice(3, 5), 5  # of the unknowns
PLACE, TURN = 3, 5  # unknowns, the first of all, that are free: the middle, and the angles, too
ALL = 6
SCHEDULE = (
    (80.0, PLACE),
    (60.0, PLACE),
    (40.0, TURN),
    (25.0, TURN),
    *((sigma, ALL) for sigma in (12.0, 12.0, 6.0, 6.0, 3.0, 3.0, 1.5, 1.5)),
)  # blur in wires, and what is free
MOST = 8  # steps by the likelihood
SMALL = 0.1  # of an error: the step after which there is no more to do
STEP = 0.02  # [cm] of central differences, that of an angle moves the ends by as much
LARGEST_TURN, LARGEST_SCALE = 0.15, 0.3


class Line(NamedTuple):
    """A straight track, in the simulation frame: z is the drift axis."""

    middle: np.ndarray  # (3,) [cm]
    direction: np.ndarray  # (3,), of length 1
    length: float  # [cm]
    dE: float  # [MeV]
    dEdx: float  # [MeV/cm], by which it recombines
    t0: float = 0.0  # [us]

    def moved(self, change: np.ndarray) -> Line:
        """By the middle [cm], two angles in the frame along the direction [rad] and log(dE): (6,)."""
        _, u, v = frame_along(self.direction)
        turned = self.direction + change[3] * u + change[4] * v
        return self._replace(
            middle=self.middle + change[MIDDLE],
            direction=turned / np.linalg.norm(turned),
            dE=self.dE * float(np.exp(change[SCALE])),
        )

    def source(self) -> Sources:
        """As a deposit."""
        half = 0.5 * self.length * self.direction
        ends = (self.middle - half)[None], (self.middle + half)[None]
        return Sources(*ends, np.array([self.dE]), np.array([self.dEdx]), self.t0)

    def changes(self) -> list[Change]:
        """By the middle and the angles."""
        step = np.diag(np.append(np.full(3, STEP), np.full(2, 2.0 * STEP / self.length)))
        step = np.concatenate((step, np.zeros((5, 1))), axis=1)
        return [Change(self.moved(h).source(), self.moved(-h).source(), 2.0 * float(h.sum())) for h in step]


class TrackFit(NamedTuple):
    """A fitted track; unknowns are x, y, z of the middle [cm], two angles [rad] and log(dE), as of `Line.moved`."""

    line: Line
    errors: np.ndarray  # (6,)
    covariance: np.ndarray  # (6, 6), the inverse information of the likelihood
    mean_square: float  # of the residuals over their noise, of `samples`
    samples: int
    converged: bool

    @property
    def good(self) -> bool:
        """Whether it converged and the residuals are as the noise has them."""
        return self.converged and is_noise(self.mean_square, self.samples)


@one_blas_thread
def track_from_waveforms(
    simulation: WireSimulation,
    read: Read,
    event_id: int,
    start: Line,
    schedule: tuple[tuple[float, int], ...] = SCHEDULE,
) -> TrackFit:
    """Fit a straight track to what channels read, from `start`, whose length, dE/dx and time are taken as they are.

    `read(event_id, channel, start, ticks)`: (ticks,) [mV] above the baseline, None where there are none to use, as
    `FrameTarget.read` has them. `schedule`: blur in wires and number of unknowns that are free, of each step before
    those by the likelihood; the blur should exceed what the start is off.

    Raises InputError where the track gives no signal where data are read. Raises FloatingPointError where nothing is
    finite any more.
    """
    line = start
    pitch = float(simulation.detector.planes.pitch.max())
    for sigma, free in schedule:
        at = blurred_normal(simulation, read, event_id, line.source(), line.changes(), sigma)
        widest = np.concatenate((np.full(3, sigma * pitch), np.full(2, LARGEST_TURN), [LARGEST_SCALE]))
        line = line.moved(np.clip(_newton(at, free), -widest, widest))
    weights = NoiseWeights(simulation.detector, simulation.dtype)
    for k in range(MOST + 1):
        found = seen(simulation, read, event_id, line.source(), line.changes(), scaled=True)
        at = normal(weights, found, 1)
        step, covariance = _newton(at, ALL), np.linalg.pinv(at.information)
        errors = np.sqrt(np.diag(covariance))
        converged = bool((np.abs(step) < SMALL * errors).all())
        if converged or k == MOST:
            break
        widest = np.concatenate((np.full(3, 2.0 * pitch), np.full(2, LARGEST_TURN), [LARGEST_SCALE]))
        line = line.moved(np.clip(step, -widest, widest))
    return TrackFit(line, errors, covariance, at.mean_square, at.residuals, converged)


def _newton(at: Normal, free: int) -> np.ndarray:
    """The Gauss-Newton step (6,) with the first unknowns `free`."""
    if not np.isfinite(at.value):
        raise FloatingPointError("a track from waveforms: the likelihood is not finite")
    step = np.zeros(ALL)
    scale = np.sqrt(np.maximum(np.diag(at.information)[:free], np.finfo(np.float64).tiny))
    scaled = at.information[:free, :free] / np.outer(scale, scale)
    step[:free] = np.linalg.lstsq(scaled, -at.gradient[:free] / scale, rcond=1e-10)[0] / scale
    return step
