"""The parametric pixel response as sums of products of polynomials in position and waveforms on a lattice in time.

R(x, y, u) = a E(u - s; b) + (1 - a) E(u - s; c),  E(w; b) = exp(w/b)/b for w < 0, else 0
a, b, c, s = p0 + p1|x| + p2|y| + p3|xy| + p4 x^2 + p5 y^2, x and y [cm] from the pixel centre, s, b, c [us];
a is capped at 1. Source: the parametrised response of larnd-sim, as used by the differentiable simulator's paper.

A step's charge of spread sigma_t in time smooths it: so it is a short sum of functions of time, with coefficients that
are polynomials of low degree in |x| and |y|. The smaller sigma_t, the more of both: there is a table for every half
octave of it. The waveforms hold a part `smooth` of the smoothing, sigma_t^2 - smooth^2 is that of the charge on the
lattice.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.polynomial.legendre import leggauss, legvander
from scipy.special import erfc, erfcx

from lartpc.arrays import to_numpy
from lartpc.blas import one_blas_thread
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.kernels.runtime.special import edge_width
from lartpc.response.lattice import LANES, Lattice, make_lattice
from lartpc.settings import Settings

WEIGHT = (1.060, -0.909, 5.856, 0.207)  # p0, p1 = p2, p3, p4 = p5
FAST = (0.679, -1.083, 8.772, -5.521)
SLOW = (2.644, -9.174, 13.483, 45.887)
SHIFT = (2.948, -2.705, 4.825, 20.814)
LARGEST_PITCH = 0.47  # [cm]; b falls to 0 at the corners of larger pixels
WIDEST = 0.113  # [us] least sigma_t of the table for the widest charge
TABLES = 4  # a pitch; from one to the next sigma_t falls by sqrt(2), down to that 0.5 cm above the anode
RATIO = 0.237  # sigma_T/sigma_t [cm/us] of the nominal diffusion, at every distance
# Least and largest rate [1/us] and number of the exponentials that follow the response back.
FAST_RATES = (1.4, 11.8, 10)
SLOW_RATES = (0.26, 0.55, 6)
FARTHEST = 60.0  # [us] to which they are fitted


class Tables(NamedTuple):
    """Tables as the kernels take them, TABLES for each pitch, in the order of falling sigma_t.

    Response of a table: sum over n, m, r of space[n, r, m] T_n(xi) T_m(eta) waveform_r, xi = 4|x|/pitch - 1, T_n
    Chebyshev's polynomials. Zeros fill up what a table has less than others.
    """

    lattice: Lattice
    degree: Any  # (n_tables,) int64, polynomials along each axis
    space: Any  # (n_tables, most degree n, most rank r, most degree m)
    smooth: Any  # (n_tables,) [us]
    least: Any  # (TABLES,) [us]: sigma_t from which a table serves
    of_tpc: Any  # (n_tpcs,) int64: first table of each TPC
    sizes: tuple[np.ndarray, np.ndarray]  # degree and rank (n_tables,), in main memory


class Table(NamedTuple):
    """One of `Tables`, float64."""

    space: np.ndarray  # (degree, degree, rank)
    waveforms: np.ndarray  # (rank, lags) [1/us]
    tail: np.ndarray  # (rank, poles)
    per_tick: int
    first_lag: int
    smooth: float


def coefficients(x: Any, y: Any) -> tuple[Any, Any, Any, Any]:
    """a, b, c, s of the response at x, y [cm] from the pixel's centre."""
    x, y = np.abs(x), np.abs(y)
    a, b, c, s = (
        p0 + p1 * (x + y) + p3 * x * y + p4 * (x * x + y * y) for p0, p1, p3, p4 in (WEIGHT, FAST, SLOW, SHIFT)
    )
    return np.minimum(a, 1.0), b, c, s


def smeared(w: Any, b: Any, sigma: float) -> np.ndarray:
    """E(w; b) convolved with a Gaussian, exp(w/b + sigma^2/(2 b^2)) erfc(y)/(2 b), y = (w/sigma + sigma/b)/sqrt(2)."""
    y = (w / sigma + sigma / b) * math.sqrt(0.5)
    late = np.exp(-0.5 * (w / sigma) ** 2) * erfcx(np.maximum(y, 0.0))
    early = np.exp(np.minimum(w / b + 0.5 * (sigma / b) ** 2, 0.0)) * erfc(np.minimum(y, 0.0))
    return np.where(y > 0.0, late, early) / (2.0 * b)


def response(x: np.ndarray, y: np.ndarray, times: np.ndarray, sigma: float) -> np.ndarray:
    """The response at positions (n,) and times (m,), smoothed with sigma [us]: (n, m) [1/us]."""
    a, b, c, s = (value[:, None] for value in coefficients(x, y))
    w = times - s
    return a * smeared(w, b, sigma) + (1.0 - a) * smeared(w, c, sigma)


def rates() -> np.ndarray:
    """Rates [1/us] of the exponentials that follow the response back."""
    return np.concatenate((np.geomspace(*FAST_RATES), np.geomspace(*SLOW_RATES)))


@one_blas_thread
def make_parametric_tables(detector: Detector, settings: Settings, dtype: Any, xp: Any) -> Tables:
    """`Tables` of all pitches of a detector, to `settings.precision` of the response's peak.

    Raises InputError: a pitch above LARGEST_PITCH.
    """
    pitches, of_tpc = np.unique(detector.pitch, return_inverse=True)
    if pitches[-1] > LARGEST_PITCH:
        raise InputError(
            f"response: found the pixel pitch {pitches[-1]:g} [cm] in detector {detector.name}, the parametric one is "
            f"defined up to {LARGEST_PITCH:g}; allowed is --response electrostatic or a table"
        )
    least = WIDEST * 0.5 ** (0.5 * np.arange(TABLES))
    precision = max(settings.precision, 10.0 * float(np.finfo(dtype).eps))
    edge = float(edge_width(np.dtype(dtype).type(0.0)))
    one = [
        make_table(pitch, detector.tick, sigma, precision, edge)
        for pitch in pitches.tolist()
        for sigma in least.tolist()
    ]
    lattice = make_lattice(
        [table.waveforms for table in one],
        [table.per_tick for table in one],
        [table.first_lag for table in one],
        [table.tail for table in one],
        rates(),
        detector.tick,
        dtype,
        xp,
    )
    degree = np.array([len(table.space) for table in one])
    most = -(-degree.max() // LANES) * LANES
    space = np.zeros((len(one), most, int(lattice.rank.max()), most))
    for values, table in zip(space, one, strict=True):
        n, _, rank = table.space.shape
        values[:n, :rank, :n] = table.space.transpose(0, 2, 1)
    return Tables(
        lattice,
        xp.asarray(degree.astype(np.int64)),
        xp.asarray(space.astype(dtype)),
        xp.asarray(np.array([table.smooth for table in one], dtype=dtype)),
        xp.asarray(least.astype(dtype)),
        xp.asarray(of_tpc.astype(np.int64) * TABLES),
        (degree, to_numpy(lattice.rank)),
    )


@functools.lru_cache(maxsize=64)
def make_table(pitch: float, tick: float, least: float, precision: float, edge: float) -> Table:
    """The table for charge of sigma_t from `least` [us] on.

    Found from the response smoothed with `least` [us] in time and with the charge's spread across that goes with it,
    RATIO least, which damps the polynomial of degree n by exp(-(n spread/half)^2/2) or more, half = pitch/4: degree and
    rank are the smallest with which the rest is below `precision` of the peak. Waveforms and tail are then those of the
    response smoothed with `smooth` alone.
    """
    half, smooth = 0.5 * pitch, least * math.sqrt(0.5)
    # A lattice of step h aliases exp(-2 pi^2 w^2/h^2), w = least/2 the width of the product of both Gaussians.
    per_tick = math.ceil(tick * math.sqrt(2.0 * math.log(0.12 / precision)) / (math.pi * least))
    h = tick / per_tick
    most = min(24 + math.ceil(1.6 / least), 96)
    point, weight = leggauss(most)
    x = (point + 1.0) * half / 2.0
    i, j = np.tril_indices(most)
    nearest = min(-SHIFT[1] / (SHIFT[2] + 2.0 * SHIFT[3]), half)
    first_lag = math.floor((coefficients(nearest, nearest)[3] - edge * smooth) / h)
    last_lag = math.ceil((max(coefficients(at, half)[3] for at in (0.0, half)) + edge * smooth) / h)
    begin = first_lag * h
    earlier = begin - np.concatenate((np.arange(1, 41) * 0.05, np.geomspace(2.2, FARTHEST, 40)))
    times = np.concatenate((earlier, h * np.arange(first_lag, last_lag + 1)))
    project = legvander(point, most - 1) * np.sqrt(np.arange(most) + 0.5) * weight[:, None]

    def polynomials(sigma: float) -> tuple[np.ndarray, float]:
        values = np.empty((most, most, len(times)))
        values[i, j] = values[j, i] = response(x[i], x[j], times, sigma)
        return np.einsum("im,jn,ijt->mnt", project, project, values, optimize=True), values.max()

    exact, peak = polynomials(least)
    damping = np.exp(-0.5 * (np.arange(most) * RATIO * least / (0.5 * half)) ** 2)
    damped = exact * damping[:, None, None] * damping[:, None]
    degree = most
    rest = np.zeros(len(times))
    while degree > 1:
        ring = damped[degree - 1, :degree] ** 2
        rest = rest + ring.sum(axis=0) + ring[:-1].sum(axis=0)
        if rest.max() > (precision * peak) ** 2:
            break
        degree -= 1
    kept = slice(None, degree)
    left, size, right = np.linalg.svd(damped[kept, kept].reshape(degree**2, -1), full_matrices=False)
    beyond = np.cumsum(((size[:, None] * right) ** 2)[::-1], axis=0)[::-1].max(axis=1)
    rank = int(np.argmax(np.append(beyond, 0.0) <= (precision * peak) ** 2))
    space = (exact[kept, kept].reshape(degree**2, -1) @ right[:rank].T).reshape(degree, degree, rank)
    sharp = polynomials(smooth)[0] * damping[:, None, None] * damping[:, None]
    waves = (left[:, :rank].T / size[:rank, None]) @ sharp[kept, kept].reshape(degree**2, -1)
    n = len(earlier)
    growth = np.exp((earlier - begin)[:, None] * rates())
    tail = np.linalg.lstsq(growth, waves[:, :n].T, rcond=1e-3 * precision)[0].T
    # Legendre polynomials as sums of Chebyshev's.
    at = np.cos(np.pi * (np.arange(degree) + 0.5) / degree)
    change = np.linalg.solve(chebvander(at, degree - 1), legvander(at, degree - 1) * np.sqrt(np.arange(degree) + 0.5))
    space = np.einsum("am,bn,mnr->abr", change, change, space, optimize=True)
    space = 0.5 * (space + space.transpose(1, 0, 2))
    return Table(space, waves[:, n:], tail, per_tick, first_lag, smooth)
