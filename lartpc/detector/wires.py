"""The wire detector: TPCs, planes of wires and the electronics behind them."""

from __future__ import annotations

import dataclasses
import functools
import os
from importlib.resources import as_file, files
from typing import Any

import numpy as np

from lartpc.detector.cage import Cage
from lartpc.detector.otherresponses import OtherResponse, as_ranges, other_responses
from lartpc.detector.waveforms import Adc, Electronics, NoiseModel
from lartpc.detector.wireplanes import CELL, Plane, WirePlanes, boxes, channels_of, lay_wires, lengths_of_channels
from lartpc.detector.wireyaml import read_wires
from lartpc.exceptions import InputError
from lartpc.parameters import Parameters

BUILT_IN = ("sbnd", "microboone", "icarus", "dune-fd1")


@dataclasses.dataclass(frozen=True, eq=False)
class WireDetector:
    """TPCs with planes of wires, in the simulation frame (z is the drift axis, x the beam).

    Arrays have shape (n_tpcs,): a TPC spans x_lo to x_hi, y_lo to y_hi and z_anode, where its collection wires are, to
    z_cathode [cm]. For the charge it is a plane of square cells, n_x by n_y of `pitch` [cm], as `Detector` has pixels.
    """

    name: str
    parameters: Parameters
    x_lo: np.ndarray
    x_hi: np.ndarray
    y_lo: np.ndarray
    y_hi: np.ndarray
    z_anode: np.ndarray
    z_cathode: np.ndarray
    pitch: np.ndarray
    n_x: np.ndarray
    n_y: np.ndarray
    first_pixel: np.ndarray
    module: np.ndarray
    kinds: tuple[Plane, ...]  # of planes, in the order in which electrons pass them
    planes: WirePlanes
    cage: Cage
    electronics: Electronics
    adc: Adc
    noise: NoiseModel
    tick: float  # [us]
    n_ticks: int  # of a readout window
    first_tick: int  # from the event's time to the first
    others: tuple[OtherResponse, ...] = ()  # field responses of some channels
    unread: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # channels off, rising

    @staticmethod
    def built_in(name: str) -> WireDetector:
        """One of `BUILT_IN`: the YAML of that name beside this module; InputError for any other name."""
        if name not in BUILT_IN:
            raise InputError(f"detector: found {name!r}, allowed is {', '.join(BUILT_IN)}")
        with as_file(files("lartpc.detector") / "yaml" / f"{name}.yaml") as path:
            return WireDetector.load(path)

    @staticmethod
    def load(path: str | os.PathLike) -> WireDetector:
        """Read the YAML of a wire detector, as those built in are (docs/wires.md).

        Raises InputError as `read_wires` and `other_responses`.
        """
        content = read_wires(path)
        anodes, kinds, others = (content.pop(key) for key in ("anodes", "kinds", "others"))
        tpcs = boxes(anodes, kinds)
        low, high = (np.array([[getattr(tpc, axis)[end] for tpc in tpcs] for axis in "xy"]) for end in (0, 1))
        n_x, n_y = np.ceil((high - low) / CELL).astype(np.int64)
        made = WireDetector(
            **content,
            x_lo=low[0],
            x_hi=high[0],
            y_lo=low[1],
            y_hi=high[1],
            z_anode=np.array([tpc.z_anode for tpc in tpcs]),
            z_cathode=np.array([tpc.z_cathode for tpc in tpcs]),
            pitch=np.full(len(tpcs), CELL),
            n_x=n_x,
            n_y=n_y,
            first_pixel=np.cumsum(n_x * n_y) - n_x * n_y,
            module=np.zeros(len(tpcs), dtype=np.int64),
            kinds=tuple(kinds),
            planes=lay_wires(anodes, kinds),
        )
        return dataclasses.replace(made, others=other_responses(path, others, made.channel_kind))

    @property
    def drift_start(self) -> float:
        """Height above the collection wires where responses begin [cm]."""
        return self.cage.height

    @property
    def n_modules(self) -> int:
        return 1

    @property
    def n_channels(self) -> int:
        return int((self.planes.first_channel + self.planes.wrap).max())

    @property
    def counts(self) -> dict[str, int]:
        """How many modules and TPCs there are; electronics have no values of single pixels."""
        return {"module": 1, "tpc": len(self.z_anode), "pixel": 0}

    @functools.cached_property
    def channel_kind(self) -> np.ndarray:
        """Which of `kinds` each channel is of (n_channels,) int64."""
        kind = np.zeros(self.n_channels, dtype=np.int64)
        for p in range(len(self.planes.tpc)):
            first = self.planes.first_channel[p]
            kind[first : first + self.planes.wrap[p]] = self.planes.kind[p]
        return kind

    @functools.cached_property
    def channel_response(self) -> np.ndarray:
        """Which field response each channel has (n_channels,) int64: 0 the usual one, k + 1 that of others[k]."""
        response = np.zeros(self.n_channels, dtype=np.int64)
        for k, other in enumerate(self.others):
            response[other.channels] = k + 1
        return response

    @functools.cached_property
    def channel_anode(self) -> np.ndarray:
        """The anode of each channel, or assembly of two where wires are wrapped (n_channels,) int64."""
        anode = np.zeros(self.n_channels, dtype=np.int64)
        for p in range(len(self.planes.tpc)):
            first = self.planes.first_channel[p]
            anode[first : first + self.planes.wrap[p]] = self.planes.anode[p]
        return anode

    @functools.cached_property
    def channel_length(self) -> np.ndarray:
        """Length of the wires that each channel reads (n_channels,) [cm]."""
        return lengths_of_channels(self.planes, vars(self))

    def without_channels(self, channels: np.ndarray) -> WireDetector:
        """The same where these channels, ascending (n,), are off: they read their baseline, and no fit uses them."""
        return dataclasses.replace(self, unread=np.union1d(self.unread, channels))

    def channels(self, plane: np.ndarray, wire: np.ndarray) -> np.ndarray:
        """The channels that read wires of planes, rows of `planes`, (n,) int64 each."""
        return channels_of(self.planes, plane, wire)

    def check_channels(self, where: str, channels: np.ndarray) -> None:
        """Raise InputError, beginning with `where`, for a channel (n,) that is none of the detector's."""
        for found in (int(channels.min()), int(channels.max())):
            if not 0 <= found < self.n_channels:
                allowed = f"those of {self.name}: 0 to {self.n_channels - 1}"
                raise InputError(f"{where}: channel {found}, allowed are {allowed}")

    def describe(self) -> dict[str, Any]:
        """What `lartpc info` prints of it, plain numbers."""
        return {
            "name": self.name,
            "tpcs": len(self.z_anode),
            "channels": self.n_channels,
            "planes": [
                {
                    **plane._asdict(),
                    "channels": int((self.channel_kind == k).sum()),
                    "longest_cm": float(self.channel_length[self.channel_kind == k].max()),
                }
                for k, plane in enumerate(self.kinds)
            ],
            "x": [float(self.x_lo.min()), float(self.x_hi.max())],
            "y": [float(self.y_lo.min()), float(self.y_hi.max())],
            "z_anode": self.z_anode.tolist(),
            "z_cathode": self.z_cathode.tolist(),
            "tick": self.tick,
            "ticks": self.n_ticks,
            "first_tick": self.first_tick,
            "other_responses": [as_ranges(other.channels) for other in self.others],
            "electronics": self.electronics._asdict(),
            "adc": self.adc._asdict(),
            "noise": self.noise.describe(),
        }
