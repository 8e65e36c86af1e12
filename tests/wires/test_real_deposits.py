"""Deposits of edep-sim in the boxes of all detectors that are built in."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from detector_files import needs_reference

from lartpc.arrays import owners
from lartpc.detector.wires import BUILT_IN, WireDetector
from lartpc.formats.eventfile import EventFile
from lartpc.simulation.wires import WireSimulation
from lartpc.wires.shaping import shape

OFFSETS = {  # [cm], in the frame of the file
    "sbnd": (0.0, 0.0, 250.0),  # through its cathode
    "microboone": (100.0, 0.0, 500.0),
    "icarus": (-285.0, 0.0, 0.0),  # where its horizontal wires are cut
    "dune-fd1": (100.0, 300.0, 110.0),
}


@pytest.mark.slow
@needs_reference
@pytest.mark.parametrize("name", BUILT_IN)
def test_charge_is_that_which_arrives(name):
    """On the collection plane to 1e-5, on the others none of it."""
    detector = WireDetector.built_in(name)
    detector = dataclasses.replace(detector, electronics=detector.electronics._replace(rc=()))
    simulation = WireSimulation(detector)
    path = Path(os.environ["LARTPC_REFERENCE_DATA"]) / "data" / "mixed-particles.edep.h5"
    segments, _ = EventFile(path, range(0, 2), offset=OFFSETS[name]).read(0)
    total, charge = np.zeros(3), 0.0
    for found in simulation(segments):
        windows = found.windows
        channel = windows.pixel[owners(windows.of_pixel, len(windows.tick))]
        kind = detector.channel_kind[channel[owners(windows.first, len(found.voltage))]]
        total += np.bincount(kind, found.voltage.astype(np.float64), 3) * detector.tick
        charge += found.steps.charge.sum(dtype=np.float64)
    one = shape(simulation.response, detector.electronics, detector.tick)[2].sum(axis=1).max() * detector.tick
    assert charge > 3e7
    assert abs(total[2] / (charge * one) - 1.0) < 1e-5
    assert np.abs(total[:2]).max() < 1e-5 * charge * one
