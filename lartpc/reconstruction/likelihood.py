"""The likelihood of tracks' hits, near their unknowns and the detector's parameters.

Each track is an event of its own, with its own hits: no pixel sees two tracks, and the Hessian has a block for each.

F_t(theta, eta_t) = sum of squared residuals/2 + rest (see `losses.likelihood`) + -log prior(eta_t)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.autodiff.tape import Tape
from lartpc.data.hits import Hits
from lartpc.gradients.segments import SegmentJacobian, SegmentRows
from lartpc.losses.likelihood import Compared, compare
from lartpc.losses.target import TargetHits
from lartpc.reconstruction.candidates import Measured
from lartpc.reconstruction.track import Track
from lartpc.simulation.batches import Batch
from lartpc.simulation.simulation import Simulation

TOGETHER = 64  # tracks that are simulated at once
PIECES = 9  # numbers of a segment, see `Track.jacobian`


class Near(NamedTuple):
    """F of one track near its unknowns eta (n,) and the parameters theta (p,); the prior is in all but `residual`."""

    value: float  # F
    residual: np.ndarray  # (m,) of the hits
    gradient: np.ndarray  # (n,) dF/d(eta)
    information: np.ndarray  # (n, n) the Gauss-Newton form of d2F/d(eta)2
    cross: np.ndarray  # (n, p) the same of d2F/d(eta)d(theta)
    gradient_theta: np.ndarray  # (p,)
    information_theta: np.ndarray  # (p, p)
    hits: int  # that are used
    missed: int  # hits on pixels that the track does not reach

    @property
    def goodness(self) -> float:
        """Mean square of the residuals."""
        return float(self.residual @ self.residual) / max(len(self.residual), 1)


class TrackLikelihood:
    """F of tracks, by the parameters at `slots` of the simulation's vector and by their own unknowns."""

    def __init__(
        self,
        simulation: Simulation,
        measured: Sequence[Measured],
        slots: Sequence[int],
        rounded: bool = False,
    ) -> None:
        self.simulation, self.slots, self.rounded = simulation, np.asarray(slots, dtype=np.int64), rounded
        self.measured = measured

    def target(self, rows: tuple[int, ...]) -> TargetHits:
        """The hits of tracks, each an event."""
        of_tracks = [self.measured[k] for k in rows]
        event = np.repeat(np.arange(len(rows)), [len(one.hits) for one in of_tracks])
        names = vars(of_tracks[0].hits)
        columns = {name: np.concatenate([getattr(one.hits, name) for one in of_tracks]) for name in names}
        masked = [np.stack((np.full(len(one.masked), k), one.masked), axis=1) for k, one in enumerate(of_tracks)]
        hits = Hits(**{**columns, "event_id": event})
        return TargetHits(hits, self.simulation.detector, self.rounded, np.concatenate(masked).astype(np.int64))

    def at(
        self, vector: np.ndarray, tracks: Sequence[Track], etas: Sequence[np.ndarray], rows: Sequence[int]
    ) -> list[Near]:
        """`Near` of tracks at their `etas`, whose hits are `rows` of those measured, at the chain's `vector`."""
        found: list[Near] = []
        for first in range(0, len(rows), TOGETHER):
            part = slice(first, first + TOGETHER)
            found += self.on(vector, tracks[part], etas[part], tuple(int(k) for k in rows[part]))
        return found

    def on(
        self, vector: np.ndarray, tracks: Sequence[Track], etas: Sequence[np.ndarray], rows: tuple[int, ...]
    ) -> list[Near]:
        simulation, tape = self.simulation, Tape()
        parts = [track.segments(eta) for track, eta in zip(tracks, etas, strict=True)]
        batch = batch_of(simulation, parts)
        values = simulation.xp.asarray(vector.astype(simulation.dtype))
        target = self.target(rows)
        compared = compare(simulation, target, batch, values, tape)
        first = np.cumsum([0] + [len(part[0]) for part in parts])
        rows_of = list(collect(compared, SegmentJacobian(tape, compared.waveforms, self.slots), first))
        lost, n_lost = missed(target, compared, simulation, len(tracks))
        event = to_numpy(compared.waveforms.windows.event)
        rest = np.bincount(event, compared.terms.rest_of_pixel, len(tracks)) + lost
        used = np.bincount(event, to_numpy(compared.target.count - compared.target.deferred), len(tracks))
        found = []
        for k, (track, eta) in enumerate(zip(tracks, etas, strict=True)):
            (residual, by_theta, by_segment), (_, rest_theta, rest_segment), (_, curved_theta, curved) = rows_of[k]
            by_eta = track.jacobian(eta).reshape(-1, len(eta))
            jacobian = by_segment @ by_eta
            # What counts in the information: the residuals, and how the rest curves.
            full, full_theta = np.concatenate((jacobian, curved @ by_eta)), np.concatenate((by_theta, curved_theta))
            prior, slope, curvature = track.prior(eta)
            found.append(
                Near(
                    value=0.5 * float(residual @ residual) + float(rest[k]) + prior,
                    residual=residual,
                    gradient=jacobian.T @ residual + rest_segment.sum(axis=0) @ by_eta + slope,
                    information=full.T @ full + np.diag(curvature),
                    cross=full.T @ full_theta,
                    gradient_theta=by_theta.T @ residual + rest_theta.sum(axis=0),
                    information_theta=full_theta.T @ full_theta,
                    hits=int(used[k]),
                    missed=int(n_lost[k]),
                )
            )
        return found


def batch_of(simulation: Simulation, parts: Sequence[tuple[np.ndarray, ...]]) -> Batch:
    """Start, end (n, 3), dE, dEdx, time (n,) of the segments of each track, which is an event."""
    start, end, dE, dEdx, t0 = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    tick = np.floor(t0 / simulation.detector.tick)
    event = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    kind = simulation.dtype
    columns = {
        "event": event,
        "event_id": np.arange(len(parts)),
        "start": start.astype(kind),
        "end": end.astype(kind),
        "dE": dE.astype(kind),
        "dEdx": dEdx.astype(kind),
        "tick": tick.astype(np.int64),
        "time": (t0 - tick * simulation.detector.tick).astype(kind),
        "place": np.arange(len(event)),
        "wanted": np.arange(len(simulation.detector.z_anode)),
    }
    return Batch(**{name: simulation.xp.asarray(column) for name, column in columns.items()})


class Rows:
    """Rows of derivatives of single pixels, to be told apart by the tracks that these are of.

    event (n_pixels,): the track of each pixel; segments first[k] to first[k + 1] are of track k.
    """

    def __init__(self, event: np.ndarray, first: np.ndarray) -> None:
        self.event, self.first, self.n = event, first, 0
        self.parts: list[tuple[np.ndarray, ...]] = []

    def add(self, chosen: np.ndarray, values: np.ndarray, found: tuple[np.ndarray, SegmentRows]) -> None:
        """Rows of the pixels `chosen`, which have the `values`, as `SegmentJacobian.of_seeds` found them."""
        theta, sparse = found
        self.parts.append((self.event[chosen], values, theta, sparse.row + self.n, sparse.segment, sparse.values))
        self.n += len(chosen)

    def of_tracks(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of each track the values (m,), and their derivatives by theta (m, p) and by the segments' numbers (m, 9 n)."""
        owner, values, theta, row, segment, numbers = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        tracks = np.arange(len(self.first))
        order, here = np.argsort(owner, kind="stable"), np.argsort(owner[row], kind="stable")
        cut, cut_here = (np.searchsorted(kept, tracks) for kept in (owner[order], owner[row][here]))
        place = np.empty(self.n, dtype=np.int64)
        place[order] = np.arange(self.n) - cut[owner[order]]
        found = []
        for k in range(len(tracks) - 1):
            own, sparse = order[cut[k] : cut[k + 1]], here[cut_here[k] : cut_here[k + 1]]
            by_segment = np.zeros((len(own), self.first[k + 1] - self.first[k], PIECES))
            by_segment[place[row[sparse]], segment[sparse] - self.first[k]] = numbers[sparse]
            found.append((values[own], theta[own], by_segment.reshape(len(own), PIECES * by_segment.shape[1])))
        return found


def collect(compared: Compared, of_pixels: SegmentJacobian, first: np.ndarray) -> Iterator[tuple[tuple, ...]]:
    """Of each track `Rows` of the residuals, of the rest, and of roots of the curvature of the rest."""
    event, terms = to_numpy(compared.waveforms.windows.event), compared.terms
    squares, rest, curved = (Rows(event, first) for _ in range(3))
    for chosen, values, seeds in terms.squares:
        squares.add(to_numpy(chosen), values, of_pixels.of_seeds(seeds, chosen))
    for rows, (chosen, seeds) in ((rest, terms.of_rest), *((curved, one) for one in terms.curved)):
        rows.add(to_numpy(chosen), np.zeros(len(chosen)), of_pixels.of_seeds(seeds, chosen))
    return zip(*(rows.of_tracks() for rows in (squares, rest, curved)), strict=True)


def missed(
    target: TargetHits, compared: Compared, simulation: Simulation, n_tracks: int
) -> tuple[np.ndarray, np.ndarray]:
    """What hits on pixels without any charge of the track add to F (n_tracks,), and their numbers (n_tracks,).

    It is what they would add with a charge that goes to 0, so that F does not jump where a pixel is reached.
    """
    detector, windows = simulation.detector, compared.waveforms.windows
    n_pixels = detector.n_pixels
    seen = to_numpy(windows.event) * n_pixels + to_numpy(windows.pixel)
    lost = ~np.isin(target.event * n_pixels + target.pixel, seen)
    event, pixel, charge = target.event[lost], target.pixel[lost], target.charge[lost]
    threshold = detector.of_pixels("threshold", pixel)
    r, u = threshold / detector.reset_noise, (charge - threshold) / detector.uncorrelated_noise
    return np.bincount(event, 0.5 * (r**2 + u**2), n_tracks), np.bincount(event, minlength=n_tracks)
