"""Ways to spoil a target, one each: see spoilt.py."""

import dataclasses

import common
import numpy as np

from lartpc.data.hits import Hits
from lartpc.detector.channels import Channels
from lartpc.detector.pixelvalues import PixelValues
from lartpc.formats.attrs import describe
from lartpc.formats.hits_of_packets import find_hits
from lartpc.formats.packets import TRIGGER
from lartpc.formats.packets_of_hits import make_packets
from lartpc.simulation.noise_hits import readout_window
from lartpc.simulation.simulation import Simulation

TRUTH = common.TRUTH
SPOILT = {}
SHIFTED = {"t0_plus_0_1": 0.1, "t0_plus_2": 2.0}  # [us]
OF_THRESHOLDS = ("thresholds_of_pixels",)
OF_PACKETS = ("packets_without_triggers", "triggers_at_spill_start")
SPILL = 1.2e6  # [us] from one to the next


def spoilt(function):
    """A way to spoil: segments and a random generator -> segments of the fit, hits, and what their file tells."""
    SPOILT[function.__name__] = function
    return function


def simulation(seed=1, **options):
    return Simulation(**{"parameters": TRUTH, "noise": True, "seed": seed, **options})


def hits_of(segments, seed=1, **options):
    return simulation(seed, **options)(segments).hits


def made_by(segments, **options):
    """Hits in a file that tells what made them."""
    made = simulation(**options)
    told = {"recombination": made.recombination, "response": options.get("response", "parametric")}
    return segments, made(segments).hits, describe(made.detector, made.parameters) | told


def changed(hits, **columns):
    return dataclasses.replace(hits, **columns)


def joined(*tables):
    every = Hits(**{name: np.concatenate([vars(t)[name] for t in tables]) for name in vars(tables[0])})
    return every.select(np.lexsort((every.t, every.pixel_id, every.event_id)))


@spoilt
def control(segments, rng):
    return segments, hits_of(segments)


@spoilt
def box_for_birks(segments, rng):
    return made_by(segments, recombination="box")


@spoilt
def threshold_5000(segments, rng):
    detector = dataclasses.replace(Simulation().detector, threshold=5000.0)
    return segments, hits_of(segments, detector=detector)


@spoilt
def thresholds_of_pixels(segments, rng):
    d = Simulation().detector
    ids = np.arange(d.n_pixels)
    return segments, hits_of(segments, thresholds=PixelValues(ids, 7000.0 * rng.normal(1.0, 0.1, len(ids)), None))


def without_pixels(segments, rng, share):
    hits = hits_of(segments)
    pixels = np.unique(hits.pixel_id)
    dead = rng.choice(pixels, int(share * len(pixels)), replace=False)
    return segments, hits.select(~np.isin(hits.pixel_id, dead))


@spoilt
def dead_3(segments, rng):
    return without_pixels(segments, rng, 0.03)


@spoilt
def dead_10(segments, rng):
    return without_pixels(segments, rng, 0.10)


@spoilt
def noise_hits_2(segments, rng):
    d = Simulation().detector
    seconds = 1e-6 * readout_window(d, TRUTH) * d.n_pixels * len(segments.events)
    return segments, hits_of(segments, noise_hits=0.02 * len(hits_of(segments)) / seconds)


@spoilt
def noisy_pixels(segments, rng):
    """Hits of noise on pixels that have charge."""
    hits = hits_of(segments)
    chosen = hits.select(rng.choice(len(hits), int(0.02 * len(hits)), replace=False))
    return segments, joined(hits, changed(chosen, t=rng.uniform(0.0, 190.0, len(chosen))))


@spoilt
def charges_clipped(segments, rng):
    hits = hits_of(segments)
    return segments, changed(hits, charge=np.minimum(hits.charge, 20000.0))


@spoilt
def gain_2(segments, rng):
    return made_by(segments, parameters=TRUTH.replace(gain_factor=1.02))


@spoilt
def t0_plus_0_1(segments, rng):
    hits = hits_of(segments)
    return segments, changed(hits, t=hits.t + SHIFTED["t0_plus_0_1"])


@spoilt
def t0_plus_2(segments, rng):
    hits = hits_of(segments)
    return segments, changed(hits, t=hits.t + SHIFTED["t0_plus_2"])


@spoilt
def time_in_ticks(segments, rng):
    hits = hits_of(segments)
    return segments, changed(hits, t=hits.t * 10.0)


@spoilt
def events_swapped(segments, rng):
    hits = hits_of(segments)
    a, b = np.unique(hits.event_id)[1:3]
    other = np.where(hits.event_id == a, b, np.where(hits.event_id == b, a, hits.event_id))
    return segments, joined(changed(hits, event_id=other))


@spoilt
def event_missing(segments, rng):
    hits = hits_of(segments)
    return segments, hits.select(hits.event_id != np.unique(hits.event_id)[2])


@spoilt
def half_an_event_missing(segments, rng):
    hits = hits_of(segments)
    event = np.flatnonzero(hits.event_id == np.unique(hits.event_id)[2])
    return segments, hits.select(np.setdiff1d(np.arange(len(hits)), event[: len(event) // 2]))


@spoilt
def hits_twice_5(segments, rng):
    hits = hits_of(segments)
    return segments, joined(hits, hits.select(rng.choice(len(hits), int(0.05 * len(hits)), replace=False)))


@spoilt
def noise_doubled(segments, rng):
    detector = dataclasses.replace(Simulation().detector, reset_noise=1800.0, uncorrelated_noise=1000.0)
    return segments, hits_of(segments, detector=detector)


@spoilt
def segments_shifted(segments, rng):
    shifted = dataclasses.replace(segments, x_start=segments.x_start + 0.1, x_end=segments.x_end + 0.1)
    return shifted, hits_of(segments)


@spoilt
def work_function_2(segments, rng):
    return made_by(segments, parameters=TRUTH.replace(MeVToElectrons=1.02 * TRUTH.MeVToElectrons))


@spoilt
def temperature_88_5(segments, rng):
    return made_by(segments, parameters=TRUTH.replace(temperature=88.5))


@spoilt
def response_of_neighbours(segments, rng):
    return segments, hits_of(segments, response="electrostatic")


@spoilt
def front_end_with_rise_time(segments, rng):
    return segments, hits_of(segments, parameters=TRUTH.replace(buffer_risetime=0.65))


@spoilt
def pixels_mirrored(segments, rng):
    hits, d = hits_of(segments), Simulation().detector
    tpc, ix, iy, *_ = d.locate(hits.pixel_id)
    pixel = np.asarray(d.first_pixel)[tpc] + (np.asarray(d.n_x)[tpc] - 1 - ix) + np.asarray(d.n_x)[tpc] * iy
    _, ix, iy, x, y = d.locate(pixel)
    return segments, joined(changed(hits, pixel_id=pixel, ix=ix, iy=iy, x=x, y=y))


@spoilt
def track_missing(segments, rng):
    keys = np.stack((segments.event_id, segments.traj_id), axis=1)
    tracks, counts = np.unique(keys, axis=0, return_counts=True)
    longest = tracks[np.argmax(counts)]
    return segments.select(~(keys == longest).all(axis=1)), hits_of(segments)


def every_channel(detector):
    """A channel for every pixel."""
    n_x, n_y = int(np.max(detector.n_x)), int(np.max(detector.n_y))
    number = np.arange(n_x)[:, None] + n_x * np.arange(n_y)
    anodes = np.arange(len(detector.z_anode))
    groups = np.broadcast_to(anodes[:, None, None] + 1, (len(anodes), n_x, n_y))
    of_pixel = (number // (64 * 256) + 1, number // 64 % 256, number % 64)
    of_anode = np.stack([groups, *(np.broadcast_to(part, groups.shape) for part in of_pixel)], axis=-1)
    return Channels(of_anode, anodes, tuple({int(a) + 1: int(a) + 1 for a in anodes} for _ in anodes))


def of_spills(segments, rng, change):
    """Deposits up to 9.6 us after their spill, and hits of packets after `change`, which is told how long after."""
    detector = Simulation().detector
    index = np.searchsorted(segments.events, segments.event_id)
    after = rng.uniform(0.0, 9.6, len(segments.events))
    segments = dataclasses.replace(segments, t0=SPILL * (index + 1) + after[index])
    channels = every_channel(detector)
    packets = make_packets(hits_of(segments), segments, channels, detector)
    table, event = change(packets.table, packets.event, segments.events, after)
    return segments, find_hits(table, event, segments, channels, detector, "packets")[0]


@spoilt
def packets_without_triggers(segments, rng):
    def change(table, event, events, after):
        kept = table["packet_type"] != TRIGGER
        return table[kept], event[kept]

    return of_spills(segments, rng, change)


@spoilt
def triggers_at_spill_start(segments, rng):
    def change(table, event, events, after):
        rows = table["packet_type"] == TRIGGER
        ticks = np.floor(after[np.searchsorted(events, event[rows])] / 0.1)
        table["timestamp"][rows] -= ticks.astype(table["timestamp"].dtype)
        return table, event

    return of_spills(segments, rng, change)
