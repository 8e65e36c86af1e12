"""A clean target of some events of one proton each, and hits that are changed."""

import dataclasses

import numpy as np
from samples import protons

from lartpc.data.hits import Hits
from lartpc.simulation.simulation import Simulation


def one_an_event(tracks, seed=1):
    """Stopping protons, an event each."""
    segments = protons(tracks, seed)
    return dataclasses.replace(segments, event_id=segments.traj_id.copy())


def hits_of(segments, seed=1, **options):
    """With noise, at nominal parameters unless told."""
    return Simulation(noise=True, seed=seed, **options)(segments).hits


def changed(hits, **columns):
    return dataclasses.replace(hits, **columns)


def joined(*tables):
    """Hits in the order of a file."""
    every = Hits(**{name: np.concatenate([vars(t)[name] for t in tables]) for name in vars(tables[0])})
    return every.select(np.lexsort((every.t, every.pixel_id, every.event_id)))


def on_pixel(hits, pixel, detector):
    """The same hits elsewhere."""
    _, ix, iy, x, y = detector.locate(pixel)
    return changed(hits, pixel_id=pixel, ix=ix, iy=iy, x=x, y=y)
