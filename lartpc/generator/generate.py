"""Particle generator: straight-stepped tracks of muons, pions, protons and electrons in a box of liquid argon.

A track loses energy with fluctuations, scatters, and ends where its energy does or at the border. Left out: nuclear
interactions, decays and captures at rest; delta rays are deposited on the track; radiated photons of electrons leave.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lartpc.checks import as_number, nearest, short
from lartpc.detector.detector import Detector
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.formats.edepsim import segment_dtype
from lartpc.generator.samples import LOOKALIKES, SAMPLES, Box, Primaries, contaminate
from lartpc.generator.transport import propagate

SEGMENT_DTYPE = segment_dtype()
BATCH = 100  # events that are stepped together: bounds the memory
LONGEST_SPREAD = 1e6  # [us] of start times


def event_generator(seed: int, event: int) -> np.random.Generator:
    """The numpy Generator of one event of a seed; independent of every other (seed, event)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(event,)))


def start_times(rng: np.random.Generator, primaries: Primaries, sample: str, spread: float) -> np.ndarray:
    """When each particle starts (n,) [us], normal around 0: all of an event at once, cosmic muons each by itself."""
    n = len(primaries.pdg)
    return np.broadcast_to(spread * rng.standard_normal(n if sample == "cosmics" else 1), n)


def simulate(
    sample: str, box: Box, rngs: list[np.random.Generator], purity: float = 1.0, t0_spread: float = 0.0
) -> np.ndarray:
    """Segments of a batch of events, one numpy Generator each; events and tracks count from 0, as in `generate`."""
    primaries = [SAMPLES[sample](rng, box) for rng in rngs]
    # Children: these draws change no other, and how far an event's own generator gets depends on its whole batch.
    impure, late = zip(*(rng.spawn(2) for rng in rngs), strict=True)
    if purity < 1:
        primaries = [
            contaminate(rng, sample, of_event, purity) for rng, of_event in zip(impure, primaries, strict=True)
        ]
    shift = np.concatenate([start_times(*event, sample, t0_spread) for event in zip(late, primaries, strict=True)])
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
    for column, time in (("t0_start", began), ("t0_end", ended), ("t0", (began + ended) / 2)):
        segments[column] = time + shift[track]
    segments["dx"], segments["dE"], segments["dEdx"] = length, deposit, deposit / length
    return segments


def check(sample: Any, events: Any, seed: Any, purity: Any = 1.0, t0_spread: Any = 0.0) -> None:
    """Raise InputError where `generate` says so."""
    if sample not in SAMPLES:
        near = nearest(sample, SAMPLES)
        raise InputError(f"sample {short(sample)}: unknown; did you mean {near!r}? Allowed: {', '.join(SAMPLES)}")
    for name, value in (("events", events), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise InputError(f"{name} {value!r}: not allowed; must be a whole number, 0 or more")
    share, spread = as_number(purity), as_number(t0_spread)
    if share is None or not 0 < share <= 1:
        raise InputError(f"purity {short(purity)}: not allowed; must be a number above 0, up to 1")
    if share < 1 and sample not in LOOKALIKES:
        raise InputError(f"purity {short(purity)}: not for sample {sample!r}, only for {', '.join(LOOKALIKES)}")
    if spread is None or not 0 <= spread <= LONGEST_SPREAD:
        raise InputError(
            f"t0_spread {short(t0_spread)}: not allowed; must be a number from 0 to {LONGEST_SPREAD:g} [us]"
        )


def generate(
    sample: str,
    detector: Detector | WireDetector,
    events: int = 100,
    seed: int = 0,
    purity: float = 1.0,
    t0_spread: float = 0.0,
) -> np.ndarray:
    """Energy deposits of a sample of particles, as edep-sim would write them.

    Event k depends on the seed, k and the options alone, whatever the number of events. Every particle is its own
    vertex and trajectory; times t0 are times of flight from the start of the event. Scratch columns are 0.

    Parameters
    ----------
    sample: of ten particles an event: `muons` (1 GeV kinetic energy, isotropic, entering through the border), `mixed`
        (muons, pions and protons, a third each, of 0.1 to 2 GeV from anywhere inside), `stopping-protons` (50 to 150
        MeV), `stopping-muons` and `stopping-pions` (25 to 110 MeV), all three isotropic, that stop inside,
        `crossing-muons` (1 GeV, through cathodes that two TPCs share), `cosmics` (muons from above, 0.2 to 100 GeV),
        `electrons` (5 to 50 MeV from anywhere inside). Muons and pions are of either charge
    detector: `Detector` or `WireDetector`; only the box around its TPCs matters, and its cathodes
    events: number of events
    seed: any whole number from 0
    purity: above 0, up to 1: each particle is with probability 1 - purity one of another kind that looks alike; a pion
        of the same range in `stopping-protons` and `stopping-muons`, a muon of it in `stopping-pions`, a pion of the
        same kinetic energy in `crossing-muons`. The other particles stay as they are
    t0_spread: standard deviation [us], 0 to 1e6, of the start of an event; in `cosmics` of that of each particle. Only
        times depend on it

    Returns
    -------
    (n,) structured array of `SEGMENT_DTYPE`, edep-sim frame (x drift, y up, z beam) [cm, MeV, us], by event, track and
    step.

    Raises InputError for an unknown sample, a number of events or a seed that is negative or not whole, a purity or
    spread that is not allowed, a purity below 1 of any other sample, `crossing-muons` where no TPCs share a cathode.
    """
    check(sample, events, seed, purity, t0_spread)
    if events == 0:
        return np.zeros(0, SEGMENT_DTYPE)
    box = Box.around(detector)
    batches = []
    for first in range(0, events, BATCH):
        rngs = [event_generator(int(seed), event) for event in range(first, min(first + BATCH, events))]
        batches.append(simulate(sample, box, rngs, float(purity), float(t0_spread)))
    tracks = 0
    for k, segments in enumerate(batches):
        segments["event_id"] += k * BATCH
        for column in ("file_vertex_id", "file_traj_id"):
            segments[column] += segments.dtype[column].type(tracks)
        tracks = int(segments["file_traj_id"][-1]) + 1
    segments = np.concatenate(batches)
    segments["segment_id"] = np.arange(len(segments))
    return segments
