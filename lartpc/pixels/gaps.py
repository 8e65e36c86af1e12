"""Electrostatics of square pads with gaps between them: weighting potential, and drift along the field to the pads.

The pads are at their potentials, and no field line enters the gaps: for the weighting potential, as a board at least as
thick as a gap is wide makes it even in z, whatever its permittivity; for the drift, as an insulator charges up until
all electrons end on pads. A potential in the plane of cosines in x and y of wave number k falls over it as
sinh(k (height - z))/sinh(k height), below a grounded plane at `height`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.fft import dctn, idctn
from scipy.integrate import solve_ivp
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import map_coordinates, spline_filter

from lartpc.blas import one_blas_thread
from lartpc.exceptions import InputError
from lartpc.pixels.electrostatics import weighting_potential

PAD_SIZE = (0.2, 0.95)  # of the pitch, between which a pad with gaps must be
POINTS = (32, 44)  # a pitch, least and most, for the weighting potential
FINE_POINTS = (140, 200)  # of it near the pad
NEAR = 1.5  # pitches from the pad's centre
DRIFT_POINTS = (160, 240)  # for the drift
EDGE = (
    0.184  # of a point's distance from the next one: by so much pads of whole points act as smaller ones on each side
)
BEYOND = 4  # pixels around those asked for, after which the plane repeats
TOLERANCE = 1e-10  # of the surface's potential
GROWTH = 1.1  # of the distance between levels at which the potential is tabulated, from one to the next, at most
UNIFORM = 2.0  # pitches over the pads, from where on the field is uniform to 1e-5
LOWEST = 1e-5  # pitches over the pads, where electrons have arrived
STEPS = 500  # of a path, in the logarithm of the height
PRECISION = 1e-6  # of a path [cm, us]
MARGIN = 8  # points beyond the axes, mirrored, so that splines know of the symmetry


class Surface(NamedTuple):
    """A potential in the plane of the pads, symmetric in x and y and about its ends, where it repeats mirrored."""

    k: np.ndarray  # (n,) wave numbers [1/cm]
    x: np.ndarray  # (n,) places of its points [cm], along both axes
    potential: np.ndarray  # (n, n)


def surface(pitch: float, pad_size: float, height: float, half: float, points: tuple[int, int], own: bool) -> Surface:
    """The potential in the plane, up to `half` pitches from a pad's centre, of that pad at 1 or of all (`own` False).

    0 on other pads; in the gaps such that their charge, k coth(k height) times the potential, is 0: by conjugate
    gradients, preconditioned with the inverse for a plane without pads. All lengths [cm].
    """
    of_pad = {n: n * pad_size / (2.0 * pitch) + EDGE for n in range(points[0], points[1] + 1, 2)}
    per_pitch = min(of_pad, key=lambda n: abs(of_pad[n] - round(of_pad[n])) / n)
    n = round(half * per_pitch)
    x, k = (np.arange(n) + 0.5) * pitch / per_pitch, np.pi * np.arange(n) / (half * pitch)
    from_pad = np.abs(np.arange(n) + 0.5 - per_pitch * np.round((np.arange(n) + 0.5) / per_pitch))
    pad = np.logical_and.outer(*[from_pad < round(of_pad[per_pitch])] * 2)
    charge = _charge(np.hypot(k[:, None], k), height)
    fixed = pad & np.logical_and.outer(*[x < 0.5 * pitch] * 2) if own else pad

    def times(factor: np.ndarray, potential: np.ndarray) -> np.ndarray:
        return np.where(pad, 0.0, idctn(factor * dctn(potential, norm="ortho"), norm="ortho"))

    potential = fixed.astype(np.float64)
    rest = -times(charge, potential)
    corrected = times(1.0 / charge, rest)
    along, size = corrected, float(np.sum(rest * corrected))
    least = TOLERANCE**2 * size
    while size > least:
        by = times(charge, along)
        length = size / float(np.sum(along * by))
        potential += length * along
        rest -= length * by
        corrected = times(1.0 / charge, rest)
        before, size = size, float(np.sum(rest * corrected))
        along = corrected + size / before * along
    return Surface(k, x, potential)


def _charge(k: np.ndarray, height: float) -> np.ndarray:
    """k coth(k height), the charge over the potential in the plane of a wave k, both over the permittivity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(k > 0.0, k / np.tanh(k * height), 1.0 / height)


def _falling(k: np.ndarray, z: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """sinh(k (height - z))/sinh(k height), and what it falls by with z [1/cm]."""
    down, back, whole = np.exp(-k * z), np.exp(-2.0 * k * (height - z)), 1.0 - np.exp(-2.0 * k * height)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, slope = (np.where(k > 0.0, down * (1.0 + sign * back) / whole, 0.0) for sign in (-1.0, 1.0))
    return np.where(k > 0.0, value, 1.0 - z / height), np.where(k > 0.0, k * slope, 1.0 / height)


@one_blas_thread
def drift_paths(
    pitch: float, pad_size: float, height: float, start: np.ndarray, speed: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Times [us] (n, steps) and places (x, y, z) [cm] (n, steps, 3) of electrons from `start` (n, 2) to a pad.

    `start` is at `height`, relative to the pad's centre, within its pixel [cm]; speed(field) [cm/us] is that at a
    field in units of the one far from the pads. They follow its lines, straight where it is uniform; z falls all along,
    as no line comes from the gaps, so that log z is what is stepped in.
    """
    cell = surface(pitch, pad_size, height, 0.5, DRIFT_POINTS, own=False)
    n = len(cell.k)
    norm = np.sqrt(np.where(np.arange(n) > 0, 2.0, 1.0) / n)
    waves = dctn(cell.potential, norm="ortho") * norm[:, None] * norm
    waves *= height / waves[0, 0]
    k = np.hypot(cell.k[:, None], cell.k)

    def slopes(log_z: float, state: np.ndarray) -> np.ndarray:
        z, (x, y, _) = math.exp(log_z), state.reshape(3, -1)
        value, slope = _falling(k, z, height)
        cos_x, cos_y = np.cos(np.outer(x, cell.k)), np.cos(np.outer(y, cell.k))
        to_x = np.sum(-cell.k * np.sin(np.outer(x, cell.k)) @ (waves * value) * cos_y, axis=1)
        to_y = np.sum(cos_x @ (waves * value) * (-cell.k * np.sin(np.outer(y, cell.k))), axis=1)
        down = np.sum(cos_x @ (waves * slope) * cos_y, axis=1)
        field = np.sqrt(to_x**2 + to_y**2 + down**2)
        return np.ravel(-z / down * np.array([to_x, to_y, field / speed(field)]))

    top = min(UNIFORM * pitch, height)
    log_z = np.linspace(math.log(top), math.log(LOWEST * pitch), STEPS)
    there = np.full(len(start), (height - top) / float(speed(np.ones(1))[0]))
    state = np.concatenate((start[:, 0], start[:, 1], there))
    x, y, time = solve_ivp(slopes, log_z[[0, -1]], state, t_eval=log_z, rtol=PRECISION, atol=PRECISION).y.reshape(
        3, len(start), STEPS
    )
    z = np.broadcast_to(np.exp(log_z), x.shape)
    before = np.stack((start[:, 0], start[:, 1], np.full(len(start), height)), axis=-1)[:, None]
    places = np.concatenate((before, np.stack((x, y, z), axis=-1)), axis=1)
    return np.concatenate((np.full((len(start), 1), -1e-9), time), axis=1), places


class Rest:
    """A potential in the plane, less `scale` times that of a pad as large as the pixel, at levels z over it.

    Levels lie ever further apart; between places the potential is a cubic spline. It is 0 where x or y is `end` [cm] or
    more, or z above `top` [cm].
    """

    def __init__(self, plane: Surface, scale: float, pitch: float, height: float, end: float, top: float) -> None:
        self.spacing, self.end, self.top = float(plane.x[1] - plane.x[0]), end, top
        pixel = np.logical_and.outer(*[plane.x < 0.5 * pitch] * 2)
        waves = dctn(plane.potential - scale * pixel, norm="ortho")
        k = np.hypot(plane.k[:, None], plane.k)
        kept = min(len(k), math.ceil(self.end / self.spacing) + MARGIN)
        self.levels = math.ceil(math.log1p(top / self.spacing) / math.log(GROWTH))
        at = self.spacing * np.expm1(np.linspace(0.0, math.log1p(top / self.spacing), self.levels + 1))
        at[-1] = top
        potential = [idctn(waves * _falling(k, z, height)[0], norm="ortho")[:kept, :kept] for z in at]
        mirrored = np.pad(potential, ((0, 0), (MARGIN, 0), (MARGIN, 0)), mode="symmetric")
        self.spline = spline_filter(mirrored, mode="mirror")

    def level(self, z: Any) -> Any:
        """The number of the level at z, a fraction between levels."""
        return self.levels * np.log1p(z / self.spacing) / math.log1p(self.top / self.spacing)

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """At places [cm], x and y not negative."""
        at = [self.level(z), *(along / self.spacing - 0.5 + MARGIN for along in (x, y))]
        value = map_coordinates(self.spline, at, mode="mirror", prefilter=False)
        return np.where((np.maximum(x, y) < self.end) & (z <= self.top), value, 0.0)


class Weighting:
    """The weighting potential of a pad with gaps around it and pads beyond, up to `reach` pitches away.

    It is that of a pad as large as the pixel, by as much smaller as all pads together are, so that it is right far
    away; and the rest, which falls off quickly. Near the pad the rest is that of a finer lattice on a smaller plane, in
    place of the same plane with the points of the large one.
    """

    def __init__(self, pitch: float, pad_size: float, height: float, reach: float) -> None:
        def plane(half: float, points: tuple[int, int]) -> Surface:
            return surface(pitch, pad_size, height, half, points, own=True)

        self.pitch, self.height = pitch, height
        large = plane(math.ceil(reach) + BEYOND, POINTS)
        self.scale = 4.0 * float(large.potential.sum()) * float((large.x[1] - large.x[0]) / pitch) ** 2
        self.large = Rest(large, self.scale, pitch, height, (reach + 1.0) * pitch, height)
        near = [NEAR * pitch, min(NEAR * pitch, height)]
        self.fine, self.coarse = (
            Rest(plane(NEAR, points), self.scale, pitch, height, *near) for points in (FINE_POINTS, POINTS)
        )

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """The potential at places [cm] from the pad's centre, z up to the height."""
        x, y, z = np.abs(x), np.abs(y), np.broadcast_to(z, x.shape)
        rest = self.large(x, y, z) + self.fine(x, y, z) - self.coarse(x, y, z)
        return self.scale * weighting_potential(x, y, z, self.pitch, self.height) + rest


class Following:
    """Electrons that follow the field to pads with gaps, as `electrostatics.Straight` has those that drift straight."""

    def __init__(
        self, pitch: float, pad_size: float, height: float, bins: int, reach: int, speed: Callable[[Any], np.ndarray]
    ) -> None:
        low, high = PAD_SIZE
        if not low <= pad_size / pitch <= high:
            raise InputError(
                f"pad_size: found {pad_size:g}, allowed is {low:g} to {high:g} of the pixel pitch {pitch:g} [cm], "
                "or the pitch: no gap"
            )
        if bins % 2:
            raise InputError(f"bins: found {bins}, allowed is an even number of bins a pitch where pads have gaps")
        self.pitch, self.bins = pitch, bins
        start = (np.arange(bins // 2) + 0.5) * pitch / bins
        x, y = (along.ravel() for along in np.meshgrid(start, start, indexing="ij"))
        self.time, self.place = drift_paths(pitch, pad_size, height, np.stack((x, y), axis=-1), speed)
        self.last = float(self.time[:, -1].max())
        self.weighting = Weighting(pitch, pad_size, height, reach / bins)

    def potential(self, i: np.ndarray, j: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Of electrons from the middle of bins (i, j) (n,) at times [us] (m,) after they passed the height: (n, m).

        Once they have arrived, exactly 1 on the pad and 0 on others.
        """
        pixel, side, path = zip(*(self._reduced(bin) for bin in (i, j)), strict=True)
        own = (pixel[0] == 0) & (pixel[1] == 0)
        of_path = path[0] * (self.bins // 2) + path[1]
        found = np.empty((len(i), len(time)))
        for one in np.unique(of_path):
            rows = np.flatnonzero(of_path == one)
            x, y, z = PchipInterpolator(self.time[one], self.place[one])(np.clip(time, 0.0, self.time[one, -1])).T
            at = [self.pitch * p[rows, None] + s[rows, None] * a for p, s, a in zip(pixel, side, (x, y), strict=True)]
            value = self.weighting(at[0], at[1], z)
            found[rows] = np.where(time < self.time[one, -1], np.where(time > 0.0, value, 0.0), own[rows, None])
        return found

    def _reduced(self, bin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pixel that a bin is in, on which side of its centre, and the bin of the quadrant that mirrors it."""
        pixel = (bin + self.bins // 2) // self.bins
        within = bin - pixel * self.bins
        return pixel, np.where(within < 0, -1.0, 1.0), np.where(within < 0, -1 - within, within)
