"""Losses between a simulated and a measured list of hits, event by event, as published fits use them.

An event in which one side has no hits counts as if that side held hits without charge; one in which both are empty
has loss 0. All in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.adjoint.losses.chamfer import chamfer_adjoint
from lartpc.adjoint.losses.mmd import mmd_adjoint
from lartpc.adjoint.losses.mse import mse_adjoint
from lartpc.adjoint.losses.soft_dtw import soft_dtw_adjoint
from lartpc.arrays import namespace, offsets, owners, run_starts, to_numpy
from lartpc.detector.detector import Detector
from lartpc.kernels.losses import chamfer as chamfer_kernel
from lartpc.kernels.losses import mmd as mmd_kernel
from lartpc.kernels.losses import mse as mse_kernel
from lartpc.kernels.losses import soft_dtw as soft_dtw_kernel
from lartpc.losses.hitlist import HitList

GAMMA = 1.0  # of the soft minimum [ADC counts]
TIME_SCALE = 1.0  # [us]
CHARGE_SCALE = 5000.0  # [e]
WIDTHS = (1.0, 4.0)  # of the Gaussian kernels, in scaled coordinates


class EventLoss(NamedTuple):
    """The loss of every event, and the derivatives of each event's own loss by the values of its simulated hits."""

    value: Any  # (n_events,)
    time: Any  # (n,) [1/us]
    charge: Any  # (n,) [1/e]
    adc: Any  # (n,) [1/ADC count]


class Points(NamedTuple):
    """Hits as points of four dimensions."""

    at: Any  # (4, n): x and y in pitches, time in TIME_SCALE, charge in CHARGE_SCALE
    event: Any  # (n,) int64
    first: Any  # (n_events + 1,) int64


def soft_dtw(simulated: HitList, target: HitList, detector: Detector) -> EventLoss:
    """Soft dynamic time warping of the ADC values, which are taken as sequences in the order of x, y and time.

    loss = R of the whole sequences [ADC counts], with the distance |adc - adc'| and gamma = 1 count; see
    `kernels.losses.soft_dtw`. It may be negative for sequences that are alike. An empty side is one hit at the
    pedestal: the loss is then sum |adc - pedestal|. Source: Cuturi & Blondel 2017 (arXiv:1703.01541).
    """
    xp = namespace(simulated.adc)
    pedestal = float(detector.adc(0.0))
    value, first, at = never_empty(simulated.adc, simulated.first, pedestal)
    other, other_first, _ = never_empty(target.adc, target.first, pedestal)
    n_events = len(first) - 1
    table_first = offsets(xp.diff(first) * xp.diff(other_first))
    table, scratch = xp.zeros(int(table_first[-1])), xp.zeros(3 * len(value))
    loss, grad_value = xp.zeros(n_events), xp.zeros_like(value)
    sides = {"value": value, "first": first, "target": other, "target_first": other_first}
    inputs = {**sides, "table_first": table_first, "gamma": GAMMA}
    soft_dtw_kernel.soft_dtw(n_events, **inputs, table=table, loss=loss)
    grads = {"grad_loss": xp.ones(n_events), "grad_value": grad_value}
    soft_dtw_adjoint(n_events, **inputs, table=table, scratch=scratch, **grads)
    return EventLoss(loss, xp.zeros_like(simulated.adc), xp.zeros_like(simulated.adc), grad_value[at])


def never_empty(values: Any, first: Any, fill: float) -> tuple[Any, Any, Any]:
    """Values with one `fill` in each event that has none, where the events start, and where the values went."""
    xp = namespace(values)
    n = len(values)
    padded_first = offsets(xp.maximum(xp.diff(first), 1))
    event = owners(first, n)
    at = xp.arange(n) - first[event] + padded_first[event]
    padded = xp.full(int(padded_first[-1]), fill)
    padded[at] = values
    return padded, padded_first, at


def chamfer(simulated: HitList, target: HitList, detector: Detector) -> EventLoss:
    """Chamfer distance: squared distances to the nearest hit of the other side.

    loss = mean_s min_t |p_s - p_t|^2 + mean_t min_s |p_t - p_s|^2 over the simulated hits s and target hits t of an
    event, with p = (x/pitch, y/pitch, time/TIME_SCALE, charge/CHARGE_SCALE). Where one side is empty it is the mean of
    (charge/CHARGE_SCALE)^2 of the other. Source: Fan, Su & Guibas 2017 (arXiv:1612.00603), with means for sums.
    """
    xp = namespace(simulated.charge)
    value, gradient = 0.0, 0.0
    sides = points(simulated, detector), points(target, detector)
    for point, other in (sides, sides[::-1]):
        n, m = len(point.event), len(other.event)
        nearest, square = xp.zeros(n, dtype=np.int64), xp.zeros(n)
        both = {"point": point.at, "other": other.at, "nearest": nearest}
        chamfer_kernel.chamfer(n, **both, point_event=point.event, other_first=other.first, square=square)
        weight = 1.0 / hits_in_event(point)[point.event]
        grads = [xp.zeros_like(side.at) for side in (point, other)]
        back = {"grad_square": weight, "grad_point": grads[0], "grad_other": grads[1]}
        chamfer_adjoint(n + m, **both, point_first=point.first, other_event=other.event, **back)
        value = value + event_sums(weight * square, point.event, len(point.first) - 1)
        gradient = gradient + grads[0 if point is sides[0] else 1]
    return by_hit(value, gradient)


def mmd(simulated: HitList, target: HitList, detector: Detector) -> EventLoss:
    """Squared maximum mean discrepancy between the hits of both sides.

    loss = mean k(s, s') - 2 mean k(s, t) + mean k(t, t') over all pairs of an event's simulated hits s, s' and target
    hits t, t', a hit with itself too; k is the mean of exp(-|p - p'|^2/(2 w^2)) over the WIDTHS w, with p as in
    `chamfer`. Where one side is empty it is mean k of the other. Source: Gretton et al., J. Mach. Learn. Res. 13 (2012)
    723, eq. 5.
    """
    s, t = points(simulated, detector), points(target, detector)
    same, gradients_same = mean_similarity(s, s)
    between, gradients = mean_similarity(s, t)
    value = same - 2.0 * between + mean_similarity(t, t, False)[0]
    return by_hit(value, gradients_same[0] + gradients_same[1] - 2.0 * gradients[0])


def mean_similarity(point: Points, other: Points, differentiate: bool = True) -> tuple[Any, tuple[Any, Any]]:
    """Mean k over all pairs of an event (n_events,), 0 where one side is empty; derivatives (4, n) by both sides."""
    xp = namespace(point.at)
    n, m = len(point.event), len(other.event)
    width, similarity = xp.asarray(WIDTHS), xp.zeros(n)
    sides = {"point": point.at, "point_event": point.event, "other": other.at, "other_first": other.first}
    mmd_kernel.mmd(n, **sides, width=width, similarity=similarity)
    weight = (1.0 / (hits_in_event(point) * hits_in_event(other)))[point.event]
    grads = xp.zeros_like(point.at), xp.zeros_like(other.at)
    if differentiate:
        sides |= {"point_first": point.first, "other_event": other.event}
        back = {"grad_similarity": weight, "grad_point": grads[0], "grad_other": grads[1]}
        mmd_adjoint(n + m, **sides, width=width, **back)
    return event_sums(weight * similarity, point.event, len(point.first) - 1), grads


def mse(simulated: HitList, target: HitList, detector: Detector) -> EventLoss:
    """Mean squared deviation of the times and charges of matched hits.

    Hits are matched by event, pixel and order in time on the pixel. With n simulated and m target hits in the event,

    loss = [2 sum_matched (((t - t')/TIME_SCALE)^2 + ((q - q')/CHARGE_SCALE)^2)
            + sum_unmatched (q/CHARGE_SCALE)^2]/(n + m)

    where the unmatched hits are those of both sides: the mean over all n + m hits, each against its partner, or
    against a hit without charge where it has none.
    """
    xp = namespace(simulated.charge)
    n_hits = xp.maximum(xp.diff(simulated.first) + xp.diff(target.first), 1).astype(np.float64)
    value = 0.0
    sides = simulated, target
    for hits, other, partner in zip(sides, sides[::-1], partners(simulated, target), strict=True):
        event, square = owners(hits.first, len(hits.time)), xp.zeros_like(hits.time)
        inputs = {"time": hits.time, "charge": hits.charge, "partner": partner}
        inputs |= {"target_time": other.time, "target_charge": other.charge}
        inputs |= {"time_scale": TIME_SCALE, "charge_scale": CHARGE_SCALE}
        mse_kernel.mse(len(square), **inputs, square=square)
        value = value + event_sums(square, event, len(n_hits)) / n_hits
        if hits is simulated:
            # A matched pair is counted from both sides.
            weight = (1.0 + (partner >= 0)) / n_hits[event]
            grad_time, grad_charge = xp.zeros_like(hits.time), xp.zeros_like(hits.charge)
            mse_adjoint(len(square), **inputs, grad_square=weight, grad_time=grad_time, grad_charge=grad_charge)
    return EventLoss(value, grad_time, grad_charge, xp.zeros_like(simulated.adc))


def partners(simulated: HitList, target: HitList) -> tuple[Any, Any]:
    """Of each hit the index of the hit of the other side with its event, pixel and order on the pixel, or -1."""
    xp, n = namespace(simulated.time), len(simulated.time)
    keys = np.concatenate([hit_keys(side) for side in (simulated, target)], axis=1)
    order = np.lexsort(keys)
    # The same key is there once on each side, that of the simulated hit first.
    same = (keys[:, order[1:]] == keys[:, order[:-1]]).all(axis=0)
    own, other = order[:-1][same], order[1:][same]
    index = np.full(keys.shape[1], -1, dtype=np.int64)
    index[own], index[other] = other - n, own
    return xp.asarray(index[:n]), xp.asarray(index[n:])


def hit_keys(hits: HitList) -> np.ndarray:
    """Event, pixel and order in time on the pixel of each hit (3, n)."""
    n = len(hits.time)
    event, pixel = owners(to_numpy(hits.first), n), to_numpy(hits.pixel)
    order = np.lexsort((to_numpy(hits.time), pixel, event))
    starts = run_starts(event[order], pixel[order])
    number = np.empty(n, dtype=np.int64)
    number[order] = np.arange(n) - np.repeat(starts, np.diff(starts, append=n))
    return np.stack((event, pixel, number))


def points(hits: HitList, detector: Detector) -> Points:
    """Hits in scaled coordinates; the pitch is that of the first TPC."""
    xp, pitch = namespace(hits.x), float(detector.pitch[0])
    at = xp.stack((hits.x / pitch, hits.y / pitch, hits.time / TIME_SCALE, hits.charge / CHARGE_SCALE))
    return Points(at, owners(hits.first, len(hits.x)), hits.first)


def hits_in_event(side: Points) -> Any:
    """The number of hits of each event (n_events,), 1 where there is none."""
    return namespace(side.first).maximum(side.first[1:] - side.first[:-1], 1).astype(np.float64)


def event_sums(values: Any, event: Any, n_events: int) -> Any:
    """Sums over the hits of each event (n_events,); in the order of the hits on every device, so always the same."""
    sums = np.bincount(to_numpy(event), weights=to_numpy(values), minlength=n_events)
    return namespace(values).asarray(sums)


def by_hit(value: Any, gradient: Any) -> EventLoss:
    """The loss of each event with its derivatives by scaled coordinates (4, n) turned into those by time and charge."""
    zeros = namespace(gradient).zeros_like(gradient[2])
    return EventLoss(value, gradient[2] / TIME_SCALE, gradient[3] / CHARGE_SCALE, zeros)


LOSSES = {"soft-dtw": soft_dtw, "chamfer": chamfer, "mmd": mmd, "mse": mse}
OF_ADC = ("soft-dtw",)  # those that see ADC counts, the others charges
