"""Small tabulated responses, detectors of several pitches, and tracks to simulate with them."""

import dataclasses

import numpy as np
from helpers import PITCH, make_segments, one_tpc

from lartpc.detector.detector import Detector
from lartpc.pixels.response import Response

TRACK = ((0.1, 0.05, 15.0), (1.4, -0.6, 18.0))
FINE = 0.388  # [cm]
BESIDE = np.array([40.0, 0.0, 0.0])  # from the TPC of the wide pixels to that of the fine ones


def small(**values):
    """Two neighbours and a half on each side, four bins a pitch."""
    return Response.electrostatic(one_tpc(), **{"bins": 4, "reach": 10, "height": 1.5, **values})


def abrupt():
    """A table that starts and ends at values of a third of its peak, two samples a clock cycle; of charge 1 and 0."""
    t, (i, j) = np.arange(40), np.indices((6, 6))
    own = ((i < 2) & (j < 2))[..., None]
    near = np.exp(-0.1 * (i + j))[..., None]
    table = np.where(own, 1.0, 0.0) / 2.0 + near * np.cos(2.0 * np.pi * (t + 0.5) / 40) * 0.4
    return Response(table, 0.05, 0.3, PITCH / 4)


def two_tpcs(pitches=(PITCH, FINE), n=14):
    """TPCs of n x n pixels of different pitches, one beside the other."""
    alike = [one_tpc(n) for _ in pitches]
    values = {f.name: getattr(alike[0], f.name) for f in dataclasses.fields(Detector)}
    both = {name: np.concatenate([value] * len(pitches)) for name, value in values.items() if np.ndim(value)}
    half, middle = 0.5 * n * np.array(pitches), BESIDE[0] * np.arange(len(pitches))
    both |= {"x_lo": middle - half, "x_hi": middle + half, "y_lo": -half, "y_hi": half}
    both |= {"pitch": np.array(pitches), "first_pixel": n * n * np.arange(len(pitches))}
    return Detector(**{**values, **both, "name": "two TPCs"})


def two_tables(**values):
    return tuple(
        Response.electrostatic(two_tpcs(), **{"pitch": pitch, "bins": 4, "reach": 10, "height": 1.5, **values})
        for pitch in (FINE, PITCH)
    )


def both_tracks(beside=BESIDE):
    """A track over each of the TPCs."""
    return make_segments(np.array([TRACK[0], TRACK[0] + beside]), np.array([TRACK[1], TRACK[1] + beside]), dE=8.0)
