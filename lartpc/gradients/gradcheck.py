"""Check the gradient of the whole chain against central differences and by the Taylor remainder."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.blas import one_blas_thread
from lartpc.checks import check_choice
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.frontend.frontend import Reads
from lartpc.gradients.taylor import LARGEST_STEPS, Report, Row, rows_of, steps_of
from lartpc.gradients.trace import Trace
from lartpc.parameters import OF_COUNTS, common_name, parameter
from lartpc.response.windows import Windows
from lartpc.settings import Settings
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms
from lartpc.simulation.simulation import Simulation

# With the default settings, results jump by 1e-10 to 1e-7 where a parameter moves the tick at which a slow exponential
# is cut: the jumps, not the gradient, would then decide the check. With these they are below rounding.
SMOOTH = Settings(lookback=48.0, precision=1e-7)

MOST = 0.8  # of the pixels with hits that must keep their reads in the largest step
NEAR = 1e-3  # fraction of the threshold within which a hit counts as near to appear or vanish
LOSSES = ("waveforms", "charges", "times", "hits")


@one_blas_thread
def gradcheck(
    simulation: Simulation,
    segments: Segments,
    names: Iterable[str] | None = None,
    progress: Callable[[Iterable], Iterable] = lambda names: names,
) -> Report:
    """Compare adjoint and central difference of four losses for each parameter, and measure the Taylor remainder.

    The difference is (8 (loss(p + h) - loss(p - h)) - (loss(p + 2h) - loss(p - 2h)))/(12 h).
    waveforms: sum of squared differences to 0.9 of the waveforms at the start, over their number; charges: sum of hit
    charges; times: sum of hit times; hits: sum of (charge - 20000 e)^2/(1000 e)^2 + (time - mean)^2/(1 us)^2.
    The remainder |loss(p + h) - loss(p) - h dloss/dp| must fall as h^2 over three decades of h.

    `simulation` in float64, best with the settings `SMOOTH`; `names` None: all parameters that the results depend on,
    but for gains and pedestals, which ADC counts alone do.
    All events are one batch. Raises InputError: not float64, an unknown parameter, one that nothing depends on, no
    segment in the detector.
    """
    if simulation.dtype != np.float64:
        raise InputError(f"dtype: found {simulation.dtype}, allowed is float64: differences need its precision")
    simulation = simulation.apart(names or ())
    known = [name for name in simulation.acting() if common_name(name) not in OF_COUNTS]
    for name in names or ():
        check_choice("parameter", name, known)
    check = Check(simulation, simulation.batch(segments))
    rows, left_out = [], 0
    for name in progress(list(names or known)):
        found, left = check.parameter(name)
        rows += found
        left_out = max(left_out, left)
    return Report(rows, int(np.count_nonzero(check.base.tick >= 0)), check.near(), left_out)


def in_memory(of: Any) -> Any:
    """A named tuple of arrays, these in main memory."""
    return type(of)(*map(to_numpy, of))


class Evaluation(NamedTuple):
    """Results at some parameters, hits in the order of the pixels of the first evaluation."""

    windows: Windows
    current: np.ndarray
    row: np.ndarray  # pixel of these -> pixel of the first evaluation, -1 where that has none
    tick: np.ndarray  # (n_pixels, max_hits) tick of each read, -1 where there is none
    time: np.ndarray  # (n_pixels, max_hits) [us], 0 where there is no read
    charge: np.ndarray  # (n_pixels, max_hits) [e], likewise


class Check:
    """One batch, evaluated at its parameters and near them."""

    def __init__(self, simulation: Simulation, batch: Batch) -> None:
        self.batch = batch
        self.trace = Trace(simulation, batch)
        self.simulation = copy.copy(simulation)  # with room for as many reads everywhere
        most = self.trace.reads.charge.shape[1]
        self.simulation.detector = dataclasses.replace(simulation.detector, max_hits=most)
        windows = in_memory(self.trace.waveforms.windows)
        if len(windows.pixel) == 0:
            raise InputError("segments: none gives charge in the detector, so there is no gradient to check")
        self.origin = windows.tick.min()
        self.pixels = self.pixel_keys(windows)
        self.base = self.evaluation(self.trace.waveforms, self.trace.reads)
        self.samples = self.sample_keys(self.base)
        self.current = self.base.current.copy()
        used = self.base.charge > 0.0
        self.mean_time = self.base.time[used].mean() if used.any() else 0.0

    def pixel_keys(self, windows: Windows) -> np.ndarray:
        return windows.event * self.simulation.detector.n_pixels + windows.pixel

    def evaluation(self, waveforms: Waveforms, reads: Reads) -> Evaluation:
        windows, reads = in_memory(waveforms.windows), in_memory(reads)
        key = self.pixel_keys(windows)
        at = np.minimum(np.searchsorted(self.pixels, key), len(self.pixels) - 1)
        row = np.where(self.pixels[at] == key, at, -1)
        known = row >= 0
        used = np.arange(reads.charge.shape[1]) < reads.count[:, None]
        time = (windows.tick[reads.window] - self.origin) * self.simulation.detector.tick + reads.time
        shape = (len(self.pixels), reads.charge.shape[1])
        ticks, times, charges = np.full(shape, -1), np.zeros(shape), np.zeros(shape)
        ticks[row[known]] = np.where(used, windows.tick[reads.window] - self.origin + reads.tick, -1)[known]
        times[row[known]] = np.where(used, time, 0.0)[known]
        charges[row[known]] = np.where(used, reads.charge, 0.0)[known]
        return Evaluation(windows, to_numpy(waveforms.current), row, ticks, times, charges)

    def sample_keys(self, evaluation: Evaluation) -> np.ndarray:
        """Pixel and tick of every sample as one number, ascending for the first evaluation."""
        windows = evaluation.windows
        lengths = np.diff(windows.first)
        pixel = np.repeat(np.repeat(evaluation.row, np.diff(windows.of_pixel)), lengths)
        tick = np.arange(windows.first[-1]) - np.repeat(windows.first[:-1] - windows.tick, lengths)
        return pixel * 2**40 + (tick - self.origin + 2**20)

    def target(self, evaluation: Evaluation) -> np.ndarray:
        """0.9 of the first evaluation's current at the samples of another one."""
        key = self.sample_keys(evaluation)
        at = np.minimum(np.searchsorted(self.samples, key), len(self.samples) - 1)
        return np.where(self.samples[at] == key, 0.9 * self.current[at], 0.0)

    def losses(self, evaluation: Evaluation, kept: np.ndarray) -> np.ndarray:
        """The four losses, of `LOSSES`; those of hits over the pixels `kept`. Constants are left out."""
        current = evaluation.current
        size = np.sum(self.current**2)
        used = kept[:, None] & (evaluation.charge > 0.0)
        time, charge = evaluation.time[used], evaluation.charge[used]
        return np.array(
            [
                np.sum(current**2 - 2.0 * current * self.target(evaluation)) / size,
                np.sum(charge),
                np.sum(time - self.mean_time),
                np.sum(((charge - 2e4) / 1e3) ** 2 + (time - self.mean_time) ** 2),
            ]
        )

    def gradients(self, kept: np.ndarray) -> list[dict[str, float]]:
        """d(loss)/d(parameter) of each loss, by the adjoints."""
        base, current = self.base, self.current
        used = (kept[:, None] & (base.charge > 0.0)).astype(np.float64)
        seeds = (
            {"current": 0.2 * current / np.sum(current**2)},
            {"charge": used},
            {"time": used},
            {"charge": used * 2e-6 * (base.charge - 2e4), "time": used * 2.0 * (base.time - self.mean_time)},
        )
        put = self.simulation.xp.asarray
        return [self.trace.backward(**{n: put(of) for n, of in seed.items()}).parameters for seed in seeds]

    def parameter(self, name: str) -> tuple[list[Row], int]:
        """The rows of one parameter, and the number of hits left out.

        Charge is linear between ticks, so a read's time and charge have a kink where it moves to another tick.
        Those that do within the steps are left out; steps are smaller where a parameter shifts all times.
        """
        start = to_numpy(self.simulation.vector())
        slot = self.simulation.parameters.names.index(name)
        scale = start[slot] or parameter(name).scale

        def at(h: float) -> Evaluation:
            moved = start.copy()
            moved[slot] += h * scale
            waveforms = self.simulation.waveforms(self.batch, self.simulation.xp.asarray(moved))
            reads = self.simulation.reads(waveforms, self.batch, self.simulation.pixels(waveforms))
            return self.evaluation(waveforms, reads)

        def same(evaluation: Evaluation) -> np.ndarray:
            return np.all(evaluation.tick == self.base.tick, axis=1)

        hit = self.base.tick[:, 0] >= 0
        for largest in LARGEST_STEPS:
            first = at(largest)
            if not hit.any() or np.mean(same(first)[hit]) >= MOST:
                break
        steps = {0.0: self.base, largest: first}
        steps |= {h: at(h) for h in steps_of(largest) if h not in steps}
        kept = np.all([same(evaluation) for evaluation in steps.values()], axis=0)
        gradient = np.array([g[name] for g in self.gradients(kept)]) * scale
        noise = np.zeros(len(LOSSES))
        noise[LOSSES.index("times")] = np.linalg.norm(self.base.time[kept])  # rounded before the mean is taken off
        rows = rows_of(name, LOSSES, lambda h: self.losses(steps[h], kept), gradient, largest, noise)
        return rows, int(np.count_nonzero(self.base.tick[~kept] >= 0))

    def near(self) -> int:
        """Pixels where a hit nearly vanishes or nearly appears."""
        windows = self.base.windows
        first = windows.first[windows.of_pixel]
        total = np.add.reduceat(self.current, first[:-1]) * self.simulation.detector.tick
        count = np.count_nonzero(self.base.tick >= 0, axis=1)
        left = total - self.base.charge.sum(axis=1)
        threshold = to_numpy(self.trace.pixels.threshold)
        last = self.base.charge[np.arange(len(left)), np.maximum(count - 1, 0)]
        close = np.minimum(np.abs(left - threshold), np.abs(left + last - threshold))
        return int(np.count_nonzero(close < NEAR * threshold))
