"""Particle generator: straight-stepped tracks of muons, pions, protons and electrons in a box of liquid argon.

A track loses energy with fluctuations, scatters, and ends where its energy does or at the border. Left out: nuclear
interactions, decays and captures at rest; delta rays are deposited on the track; radiated photons of electrons leave.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lartpc.checks import nearest
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.formats.edepsim import segment_dtype
from lartpc.generator.samples import SAMPLES, Box
from lartpc.generator.transport import propagate

SEGMENT_DTYPE = segment_dtype()
BATCH = 100  # events that are stepped together: bounds the memory


def event_generator(seed: int, event: int) -> np.random.Generator:
    """The numpy Generator of one event of a seed; independent of every other (seed, event)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(event,)))


def simulate(sample: str, box: Box, rngs: list[np.random.Generator]) -> np.ndarray:
    """Segments of a batch of events, one numpy Generator each; events and tracks count from 0, as in `generate`."""
    primaries = [SAMPLES[sample](rng, box) for rng in rngs]
    track, start, end, length, deposit, began, ended = propagate(box, primaries, rngs)
    event = np.repeat(np.arange(len(rngs)), [len(of_event.pdg) for of_event in primaries])
    within = np.concatenate([np.arange(len(of_event.pdg)) for of_event in primaries])
    segments = np.zeros(len(track), SEGMENT_DTYPE)
    segments["event_id"] = event[track]
    segments["vertex_id"] = segments["traj_id"] = within[track]
    segments["file_vertex_id"] = segments["file_traj_id"] = track
    segments["pdg_id"] = np.concatenate([of_event.pdg for of_event in primaries])[track]
    for column, axis in (("x", 2), ("y", 1), ("z", 0)):  # the drift axis is z here and x in the file
        segments[f"{column}_start"], segments[f"{column}_end"] = start[:, axis], end[:, axis]
        segments[column] = (start[:, axis] + end[:, axis]) / 2
    segments["t0_start"], segments["t0_end"], segments["t0"] = began, ended, (began + ended) / 2
    segments["dx"], segments["dE"], segments["dEdx"] = length, deposit, deposit / length
    return segments


def check(sample: Any, events: Any, seed: Any) -> None:
    """Raise InputError unless the sample is known, and events and seed are whole numbers that are not negative."""
    if sample not in SAMPLES:
        near = nearest(sample, SAMPLES)
        raise InputError(f"sample {sample!r}: unknown; did you mean {near!r}? Allowed: {', '.join(SAMPLES)}")
    for name, value in (("events", events), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise InputError(f"{name} {value!r}: not allowed; must be a whole number, 0 or more")


def generate(sample: str, detector: Detector, events: int = 100, seed: int = 0) -> np.ndarray:
    """Energy deposits of a sample of particles, as edep-sim would write them.

    Event k depends on the seed and k alone, whatever the number of events. Every particle is its own vertex and
    trajectory; times t0 are times of flight from the start of the event. Scratch columns are 0.

    Parameters
    ----------
    sample: `muons` (ten of 1 GeV kinetic energy, isotropic, entering through the border), `mixed` (ten muons, pions and
        protons, a third each, of 0.1 to 2 GeV from anywhere inside), `stopping-protons` (ten of 50 to 150 MeV that stop
        inside), `electrons` (ten of 5 to 50 MeV from anywhere inside)
    detector: `Detector`; only the box around its TPCs matters
    events: number of events
    seed: any whole number from 0

    Returns
    -------
    (n,) structured array of `SEGMENT_DTYPE`, edep-sim frame (x drift, z beam) [cm, MeV, us], by event, track and step.

    Raises InputError for an unknown sample, or a number of events or a seed that is negative or not whole.
    """
    check(sample, events, seed)
    if events == 0:
        return np.zeros(0, SEGMENT_DTYPE)
    box = Box.around(detector)
    batches = [
        simulate(sample, box, [event_generator(int(seed), event) for event in range(first, min(first + BATCH, events))])
        for first in range(0, events, BATCH)
    ]
    tracks = 0
    for k, segments in enumerate(batches):
        segments["event_id"] += k * BATCH
        for column in ("file_vertex_id", "file_traj_id"):
            segments[column] += segments.dtype[column].type(tracks)
        tracks = int(segments["file_traj_id"][-1]) + 1
    segments = np.concatenate(batches)
    segments["segment_id"] = np.arange(len(segments))
    return segments
