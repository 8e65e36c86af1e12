"""Lists of random hits, their events, and distances between them."""

import numpy as np

from lartpc.arrays import offsets
from lartpc.detector.detector import Detector
from lartpc.losses.hit_losses import CHARGE_SCALE, TIME_SCALE, WIDTHS
from lartpc.losses.hitlist import HitList, make_hit_list

DETECTOR = Detector.module0()
PITCH = DETECTOR.pitch[0]
PEDESTAL = 292.0 * 256.0 / 1012.0
COLUMNS = ("time", "charge", "adc")


def hit_list(counts, rng):
    """Random hits, some of them on the same pixels: counts (n_events,)."""
    n = int(np.sum(counts))
    pixel = 20000 + rng.integers(0, 4, n) + 140 * rng.integers(0, 3, n)
    _, _, _, x, y = DETECTOR.locate(pixel)
    values = {"time": rng.uniform(0.0, 8.0, n), "charge": rng.uniform(5e3, 3e4, n), "adc": rng.uniform(76.0, 200.0, n)}
    event = np.repeat(np.arange(len(counts)), counts)
    return make_hit_list(np, len(counts), event, pixel=pixel, x=x, y=y, **values)[0]


def event_of(hits, event):
    """One event as a list of its own."""
    at = slice(hits.first[event], hits.first[event + 1])
    return HitList(np.array([0, at.stop - at.start]), *(column[at] for column in hits[1:]))


def joined(parts):
    """Events one after the other."""
    columns = (np.concatenate([getattr(p, name) for p in parts]) for name in HitList._fields[1:])
    return HitList(offsets(np.array([len(p.time) for p in parts])), *columns)


def each(sides):
    return [tuple(event_of(side, k) for side in sides) for k in range(len(sides[0].first) - 1)]


def scaled(hits):
    return np.stack((hits.x / PITCH, hits.y / PITCH, hits.time / TIME_SCALE, hits.charge / CHARGE_SCALE), axis=1)


def similarity(p, o):
    square = np.sum((p[:, None] - o) ** 2, axis=2)
    return np.mean([np.exp(-square / (2.0 * w**2)) for w in WIDTHS])
