"""Detectors with all that the front end can do, and segments that keep a pixel busy."""

import dataclasses

import numpy as np
from helpers import make_segments

from lartpc.detector.detector import Detector

TICK = 0.1
LARNDSIM = {"buffer_risetime": 0.1, "discriminator_noise": 650.0, "adc_busy_delay": 9, "reset_cycles": 1}
SMOOTH_PART = {name: value for name, value in LARNDSIM.items() if name != "discriminator_noise"}
NAMES = ("Ab", "eField", "lifetime")


def module0(**front_end):
    return dataclasses.replace(Detector.module0(), **front_end)


def end_on(dE=2.0, length=10.0, events=1):
    """Segments along the drift above one pixel, dE a cm: 9000 e/us for 6.3 us a cm of length, an event each."""
    start, end = (np.tile((0.22, 0.22, z), (events, 1)) for z in (10.0, 10.0 + length))
    return make_segments(start, end, dE * length, event_id=np.arange(events))
