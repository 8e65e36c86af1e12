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


def like_larnd_sim(detector, gap=0.0, pitch=PITCH):
    """A table as larnd-sim's at 0.05 us, of one neighbour on each side.

    Bins of a tenth of the pitch, their middles half a bin from its multiples; from 30.431 cm on, so that for nearly all
    of the time there is almost nothing, then the signal, then nothing until 195 us.
    """
    made = Response.electrostatic(detector, pitch=pitch, reach=15, height=30.431, time_tick=0.05, gap=gap)
    end = 3900 - made.response.shape[2]
    return dataclasses.replace(made, response=np.pad(made.response, ((0, 0), (0, 0), (0, end))))


def write_like_larnd_sim(path, table, kind):
    """Write a table as larnd-sim's files, without its velocity; returns what is in the file.

    half: at 0.05 us, each number an array of one; full: at 0.1 us, averaged, in single precision; long: with zeros
    before, from 46.788 cm on; alone: npy, without the numbers.
    """
    if kind != "half":
        wide = np.pad(table.response, ((0, 0), (0, 0), (1, 1)))
        mean = 0.25 * wide[..., :-2:2] + 0.5 * wide[..., 1:-1:2] + 0.25 * wide[..., 2::2]
        table = dataclasses.replace(table, response=mean, time_tick=0.1)
    if kind == "long":
        before = round((46.788 - table.drift_length) / table.vdrift / table.time_tick)
        longer = np.pad(table.response, ((0, 0), (0, 0), (before, 0)))
        table = dataclasses.replace(table, response=longer, drift_length=46.788)
    shape = (1,) if kind == "half" else ()
    numbers = {name: np.full(shape, getattr(table, name)) for name in ("drift_length", "time_tick", "bin_size")}
    with open(path, "wb") as file:
        if kind == "alone":
            np.save(file, table.response)
        else:
            kept = table.response.astype(np.float32 if kind == "full" else np.float64)
            np.savez_compressed(file, response=kept, **numbers)
    return table
