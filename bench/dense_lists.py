"""Lists of pairs of step and pixel for the analytic dense baseline: made once on the host, padded to fixed shapes.

Steps, pairs and windows are those of the project's kernels at nominal parameters, nodes those of dense_rules.py.
"""

from typing import NamedTuple

import numpy as np
from dense_physics import NOMINAL, birks, response, vector
from dense_rules import LOOKBACK, WIDTH, node_count
from loss import loss_weights, windowed_pairs

from lartpc.charge.quadrature import gauss_rules
from lartpc.response.windows import Windows

CHUNK = 256  # pairs
CLASSES = np.array((3, 5, 8, 11))  # nodes along an axis that pairs are padded to
NODES = ("edges", "g", "omega", "upper")
EDGE = 4.7  # standard deviations that a Gaussian edge reaches
FAINT = 14.0  # exponent from which the fast exponential is left out
TRANSVERSE = 0.0105  # nominal sigma_T/sqrt(distance) [cm^0.5]


class Shape(NamedTuple):
    """Of one class of pairs."""

    number: int  # of the class
    chunks: int
    chunk: int  # pairs
    nodes: tuple[int, int]
    near: int  # ticks of the edges
    far: int  # ticks of the fast exponential before them


class Lists(NamedTuple):
    """One batch."""

    steps: dict  # columns (n_steps,)
    sigma_t: np.ndarray  # (n_steps,) [us]
    sigma_T: np.ndarray  # (n_steps,) [cm]
    pairs: dict  # columns (..., n_pairs)
    windows: Windows


def axis_rule(column, position, distance, sigma, pitch, rules):
    """Number of nodes of each pair along one axis (pairs,), and `NODES`, pairs last.

    edges (3, pairs): the pixel's lower edge, centre and upper edge from the step; g, omega: point and weight of each
    node in the rule of its half; upper: whether that is the upper half.
    """
    edges = 0.5 * pitch * (2 * column + np.arange(3)[:, None]) - position
    half_width = WIDTH * TRANSVERSE * np.sqrt(np.maximum(distance, 0.01))
    low, high = np.maximum(edges[:2], -half_width), np.minimum(edges[1:], half_width)
    count = node_count(low, high, edges[1], half_width)
    cut = WIDTH * sigma
    count[np.maximum(edges[:2], -cut) >= np.minimum(edges[1:], cut)] = 0
    slot = np.arange(CLASSES[-1])[:, None]
    upper = slot >= count[0]
    number, k = np.where(upper, count[1], count[0]), np.where(upper, slot - count[0], slot)
    used = k < number
    g, omega = (np.where(used, rule[number, np.where(used, k, 0)], 0.0) for rule in rules)
    return count.sum(axis=0), dict(zip(NODES, (edges, g, omega, upper), strict=True))


def covered(column, position, reach, pitch):
    """Nearest and farthest distance [cm] to the pixel's centre of the charge within `reach` of `position`."""
    low, middle, high = 0.5 * pitch * (2 * column + np.arange(3)[:, None]) - position
    low, high = np.maximum(low, -reach) - middle, np.minimum(high, reach) - middle
    return np.maximum(np.maximum(low, -high), 0.0), np.maximum(np.abs(low), np.abs(high))


def pair_ticks(axes, arrival, sigma, tick):
    """First tick of a pair's edges, number of ticks that they take and that the fast exponential takes before.

    axes: for x and y nearest and farthest distance to the pixel's centre; the response's extremes over that rectangle
    are those of nine points, within 0.02 us for the shift (its least is near 0.065 cm) and 0.05 us for b.
    """
    points = [(low, np.clip(0.065, low, high), high) for low, high in axes]
    at = [response(x, y) for x in points[0] for y in points[1]]
    shift, fast = (np.stack([np.asarray(values[i]) for values in at]) for i in (3, 1))
    reach = EDGE * sigma + 0.02
    first = np.floor((arrival + shift.min(axis=0) - reach) / tick).astype(int)
    after = np.ceil((arrival + shift.max(axis=0) + reach) / tick).astype(int)
    return first, after + 1 - first, np.ceil(FAINT * (fast.max(axis=0) + 0.05) / tick).astype(int)


def make_lists(simulation, batch):
    """`Lists` of a batch. Pair columns are what `dense_analytic` reads, and near, far and class for `shapes`."""
    detector = simulation.detector
    steps, found, windows = windowed_pairs(simulation, batch)
    rules, n = gauss_rules(CLASSES[-1], np.float64), found.step
    spread = (steps.distance[n], steps.sigma_T[n], detector.pitch[steps.tpc[n]])
    columns, counts, axes = [], [], []
    for column, position in ((found.x - steps.column[n], steps.x[n]), (found.y - steps.row[n], steps.y[n])):
        count, nodes = axis_rule(column, position, *spread, rules)
        counts.append(count)
        columns.append(nodes)
        axes.append(covered(column, position, WIDTH * spread[1], spread[2]))
    swap = counts[0] < counts[1]  # the response is the same: so there are fewer classes
    pairs = {f"{key}_x": np.where(swap, columns[1][key], columns[0][key]) for key in NODES}
    pairs |= {f"{key}_y": np.where(swap, columns[0][key], columns[1][key]) for key in NODES}
    first, near, far = pair_ticks(axes, steps.arrival[n], steps.sigma_t[n], detector.tick)
    window = np.repeat(np.arange(len(windows.tick)), np.diff(windows.pair))
    lookback = round(LOOKBACK / detector.tick)
    start = windows.first[window] + batch.tick[steps.segment][n] + first - lookback - windows.tick[window]
    kind = np.searchsorted(CLASSES, np.maximum(*counts)) * len(CLASSES)
    kind += np.searchsorted(CLASSES, np.minimum(*counts))
    pairs |= {"step": n, "window": window, "start": start, "begin": first * detector.tick}
    pairs |= {"near": near, "far": far, "class": kind}
    reached = (counts[0] > 0) & (counts[1] > 0)  # the project's pairs reach farther
    pairs = {name: column[..., reached] for name, column in pairs.items()}
    dEdx = batch.dEdx[steps.segment]
    quenched = steps.electrons / birks(vector(NOMINAL, np.float64), dEdx)
    by_step = {"distance": steps.distance, "dEdx": dEdx, "time": batch.time[steps.segment], "quenched": quenched}
    return Lists(by_step, steps.sigma_t, steps.sigma_T, pairs, windows)


def shapes(lists, shares):
    """`Shape` of every class, to hold that of all batches; `shares`: devices among which chunks are divided."""
    found = []
    for number in np.unique(np.concatenate([one.pairs["class"] for one in lists])):
        members = [one.pairs["class"] == number for one in lists]
        most = -(-max(int(member.sum()) for member in members) // shares)
        chunk = min(CHUNK, -(-most // 16) * 16)
        near, far = (
            max(int(one.pairs[name][member].max(initial=0)) for one, member in zip(lists, members, strict=True))
            for name in ("near", "far")
        )
        nodes = (int(CLASSES[number // len(CLASSES)]), int(CLASSES[number % len(CLASSES)]))
        found.append(Shape(int(number), shares * -(-most // chunk), chunk, nodes, near, far))
    return found


def class_columns(pairs, shape, dtype):
    """The pairs of a class in chunks: each column (chunks, ..., chunk), filled up with pairs without charge."""
    members = np.flatnonzero(pairs["class"] == shape.number)
    columns = {}
    for name, column in pairs.items():
        if name in ("far", "class"):
            continue
        if name.partition("_")[0] in NODES[1:]:
            column = column[: shape.nodes[name.endswith("_y")]]
        column = column[..., members]
        column = column.astype(dtype if column.dtype.kind == "f" else np.int32 if column.dtype.kind == "i" else bool)
        column = filled(column, shape.chunks * shape.chunk)
        columns[name] = np.moveaxis(column.reshape(*column.shape[:-1], shape.chunks, shape.chunk), -2, 0)
    return columns


def filled(array, n):
    """The array with its last axis filled up with zeros to n."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, n - array.shape[-1])])


def sample_columns(windows, detector, n_samples, n_windows, dtype):
    """Weights of the loss and window of every sample, (n_samples,); n_windows for those that fill up."""
    window = np.repeat(np.arange(len(windows.tick)), np.diff(windows.first)).astype(np.int32)
    window = np.pad(window, (0, n_samples - len(window)), constant_values=n_windows)
    return {"weights": filled(loss_weights(windows, detector, dtype), n_samples), "sample_window": window}
