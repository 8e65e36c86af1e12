"""Charge as points in double precision, and a direct sum of a table of responses over them: independent of the chain.

Physics in NumPy: Birks, the mobility of Li et al., attachment and diffusion, at nominal parameters or those given. A
point's charge is spread by its diffusion over hat functions on the table's bins and samples, between which the table is
linear, sharpened as the README says, and averaged over a clock cycle; over every bin, neighbour and sample.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

MOBILITY = (551.6, 7158.3, 4440.43, 4.29, 43.63, 0.2053)  # Li et al., NIM A 816 (2016) 160
NEAREST = 0.01  # [cm] of the anode, from where on diffusion does not shrink


class Points(NamedTuple):
    """Points of charge, each (n,)."""

    event: np.ndarray
    tpc: np.ndarray
    x: np.ndarray  # [cm]
    y: np.ndarray
    distance: np.ndarray  # to the anode [cm]
    dE: np.ndarray  # [MeV]
    dEdx: np.ndarray  # [MeV/cm]
    time: np.ndarray  # of the deposit [us]


class Arrived(NamedTuple):
    """What of them arrives, each (n,)."""

    charge: np.ndarray  # [e]
    time: np.ndarray  # at `drift_start` [us]
    sigma_t: np.ndarray  # [us]
    sigma_T: np.ndarray  # [cm]


def cut(segments, detector, spacing):
    """`Points` at most `spacing` [cm] apart, in the middle of equal pieces of what lies of segments in TPCs."""
    start, end = (np.stack([getattr(segments, f"{a}_{name}") for a in "xyz"], -1) for name in ("start", "end"))
    along, length = end - start, np.linalg.norm(end - start, axis=1)
    found = []
    for tpc in range(len(detector.pitch)):
        low = np.array([detector.x_lo[tpc], detector.y_lo[tpc], min(detector.z_anode[tpc], detector.z_cathode[tpc])])
        high = np.array([detector.x_hi[tpc], detector.y_hi[tpc], max(detector.z_anode[tpc], detector.z_cathode[tpc])])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.sort(np.stack(((low - start) / along, (high - start) / along)), axis=0)
        at = np.where(along == 0.0, np.where((start > low) & (start < high), [[[-np.inf]], [[np.inf]]], np.nan), at)
        first, last = np.maximum(at[0].max(axis=1), 0.0), np.minimum(at[1].min(axis=1), 1.0)
        inside = np.flatnonzero(last > first)
        number = np.ceil((last - first)[inside] * length[inside] / spacing).astype(int).clip(1)
        row, part = np.repeat(inside, number), 1.0 / np.repeat(number, number)
        order = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
        middle = first[row] + (last - first)[row] * (order + 0.5) * part
        x, y, z = (start[row] + middle[:, None] * along[row]).T
        share = (last - first)[row] * part
        columns = (segments.event_id[row], np.full(len(row), tpc), x, y, np.abs(z - detector.z_anode[tpc]))
        found.append((*columns, segments.dE[row] * share, segments.dEdx[row], segments.t0[row]))
    return Points(*(np.concatenate(column) for column in zip(*found, strict=True)))


def velocity(parameters):
    """[cm/us]."""
    E, (a0, a1, a2, a3, a4, a5) = parameters.eField, MOBILITY
    mobility = (a0 + a1 * E + a2 * E**1.5 + a3 * E**2.5) / (1.0 + a1 / a0 * E + a4 * E**2 + a5 * E**3)
    return mobility * E * (89.0 / parameters.temperature) ** 1.5 / 1000.0


def arrive(points, parameters, drift_start):
    """`Arrived` of points."""
    v, p = velocity(parameters), parameters
    drift = (points.distance - drift_start) / v
    electrons = points.dE * p.MeVToElectrons * p.Ab / (1.0 + p.kb * points.dEdx / (p.eField * p.lArDensity))
    spread = 2.0 * np.maximum(points.distance, NEAREST) / v
    sigma_t = np.sqrt(p.long_diff * spread) / v
    return Arrived(electrons * np.exp(-drift / p.lifetime), points.time + drift, sigma_t, np.sqrt(p.tran_diff * spread))


def averaged(response, tick):
    """The table averaged over a clock cycle, at its own samples; by how many of them it begins earlier; a cycle's."""
    per_tick = round(tick / response.time_tick)
    weights = np.ones(per_tick) if per_tick % 2 else np.r_[0.5, np.ones(per_tick - 1), 0.5]
    table = np.pad(response.response, ((0, 0), (0, 0), (len(weights) - 1,) * 2))
    length = table.shape[2] - len(weights) + 1
    return sum(w * table[..., k : k + length] for k, w in enumerate(weights / per_tick)), len(weights) // 2, per_tick


def sharpened(table):
    """Less a twelfth of second differences: mirrored at the pixel's centre, 0 beyond the ends; a sample earlier."""
    for axis in range(3):
        table = np.moveaxis(table, axis, -1)
        front = table[..., :1] if axis < 2 else np.zeros((*table.shape[:-1], 2))
        wide = np.concatenate((front, table, np.zeros((*table.shape[:-1], 2))), axis=-1)
        table = np.moveaxis(wide[..., 1:-1] - np.diff(wide, n=2) / 12.0, -1, axis)
    return table


def begins(arrived, response, drift_start, v):
    """When points pass the table's begin [us]."""
    vdrift = v if response.vdrift is None else response.vdrift
    return arrived.time - (response.drift_length - drift_start) / vdrift


def hats(at, sigma, first, number):
    """Integrals of Gaussians about `at` over the hat functions of sites first, first + 1, ... (n, number)."""
    u = first[:, None] + np.arange(-1, number + 1) - at[:, None]
    z = u / sigma[:, None]
    ramp = u * ndtr(z) + sigma[:, None] * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return np.diff(ramp, n=2, axis=1)


class Direct:
    """Currents of single pixels by the sum over all that a table holds. `wide` standard deviations are followed."""

    def __init__(self, response, detector, parameters, wide=6.0):
        self.response, self.detector, self.parameters, self.wide = response, detector, parameters, wide
        table, self.early, self.per_tick = averaged(response, detector.tick)
        self.table = sharpened(table)
        self.early += 1

    def current(self, points, pixel, first, ticks):
        """Of `points` of one event on a pixel of one TPC, at ticks first, first + 1, ... (ticks,) [e/us].

        What comes before or after counts in the first or last.
        """
        d, response = self.detector, self.response
        tpc, column, row, *_ = (int(value[0]) for value in d.locate(np.array([pixel])))
        inside = points.tpc == tpc
        for name, low, number in (("x", d.x_lo, column), ("y", d.y_lo, row)):
            middle = low[tpc] + (number + 0.5) * d.pitch[tpc]
            reach = (self.table.shape[0] + 1) * response.bin_size + 0.5
            inside = inside & (np.abs(getattr(points, name) - middle) < reach)
        near = Points(*(column[inside] for column in points))
        arrived = arrive(near, self.parameters, d.drift_start)
        total = np.zeros(ticks)
        if len(near.x) == 0:
            return total
        bins = round(d.pitch[tpc] / response.bin_size)
        v = velocity(self.parameters)
        site = begins(arrived, response, d.drift_start, v) / response.time_tick
        spread = arrived.sigma_t / response.time_tick
        of_axis = []
        for at, low, number in ((near.x, d.x_lo, column), (near.y, d.y_lo, row)):
            bin = (at - low[tpc]) / response.bin_size - 0.5 - number * bins
            of_axis.append((bin, arrived.sigma_T / response.bin_size))
        for k in range(len(site)):
            (ix, wx), (iy, wy), (it, wt) = (self._sites(at[k], sigma[k]) for at, sigma in (*of_axis, (site, spread)))
            rows = [self._folded(index, bins) for index in (ix, iy)]
            keep = [index < n for index, n in zip(rows, self.table.shape, strict=False)]
            if not (keep[0].any() and keep[1].any()):
                continue
            part = self.table[np.ix_(rows[0][keep[0]], rows[1][keep[1]])]
            weights = np.outer(wx[keep[0]], wy[keep[1]]).ravel()
            mixed = np.convolve(wt, weights @ part.reshape(len(weights), -1))
            begin = it[0] - self.early
            tick = np.arange(-(-begin // self.per_tick), (begin + len(mixed) - 1) // self.per_tick + 1)
            of_tick = arrived.charge[k] * mixed[tick * self.per_tick - begin]
            np.add.at(total, np.clip(tick - first, 0, ticks - 1), of_tick)
        return total

    def _sites(self, at, sigma):
        half = self.wide * sigma + 1.0
        index = np.arange(int(np.floor(at - half)), int(np.ceil(at + half)) + 1)
        return index, hats(np.array([at]), np.array([sigma]), index[:1], len(index))[0]

    @staticmethod
    def _folded(index, bins):
        offset = index - bins // 2
        return np.where(offset >= 0, offset, -1 - offset)
