"""What makes waveforms of currents of wires: descriptions of amplifiers, noise and ADC, without any kernel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

KINDS = ("cold", "warm")
CHARGE = 1.602176634e-4  # of an electron [fC]


class Electronics(NamedTuple):
    """The amplifier of every channel, of one of `KINDS`; formulas in `lartpc.wires.electronics`."""

    kind: str
    gain: float  # [mV/fC], of cold ones the peak for a charge that comes at once
    shaping: float  # [us]
    postgain: float  # factor by which what follows amplifies
    rc: tuple[float, ...]  # time constants of high passes [us]: none, one or two


class Adc(NamedTuple):
    """A linear ADC: 0 counts at `low`, 2^bits - 1 at `high`."""

    bits: int  # up to 15, so that counts fit into int16
    low: float  # [mV]
    high: float  # [mV]
    baseline: tuple[float, ...]  # what there is without signal [mV], of the planes that are read in their order


class Charges(NamedTuple):
    """Noise of a plane by a formula: its equivalent noise charge, linear between wire lengths, constant beyond."""

    length: tuple[float, ...]  # [cm], rising
    charge: tuple[float, ...]  # rms over the peak for one electron [e]


class Spectra(NamedTuple):
    """Noise of a plane as it was measured: mean |DFT| of `samples` samples, linear between wire lengths."""

    length: np.ndarray  # (n_lengths,) [cm], rising
    frequency: np.ndarray  # (n_frequencies,) [MHz], rising
    amplitude: np.ndarray  # (n_lengths, n_frequencies) [mV], of what the amplifier shapes
    white: np.ndarray  # (n_lengths,) [mV], of what comes behind it; added in square
    samples: int
    period: float  # [us]
    gain: float  # of the amplifiers [mV/fC]
    shaping: float  # of the amplifiers [us]


class NoiseModel(NamedTuple):
    """Noise of all channels, each for itself and together in groups of channels that follow each other."""

    planes: tuple[Charges | Spectra, ...]  # of the planes that are read, in their order
    coherent: tuple[float, ...]  # of the same planes, what groups have in common [e], as in `Charges`
    group: int  # channels of a group: channel // group is its number

    def describe(self) -> dict[str, Any]:
        """What `lartpc info` prints of it, plain numbers; of measured spectra their rms [mV]."""
        return {"planes": [described(one) for one in self.planes], "coherent": self.coherent, "group": self.group}


def described(plane: Charges | Spectra) -> dict[str, Any]:
    """The noise of a plane in plain numbers."""
    told = plane._asdict()
    if isinstance(plane, Spectra):
        rms = np.sqrt(np.mean(plane.amplitude**2, axis=1))
        told |= {"length": plane.length.tolist(), "white": plane.white.tolist(), "amplitude": rms.tolist()}
        told["frequency"] = [float(plane.frequency[0]), float(plane.frequency[-1])]
    return told
