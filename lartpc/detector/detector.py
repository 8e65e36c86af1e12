"""The detector: TPCs and readout electronics."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lartpc.detector.builtin import BUILT_IN
from lartpc.detector.larndsim_yaml import HOLD_OFFSET, MOST_TICKS, V_CM, V_REF, read_detector
from lartpc.detector.pixelfiles import read_files
from lartpc.detector.pixelvalues import (
    NEVER,
    PIXEL_VALUES,
    PixelValues,
    unreachable,
    values_of,
    with_values,
)
from lartpc.detector.placement import geometry_of, place_modules
from lartpc.exceptions import InputError
from lartpc.parameters import Parameters

Files = str | os.PathLike | Sequence[str | os.PathLike]


@dataclasses.dataclass(frozen=True, eq=False)
class Detector:
    """Pixel planes, one a TPC, and the electronics behind them, in the simulation frame (z is the drift axis).

    Arrays have shape (n_tpcs,); module by module, and within one in the order of its layout
    (module0: TPC 0 has its anode at negative z). A pixel plane spans x_lo to x_hi and y_lo to y_hi, its TPC z_anode
    to z_cathode [cm]. A pixel's index along x is floor((x - x_lo) / pitch), along y likewise; its id is
    first_pixel + ix + n_x * iy, which is larnd-sim's ix + n_x * (iy + n_y * plane).
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
    tick: float = 0.1  # [us]
    drift_start: float = 0.5  # height above the anode where the parametric response begins [cm]
    threshold: float = 7000.0  # [e]
    gain: float = 4e-3  # [mV/e]
    v_cm: float = V_CM  # [mV]
    v_ref: float = V_REF  # [mV]
    v_pedestal: float = 580.0  # [mV]
    adc_counts: int = 256
    adc_scale_factor: int = 1  # by which the counts of the converter are divided
    hold_ticks: int = 15 + HOLD_OFFSET  # from the crossing to the read
    reset_noise: float = 900.0  # [e]
    uncorrelated_noise: float = 500.0  # [e]
    # Off unless a file says otherwise; larnd-sim has 650 e, 0.1 us, 9 and 1 where it does not.
    discriminator_noise: float = 0.0  # [e]
    buffer_risetime: float = 0.0  # [us]
    adc_busy_delay: int = 0  # [ticks] after a read and its reset without another hit
    reset_cycles: int = 0  # [ticks] after a read in which charge is lost
    periodic_reset_cycles: int = 0  # [ticks] between resets of a pixel that is not read; 0: there are none
    packet_version: int | None = None  # of the chips, which changes no hit; None: where nothing says it
    max_hits: int | None = None  # a pixel and event; None: as many as there are
    thresholds: PixelValues | None = None  # of single pixels [e], else `threshold`
    gains: PixelValues | None = None  # [mV/e], else `gain`
    pedestals: PixelValues | None = None  # [mV], else `v_pedestal`
    response_sampling: float | None = None  # [us] of a table of the response that does not say it; None: the tick
    notes: tuple[str, ...] = ()  # what is to be said of the files that it was loaded from, a line each

    @staticmethod
    def module0() -> Detector:
        """The detector of the paper: two TPCs of 140 x 280 pixels, pitch 0.4434 cm, drift 30.27225 cm."""
        return Detector.built_in("module0")

    @staticmethod
    def built_in(name: str) -> Detector:
        """One of `builtin.BUILT_IN`: module0, 2x2 (4 modules), ndlar (35); InputError for any other name."""
        if name not in BUILT_IN:
            raise InputError(f"detector: found {name!r}, allowed is {', '.join(BUILT_IN)}")
        built = BUILT_IN[name]()
        placed = place_modules(built.layouts, built.offsets)
        return Detector(name, Parameters(), **geometry_of(placed, built.drift_length), **built.electronics)

    @staticmethod
    def load(
        detector_yaml: str | os.PathLike,
        layout_yaml: str | os.PathLike | Sequence[str | os.PathLike] = (),
        *,
        link_vdrift: bool = True,
    ) -> Detector:
        """Read larnd-sim's detector YAML, of either generation, and its pixel layout (none: the tiles of module0).

        Several layouts are those of one module each. What the file does not say is as in module0. Lists of e_field and
        lifetime, one value a module, are values of single modules. Keys of light and packets are known and ignored.
        Where TPCs overlap by a little along the drift, a deposit belongs to the nearer anode, which `notes` says.
        `link_vdrift` False takes the file's `vdrift`, where it has one, as a parameter of its own; else it follows from
        the field. Raises InputError, one line: unknown key (with the nearest), wrong type, value that is not physical.
        """
        return Detector(**read_detector(detector_yaml, layout_yaml, link_vdrift))

    def with_pixel_values(
        self,
        thresholds: Files | None = None,
        gains: Files | None = None,
        pedestals: Files | None = None,
        pixels_of: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> Detector:
        """The same with values of single pixels from files, as `read_pixel_values` reads them; None: as they are.

        One file, or one for each module. Pixel ids are larnd-sim's, who counts pixels by the size of the planes of
        their own module: where sizes differ these are ambiguous, and allowed in files of single modules only.

        Raises InputError as `read_pixel_values` does, for a pixel that the detector does not have, and for ids that are
        ambiguous.
        """
        given: dict[str, Any] = {"thresholds": thresholds, "gains": gains, "pedestals": pedestals}
        tables: dict[str, Any] = {}
        for name, path in given.items():
            if path is not None:
                paths = [path] if isinstance(path, str | os.PathLike) else list(path)
                tables[name] = read_files(paths, PIXEL_VALUES[name], self, pixels_of)
        return dataclasses.replace(self, **tables)

    def without_pixels(self, pixel: np.ndarray) -> Detector:
        """The same with thresholds that the pixels of these ids, ascending (n,), never reach: no channel reads them."""
        given = self.thresholds or PixelValues(np.zeros(0, dtype=np.int64), np.zeros(0), self.threshold)
        return dataclasses.replace(self, thresholds=with_values(given, pixel, NEVER))

    @property
    def unread(self) -> np.ndarray:
        """Ids of the pixels without hits, see `without_pixels`, ascending."""
        return np.zeros(0, dtype=np.int64) if self.thresholds is None else unreachable(self.thresholds)

    def with_dead_time(self, time: float) -> Detector:
        """The same where no hit begins for a `time` [us] after another and its reset; charge counts meanwhile.

        Raises InputError where it is no whole number of ticks from 0 to `MOST_TICKS`.
        """
        ticks = time / self.tick
        if not 0.0 <= ticks <= MOST_TICKS or abs(ticks - round(ticks)) > 1e-6:
            raise InputError(
                f"dead time: found {time:g} us, allowed is a whole number of ticks of {self.tick:g} us from 0 to "
                f"{MOST_TICKS * self.tick:g} us"
            )
        return dataclasses.replace(self, adc_busy_delay=round(ticks))

    @property
    def dead_ticks(self) -> int:
        """From the crossing of a hit to when the next may be: hold, reset and dead time."""
        return self.hold_ticks + self.reset_cycles + self.adc_busy_delay

    @property
    def most_hits(self) -> float:
        """`max_hits`, infinite where there is no limit."""
        return np.inf if self.max_hits is None else self.max_hits

    @property
    def n_modules(self) -> int:
        return int(self.module.max()) + 1

    @property
    def n_pixels(self) -> int:
        return int((self.n_x * self.n_y).sum())

    @property
    def counts(self) -> dict[str, int]:
        """How many modules, TPCs and pixels there are."""
        return {"module": self.n_modules, "tpc": len(self.z_anode), "pixel": self.n_pixels}

    def tpc_of(self, pixel: np.ndarray) -> np.ndarray:
        """The TPC of pixels by their ids, (n,)."""
        return np.searchsorted(self.first_pixel, pixel, side="right") - 1

    def locate(self, pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """TPC, column, row and centre x, y [cm] of pixels by their ids, all (n,)."""
        tpc = self.tpc_of(pixel)
        within = pixel - self.first_pixel[tpc]
        ix, iy = within % self.n_x[tpc], within // self.n_x[tpc]
        x = self.x_lo[tpc] + (ix + 0.5) * self.pitch[tpc]
        y = self.y_lo[tpc] + (iy + 0.5) * self.pitch[tpc]
        return tpc, ix, iy, x, y

    def of_pixels(self, name: str, pixel: np.ndarray) -> np.ndarray:
        """The `threshold` [e], `gain` [mV/e] or `v_pedestal` [mV] of pixels by their ids, (n,) float64."""
        table = {"threshold": self.thresholds, "gain": self.gains, "v_pedestal": self.pedestals}[name]
        return np.full(len(pixel), getattr(self, name)) if table is None else values_of(table, pixel)

    @property
    def full_scale(self) -> float:
        """The voltage [mV] of `adc_counts` counts, from `v_cm` on; what the last count does not reach is clipped."""
        return (self.v_ref - self.v_cm) * self.adc_scale_factor

    def adc_scale(self, pixel: np.ndarray | None = None) -> tuple[Any, Any, float]:
        """The counts of a charge q [e] are (q gain + offset) per_mV: these three, of pixels where ids are given."""
        gain: Any = self.gain
        pedestal: Any = self.v_pedestal
        if pixel is not None:
            gain, pedestal = self.of_pixels("gain", pixel), self.of_pixels("v_pedestal", pixel)
        return gain, pedestal - self.v_cm, self.adc_counts / self.full_scale

    def adc(self, charge: np.ndarray | float, pixel: np.ndarray | None = None) -> np.ndarray:
        """ADC counts of charges [e], clipped and not rounded, as `digitize` gives them; that of 0 is the pedestal.

        By the gain and pedestal of the pixel of each, where their ids are given.
        """
        gain, offset, per_mV = self.adc_scale(pixel)
        return np.clip((charge * gain + offset) * per_mV, 0.0, self.adc_counts - 1.0)
