"""Amplifiers, noise and ADCs of the wire detectors that are built in; docs/wires-electronics.md says from where."""

from __future__ import annotations

from typing import NamedTuple

from lartpc.detector.waveforms import Adc, Charges, Electronics, NoiseModel


class Channels(NamedTuple):
    """What follows the wires of a detector; planes in the order in which electrons pass them."""

    electronics: Electronics
    noise: NoiseModel
    adc: Adc


WITHOUT_COMMON = (0.0, 0.0, 0.0)

CHANNELS = {
    "sbnd": Channels(
        Electronics("cold", gain=14.0, shaping=2.2, postgain=1.0, rc=(500.0,)),
        NoiseModel(
            (Charges((0.0, 577.0), (165.0, 474.0)), Charges((0.0, 577.0), (165.0, 474.0)), Charges((400.0,), (377.0,))),
            WITHOUT_COMMON,
            group=128,
        ),
        Adc(bits=12, low=0.0, high=1800.0, baseline=(879.5, 879.5, 286.0)),
    ),
    "microboone": Channels(
        Electronics("cold", gain=14.0, shaping=2.2, postgain=1.2, rc=(1000.0, 1000.0)),
        NoiseModel(
            (Charges((0.0, 466.0), (197.0, 405.0)), Charges((0.0, 466.0), (197.0, 405.0)), Charges((233.0,), (338.0,))),
            WITHOUT_COMMON,
            group=48,
        ),
        Adc(bits=12, low=0.0, high=2000.0, baseline=(999.3, 999.3, 231.02)),
    ),
    "icarus": Channels(
        Electronics("warm", gain=14.9654, shaping=1.3, postgain=1.0, rc=(1100.0,)),
        NoiseModel(
            (Charges((895.0,), (2070.0,)), Charges((366.0,), (2050.0,)), Charges((366.0,), (2050.0,))),
            WITHOUT_COMMON,
            group=64,
        ),
        Adc(bits=12, low=0.8, high=3300.0, baseline=(1650.0, 1650.0, 322.3)),
    ),
    "dune-fd1": Channels(
        Electronics("cold", gain=14.0, shaping=2.2, postgain=1.1365, rc=()),
        NoiseModel(
            (Charges((0.0, 740.0), (165.0, 516.0)), Charges((0.0, 740.0), (165.0, 516.0)), Charges((600.0,), (406.0,))),
            WITHOUT_COMMON,
            group=128,
        ),
        Adc(bits=14, low=200.0, high=1600.0, baseline=(1003.4, 1003.4, 507.7)),
    ),
}
