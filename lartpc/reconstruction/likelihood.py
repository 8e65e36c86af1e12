"""The likelihood of tracks' hits, near their unknowns and the detector's parameters.

Each track is an event of its own, with its own hits: no pixel sees two tracks, and the Hessian has a block for each.

F_t(theta, eta_t) = sum of squared residuals/2 + rest (see `losses.likelihood`) + -log prior(eta_t)
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.autodiff.tape import Tape
from lartpc.data.hits import Hits
from lartpc.gradients.segments import SegmentJacobian, SegmentRows
from lartpc.losses.likelihood import Compared, compare
from lartpc.losses.target import TargetHits
from lartpc.reconstruction.candidates import Measured
from lartpc.reconstruction.layout import TIME
from lartpc.reconstruction.track import Track
from lartpc.reconstruction.workers import Workers, processes_for, shares
from lartpc.simulation.batches import Batch
from lartpc.simulation.simulation import Simulation

TOGETHER = 64  # tracks that are simulated at once
ANYWHERE = 1e-8  # of a track's metric: that it is within 10 m, should no hit say where
FREEDOM = 10.0  # nu of Student's t
PIECES = 9  # numbers of a segment, see `Track.jacobian`


class OfTime(NamedTuple):
    """Derivatives of F of one track by its time, where that is fixed, without any prior of it."""

    gradient: float
    information: float
    by_eta: np.ndarray  # (n,), 0 at the time itself
    by_theta: np.ndarray  # (p,)


class Near(NamedTuple):
    """F of one track near its unknowns eta (n,) and the parameters theta (p,); the prior is in all but `residual`.

    By a time that is fixed the gradient is 0, and the information that of no other unknown.
    """

    value: float  # F
    residual: np.ndarray  # (m,) of the hits
    gradient: np.ndarray  # (n,) dF/d(eta)
    information: np.ndarray  # (n, n) the Gauss-Newton form of d2F/d(eta)2
    cross: np.ndarray  # (n, p) the same of d2F/d(eta)d(theta)
    gradient_theta: np.ndarray  # (p,)
    information_theta: np.ndarray  # (p, p)
    hits: int  # that are used
    missed: int  # hits on pixels that the track does not reach
    jacobian: np.ndarray  # (m, n) d(residual)/d(eta)
    jacobian_theta: np.ndarray  # (m, p) d(residual)/d(theta)
    of_time: OfTime | None = None  # where that is fixed

    @property
    def squares(self) -> float:
        """Sum of the squared residuals."""
        return float(self.residual @ self.residual)

    @property
    def expected(self) -> float:
        """Of this sum, of which the track takes a part."""
        return expected_squares(self.jacobian, self.information)

    @property
    def goodness(self) -> float:
        """The same over what is expected: about 1 of a track that the model describes."""
        return self.squares / max(self.expected, 1.0)


class TrackLikelihood:
    """F of tracks, by the parameters at `slots` of the simulation's vector and by their own unknowns."""

    def __init__(
        self,
        simulation: Simulation,
        measured: Sequence[Measured],
        slots: Sequence[int],
        rounded: bool = False,
    ) -> None:
        self.simulation, self.rounded = simulation, rounded
        self.slots: Any = np.asarray(slots, dtype=np.int64)
        self.measured = measured
        self.workers: Workers | None = None

    def target(self, rows: tuple[int, ...]) -> TargetHits:
        """The hits of tracks, each an event."""
        of_tracks = [self.measured[k] for k in rows]
        masked = [np.stack((np.full(len(one.masked), k), one.masked), axis=1) for k, one in enumerate(of_tracks)]
        hits = as_events([one.hits for one in of_tracks])
        return TargetHits(hits, self.simulation.detector, self.rounded, np.concatenate(masked).astype(np.int64))

    def at(
        self, vector: np.ndarray, tracks: Sequence[Track], etas: Sequence[np.ndarray], rows: Sequence[int]
    ) -> list[Near]:
        """`Near` of tracks at their `etas`, whose hits are `rows` of those measured, at the chain's `vector`."""
        n = processes_for(len(rows)) if self.simulation.xp is np else 1
        if n == 1:
            return self.here(vector, tracks, etas, rows)
        if self.workers is None or len(self.workers.pipes) < n - 1:
            self.workers = Workers(functools.partial(TrackLikelihood.here, weakref.proxy(self)), n - 1)
        parts = shares([len(eta) for eta in etas], n)
        tasks = [(vector, *([of[k] for k in part] for of in (tracks, etas, rows))) for part in parts]
        found: dict[int, Near] = {}
        for part, answer in zip(parts, self.workers.answers(tasks), strict=True):
            found |= dict(zip(part.tolist(), answer, strict=True))
        return [found[k] for k in range(len(rows))]

    def here(
        self, vector: np.ndarray, tracks: Sequence[Track], etas: Sequence[np.ndarray], rows: Sequence[int]
    ) -> list[Near]:
        """The same in this process."""
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
        broad = np.array([self.measured[k].broad for k in rows])
        squares, rest_rows, curved_rows, over = collect(
            compared, SegmentJacobian(tape, compared.waveforms, self.slots), first, broad
        )
        rows_of = list(zip(squares, rest_rows, curved_rows, strict=True))
        lost, n_lost = missed(target, compared, simulation, broad)
        event = to_numpy(compared.waveforms.windows.event)
        rest = np.bincount(event, compared.terms.rest_of_pixel, len(tracks)) + lost + over
        used = np.bincount(event, to_numpy(compared.target.count - compared.target.deferred), len(tracks))
        found = []
        for k, (track, eta) in enumerate(zip(tracks, etas, strict=True)):
            (residual, by_theta, by_segment), (_, rest_theta, rest_segment), (_, curved_theta, curved) = rows_of[k]
            by_eta = track.jacobian(eta).reshape(-1, len(eta))
            # What counts in the information: the residuals, and how the rest curves.
            m = len(residual)
            full, full_theta = np.concatenate((by_segment, curved)) @ by_eta, np.concatenate((by_theta, curved_theta))
            rest_eta = rest_segment.sum(axis=0) @ by_eta
            of_time = fixed_time(full, full_theta, residual, rest_eta) if track.t0.width == 0.0 else None
            jacobian = full[:m]
            prior, slope, curvature = track.prior(eta)
            information = full.T @ full + np.diag(curvature + ANYWHERE * track.metric())
            found.append(
                Near(
                    value=0.5 * float(residual @ residual) + float(rest[k]) + prior,
                    residual=residual,
                    gradient=jacobian.T @ residual + rest_eta + slope,
                    information=information,
                    cross=full.T @ full_theta,
                    gradient_theta=by_theta.T @ residual + rest_theta.sum(axis=0),
                    information_theta=full_theta.T @ full_theta,
                    hits=int(used[k]),
                    missed=int(n_lost[k]),
                    jacobian=jacobian,
                    jacobian_theta=by_theta,
                    of_time=of_time,
                )
            )
        return found


def fixed_time(full: np.ndarray, full_theta: np.ndarray, residual: np.ndarray, rest: np.ndarray) -> OfTime:
    """Take the derivatives by the time out of `full` (m + k, n) and `rest` (n,), those of the residuals being first."""
    column, slope = full[:, TIME].copy(), float(rest[TIME])
    full[:, TIME] = rest[TIME] = 0.0
    gradient = float(column[: len(residual)] @ residual) + slope
    return OfTime(gradient, float(column @ column), full.T @ column, full_theta.T @ column)


def expected_squares(jacobian: np.ndarray, information: np.ndarray) -> float:
    """Expected sum of m squared residuals whose `jacobian` by unknowns with a prior is (m, n), at the minimum.

    With P the curvature of the prior the data have the covariance V = 1 + J P^-1 J^T, residuals are V^-1 of the data,
    and their squares sum to tr V^-1 = m - tr(J H^-1 J^T), H = J^T J + P.
    """
    return len(jacobian) - float(np.sum(jacobian * np.linalg.solve(information, jacobian.T).T))


def as_events(parts: Sequence[Hits]) -> Hits:
    """The hits of tracks, or of what else is apart, each as an event, from 0."""
    columns = {name: np.concatenate([getattr(one, name) for one in parts]) for name in vars(parts[0])}
    return Hits(**{**columns, "event_id": np.repeat(np.arange(len(parts)), [len(one) for one in parts])})


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

    def __init__(self, event: np.ndarray, first: np.ndarray, n_theta: int) -> None:
        self.event, self.first, self.n = event, first, 0
        none, index = np.zeros(0), np.zeros(0, dtype=np.int64)
        self.parts = [(index, none, np.zeros((0, n_theta)), index, index, np.zeros((0, PIECES)))]

    def add(self, chosen: np.ndarray, values: np.ndarray, found: tuple[np.ndarray, SegmentRows]) -> None:
        """Rows of the pixels `chosen`, which have the `values`, as `SegmentJacobian.of_seeds` found them."""
        theta, sparse = found
        self.parts.append((self.event[chosen], values, theta, sparse.row + self.n, sparse.segment, sparse.values))
        self.n += len(chosen)

    def of_tracks(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of each track values (m,), and their derivatives by theta (m, p) and the segments' numbers (m, 9 n)."""
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


def collect(
    compared: Compared, of_pixels: SegmentJacobian, first: np.ndarray, broad: np.ndarray
) -> tuple[list[tuple], list[tuple], list[tuple], np.ndarray]:
    """Of each track `Rows` of the residuals, of the rest, and of roots of the curvature of the rest.

    The two residuals r and u of a hit of a track that is `broad` (n_tracks,) are distributed by Student's t,
    -log p = (nu + 2)/2 log(1 + x/nu), x = r^2 + u^2: rows and values with the weight (nu + 2)/(nu + x), and what
    -log p is more than half the square of these, (n_tracks,).
    """
    event, terms = to_numpy(compared.waveforms.windows.event), compared.terms
    n_theta = len(of_pixels.of_parameters.slots)
    squares, rest, curved = (Rows(event, first, n_theta) for _ in range(3))
    over, residuals = np.zeros(len(broad)), iter(terms.squares)
    for both in zip(residuals, residuals, strict=True):
        chosen = both[0][0]
        square = both[0][1] ** 2 + both[1][1] ** 2
        far = broad[event[chosen]]
        weight = np.where(far, (FREEDOM + 2) / (FREEDOM + square), 1.0)
        value = np.where(far, (FREEDOM + 2) * np.log1p(square / FREEDOM), square)
        over += np.bincount(event[chosen], 0.5 * (value - weight * square), len(broad))
        root = np.sqrt(weight)
        for own, values, seeds in both:
            theta, sparse = of_pixels.of_seeds(seeds, own)
            sparse = sparse._replace(values=sparse.values * root[sparse.row][:, None])
            squares.add(chosen, values * root, (theta * root[:, None], sparse))
    for rows, (chosen, seeds) in ((rest, terms.of_rest), *((curved, one) for one in terms.curved)):
        rows.add(chosen, np.zeros(len(chosen)), of_pixels.of_seeds(seeds, chosen))
    return squares.of_tracks(), rest.of_tracks(), curved.of_tracks(), over


def missed(
    target: TargetHits, compared: Compared, simulation: Simulation, broad: np.ndarray
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
    value = np.where(broad[event], (FREEDOM + 2) * np.log1p((r**2 + u**2) / FREEDOM), r**2 + u**2)
    return np.bincount(event, 0.5 * value, len(broad)), np.bincount(event, minlength=len(broad))
