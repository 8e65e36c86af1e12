"""Check the gradients of waveforms of wires, and of their likelihood, against central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.blas import one_blas_thread
from lartpc.checks import check_choice
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.unknowns import unknowns_of
from lartpc.fit.waveforms import nothing, together
from lartpc.gradients.taylor import LARGEST_STEPS, Report, Row, rows_of
from lartpc.gradients.waveforms import WireTrace
from lartpc.losses.waveforms import WaveformObjective
from lartpc.simulation.wires import WireSimulation

LOSSES = ("waveforms", "likelihood")
OFF = 0.9  # of the waveforms at the start are the data
ALIKE = 0.1  # of their norm: by how much the largest step may change waveforms
NONE = np.zeros(0, dtype=np.int64)


@one_blas_thread
def gradcheck_waveforms(
    simulation: WireSimulation,
    segments: Segments,
    names: Iterable[str] | None = None,
    progress: Callable[[Iterable], Iterable] = lambda names: names,
) -> Report:
    """Compare gradient and central difference of two losses for each parameter, and measure the Taylor remainder.

    As `gradcheck` of pixels. Data are 0.9 of the waveforms at the start, in the regions that a fit compares.
    waveforms: sum of squared differences over that of the waveforms, by the adjoints of `WireTrace`; likelihood: of
    `losses.waveforms`, by the derivatives of all samples that a fit takes.

    `simulation` in float64; `names` None: all parameters that the results depend on. Raises InputError: not float64, an
    unknown parameter, one that nothing depends on, no signal that is read.
    """
    if simulation.dtype != np.float64:
        raise InputError(f"dtype: found {simulation.dtype}, allowed is float64: differences need its precision")
    wanted = list(names or together(simulation, segments.events))
    for name in wanted:
        check_choice("parameter", name, simulation.acting())
    check = WaveformCheck(WaveformObjective(simulation, segments, nothing, unknowns_of(simulation, wanted)))
    return Report([row for k in progress(range(len(wanted))) for row in check.rows(k)])


class WaveformCheck:
    """An objective whose data are `OFF` of its model where its unknowns start, and its gradients there."""

    def __init__(self, objective: WaveformObjective) -> None:
        self.objective, self.start = objective, objective.unknowns.start
        self.size = objective.unknowns.size(self.start)
        model = [-objective.residuals(k, self.start, NONE)[0] for k in range(len(objective.batches))]
        objective.data = [OFF * one for one in model]
        self.square = float(sum(one @ one for one in model))
        self.gradients = np.array([self.of_waveforms(), objective(self.start).gradient])  # (2, n_unknowns)

    def of_waveforms(self) -> np.ndarray:
        """The gradient of the first loss (n_unknowns,), by adjoints."""
        objective, total = self.objective, np.zeros(len(self.start))
        simulation = objective.simulation
        for k, (batch, regions) in enumerate(zip(objective.batches, objective.regions, strict=True)):
            trace = WireTrace(simulation, batch, objective.vector(self.start), simulation.detector.n_ticks, True)
            spans, inside = regions.spans(trace.waveforms.windows, to_numpy(batch.event_id))
            seed = np.zeros(int(spans.windows.first[-1]))
            seed[inside] = -2.0 / self.square * objective.residuals(k, self.start, NONE)[0]
            found, _ = trace.backward(simulation.xp.asarray(seed[to_numpy(spans.narrow)]))
            total += [found[name] for name in objective.unknowns.names]
        return total

    def rows(self, k: int) -> list[Row]:
        """Those of unknown k, from the largest step that leaves waveforms much as they are."""
        largest = next((h for h in LARGEST_STEPS if self.change(k, h) < ALIKE), LARGEST_STEPS[-1])
        gradient = self.gradients[:, k] * self.size[k]
        return rows_of(self.objective.unknowns.names[k], LOSSES, lambda h: self.losses(k, h), gradient, largest)

    def residuals(self, k: int, h: float) -> list[np.ndarray]:
        """Of each batch, with unknown k moved by h of its size."""
        values = self.start.copy()
        values[k] += h * self.size[k]
        return [self.objective.residuals(batch, values, NONE)[0] for batch in range(len(self.objective.batches))]

    def change(self, k: int, h: float) -> float:
        """The norm of the change of waveforms over theirs."""
        pairs = zip(self.residuals(k, h), self.residuals(k, 0.0), strict=True)
        return float(np.sqrt(sum(np.sum((one - other) ** 2) for one, other in pairs) / self.square))

    def losses(self, k: int, h: float) -> np.ndarray:
        """Those of `LOSSES` (2,)."""
        found = self.residuals(k, h)
        compared = zip(self.objective.regions, found, strict=True)
        squares = [self.objective.compare(regions, one, np.zeros((0, len(one))))[0] for regions, one in compared]
        return np.array([sum(one @ one for one in found) / self.square, 0.5 * sum(one.sum() for one in squares)])
