"""Attribution of simulated hits: which segments and trajectories their charge comes from, by the charge itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lartpc.adjoint.frontend.buffer import buffer_adjoint
from lartpc.adjoint.losses.likelihood import likelihood_adjoint
from lartpc.adjoint.pixels.levels import back_levels
from lartpc.adjoint.pixels.rows import BY_LOG_CHARGE, BY_Y, pull
from lartpc.adjoint.response.convolve import convolve_adjoint
from lartpc.adjoint.response.deposit import deposit_adjoint
from lartpc.arrays import namespace, owners, run_starts, to_numpy
from lartpc.autodiff.launch import plain
from lartpc.charge.steps import Steps
from lartpc.data.attribution import STORED, Attribution
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.frontend.frontend import Reads
from lartpc.kernels.pixels.assign import assign
from lartpc.kernels.pixels.conserve import conserve
from lartpc.kernels.pixels.refine import refine
from lartpc.kernels.pixels.transfer import transfer
from lartpc.kernels.response.convolve import convolve
from lartpc.kernels.response.deposit import deposit
from lartpc.pixels.slopes import not_conserved, nothing
from lartpc.pixels.tabulated import TabulatedReadout
from lartpc.response.windows import Pairs, Windows
from lartpc.simulation.chain import Waveforms


class Contributions(NamedTuple):
    """Charge of each (hit, segment) that has any, ordered by hit and segment: m entries."""

    hit: np.ndarray  # (m,) int64, number of the hit in the batch
    segment: np.ndarray  # (m,) int64, number of the segment in the batch
    charge: np.ndarray  # (m,) float64 [e]


BY_PAIRS = (deposit, convolve, conserve, assign, transfer, refine)  # of which `contributions` reads the arguments


def contributions(
    launched: dict[str, dict[str, Any]],
    waveforms: Waveforms,
    reads: Reads,
    at: Any,
    detector: Detector,
) -> Contributions:
    """What every segment of a batch contributes to every hit: its own current from the reset before to the read.

    `launched`: arguments of the batch's kernels `BY_PAIRS`; `at`: (pixel, read) of the hits, in their order. By
    adjoints: a hit's charge is linear in what each pair brings. With a tabulated response, charge that other pixels
    collect contributes too, and may take charge away.
    """
    (pairs, window_pair), windows, current = waveforms.of_steps(), waveforms.windows, waveforms.current
    of_pairs = by_charge(launched, waveforms)
    xp, n, T = namespace(current), len(pairs.step), current.dtype.type
    pair_charge = xp.zeros((n, reads.fraction.shape[1]), dtype=current.dtype)
    read_tick = windows.tick[reads.window] + reads.tick
    target = {"target_count": reads.count, "target_tick": read_tick, "target_fraction": reads.fraction}
    clock = {"tick": T(detector.tick), "hold_ticks": detector.hold_ticks, "reset_cycles": detector.reset_cycles}
    zeros, no_rest = xp.zeros_like(reads.fraction), xp.zeros(len(windows.pixel), dtype=current.dtype)
    of_windows = {"pixel_window": windows.of_pixel, "window_first": windows.first}
    waveform = {"waveform": waveforms.buffered, **of_windows, "window_tick": windows.tick}
    unused = {"after": no_rest, "grad_after": no_rest, "grad_rate": zeros, "grad_resume": zeros}
    for read in range(int(reads.count.max()) if len(reads.count) else 0):
        one, grad = xp.zeros_like(reads.fraction), xp.zeros_like(current)
        one[:, read] = 1.0
        seeds = {"grad_before": one, "grad_during": one, **unused}
        likelihood_adjoint(len(windows.pixel), **waveform, **target, **clock, **seeds, grad_waveform=grad)
        if detector.periodic_reset_cycles > 0:
            _forget(grad, windows, reads.reset[:, read])
        if waveforms.buffered is not current:
            behind, grad = grad, xp.zeros_like(current)
            before = {"waveform": current, "electronics": waveforms.electronics, "tick": clock["tick"]}
            back = {"grad_waveform": grad, "grad_electronics": xp.zeros_like(waveforms.electronics)}
            after = {"buffered": waveforms.buffered, "grad_buffered": behind}
            buffer_adjoint(len(windows.pixel), **of_windows, **before, **after, **back)
        pair_charge[:, read] = of_pairs(grad)
    if not waveforms.readout.conserved:
        return _contributions(pair_charge, xp.ones(n), pairs, window_pair, waveforms, reads, at)
    factor = xp.asarray(_factors(waveforms, launched["conserve"]["current"]))[owners(window_pair, n)]
    found = _contributions(pair_charge, factor, pairs, window_pair, waveforms, reads, at)
    return _positive(found, len(at[0]))


def by_charge(launched: dict[str, dict[str, Any]], waveforms: Waveforms) -> Callable[[Any], Any]:
    """What each pair brings (n_pairs,), from the gradient by the current that it adds to: a function."""
    if "refine" not in launched:
        convolved, deposited = launched["convolve"], launched["deposit"]
        xp = namespace(convolved["current"])

        def of_lattice(grad: Any) -> Any:
            grads = {f"grad_{name}": xp.empty_like(deposited[name]) for name in ("coefficient", "share_t", "source")}
            grads |= {"grad_current": grad, "grad_state": xp.zeros_like(convolved["state"])}
            plain(convolve_adjoint, len(waveforms.windows.tick), **convolved | grads)
            plain(deposit_adjoint, len(deposited["share_t"]), **deposited | grads)
            return (grads["grad_coefficient"] * deposited["coefficient"]).sum(axis=1)

        return of_lattice
    readout, windows = waveforms.readout, waveforms.windows
    assert isinstance(readout, TabulatedReadout)
    of = readout.of_pairs(launched)
    coefficient, share = of["coefficient"], of["share_t"]
    xp, n = namespace(coefficient), len(windows.pixel)
    unused = dict.fromkeys(("coefficient_by_x", "coefficient_by_y", "coefficient_by_induction"), nothing(coefficient))
    unused |= {"share_t_by_arrival": share, "share_t_by_sigma_t": share, "coefficient_by_sigma_T": coefficient}
    of |= unused | not_conserved(coefficient, of["tick"]) | {"pixel": xp.arange(n), "pixel_window": windows.of_pixel}
    of |= {"conserved": False, "by_pair": xp.empty((len(coefficient), BY_Y + 1), dtype=coefficient.dtype)}

    def of_levels(grad: Any) -> Any:
        for kernel in (back_levels, pull):
            plain(kernel, n, **of | {"grad_waveform": grad})
        return of["by_pair"][:, BY_LOG_CHARGE]

    return of_levels


def _forget(weight: Any, windows: Windows, reset: Any) -> None:
    """Set to 0 what samples count for a read, up to the periodic reset (n_pixels,) before it."""
    xp = namespace(weight)
    window = owners(windows.first, len(weight))
    tick = windows.tick[window] + xp.arange(len(weight)) - windows.first[window]
    weight[tick <= reset[owners(windows.of_pixel, len(windows.tick))[window]]] = 0.0


def _positive(found: Contributions, n_hits: int) -> Contributions:
    """Without those below 0, which the precision of the tables leaves, and with the same sum for each hit."""
    charge = np.maximum(found.charge, 0.0)
    before, after = (np.bincount(found.hit, weights, minlength=n_hits) for weights in (found.charge, charge))
    scale = np.divide(before, after, out=np.ones(n_hits), where=after > 0.0)
    kept = charge > 0.0
    return Contributions(found.hit[kept], found.segment[kept], (charge * scale[found.hit])[kept])


def _contributions(
    pair_charge: Any, factor: Any, pairs: Pairs, window_pair: Any, waveforms: Waveforms, reads: Reads, at: Any
) -> Contributions:
    """The sums over pairs of pair_charge (n_pairs, max_hits) times factor (n_pairs,)."""
    windows = waveforms.windows
    xp = namespace(pair_charge)
    pair_pixel = owners(windows.of_pixel, len(windows.tick))[owners(window_pair, len(pairs.step))]
    number = xp.full(reads.fraction.shape, -1, dtype=np.int64)
    number[at] = xp.arange(len(at[0]))
    pair, read = xp.nonzero(pair_charge)
    hit = number[pair_pixel[pair], read]
    pair, read, hit = pair[hit >= 0], read[hit >= 0], to_numpy(hit[hit >= 0])
    charge = to_numpy(pair_charge[pair, read]).astype(np.float64) * to_numpy(factor[pair])
    segment = to_numpy(waveforms.steps.segment[pairs.step[pair]])
    return Contributions(*_sums(hit, segment, charge))


def associations(found: Contributions, n_hits: int, trajectory: np.ndarray) -> tuple[np.ndarray, ...]:
    """`segment`, `fraction`, `trajectory`, `fraction_traj` of `Attribution`, with segments numbered as in the batch.

    `trajectory`: that of each segment of the batch. A hit without charge, of noise alone, has no contribution.
    """
    by_trajectory = _sums(found.hit, trajectory[found.segment], found.charge)
    return *_largest(*found, n_hits), *_largest(*by_trajectory, n_hits)


def arrivals(steps: Steps, n_segments: int, n_tpcs: int) -> np.ndarray:
    """The electrons of each segment of a batch that arrive in each TPC, (n_segments, n_tpcs)."""
    index = to_numpy(steps.segment) * n_tpcs + to_numpy(steps.tpc)
    electrons = np.bincount(index, to_numpy(steps.charge), minlength=n_segments * n_tpcs)
    return electrons.reshape(n_segments, n_tpcs)


def file_trajectories(segments: Segments) -> np.ndarray:
    """The trajectory of each segment (n,), by the number that is unique in the file where the file has one."""
    if segments.raw is not None:
        for name in ("file_traj_id", "trackID"):
            if name in (segments.raw.dtype.names or ()):
                return segments.raw[name].astype(np.int64)
    return segments.traj_id


def join(parts: list[tuple[np.ndarray, Attribution]], n_segments: int, order: np.ndarray) -> Attribution:
    """The `Attribution` of batches, given with the rows of their segments; `order`: of the hits of all batches,
    -1 where nothing contributes."""
    electrons, tpc = np.zeros(n_segments), np.full(n_segments, -1, dtype=np.int64)
    columns = []
    for rows, part in parts:
        electrons[rows], tpc[rows] = part.electrons, part.tpc
        columns.append((np.append(rows, -1)[part.segment], *part[1:4]))
    none = [np.full((1, STORED), value) for value in (-1, 0.0, -1, 0.0)]
    joined = [np.concatenate(column)[order] for column in zip(*columns, none, strict=True)]
    return Attribution._make([*joined, electrons, tpc])


def _factors(waveforms: Waveforms, current: Any) -> np.ndarray:
    """The factor that `conserve` applied to each window."""
    if len(current) == 0:
        return np.zeros(0)
    first = to_numpy(waveforms.windows.first)[:-1]
    # All as float64 at once: reduceat converts in blocks, and would add in another order in another batch.
    after, before = (
        np.add.reduceat(to_numpy(array).astype(np.float64), first) for array in (waveforms.current, current)
    )
    return np.divide(after, before, out=np.ones(len(first)), where=before > 0.0)


def _sums(hit: np.ndarray, label: np.ndarray, charge: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries with the same hit and label as one, ordered by hit and label."""
    order = np.lexsort((label, hit))
    hit, label, charge = hit[order], label[order], charge[order]
    first = run_starts(hit, label)
    return hit[first], label[first], np.add.reduceat(charge, first) if len(first) else charge


def _largest(hit: np.ndarray, label: np.ndarray, charge: np.ndarray, n_hits: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels with the largest fractions of each hit's charge and these, (n_hits, STORED), -1 and 0 if not used."""
    labels, fractions = np.full((n_hits, STORED), -1, dtype=np.int64), np.zeros((n_hits, STORED))
    total = np.bincount(hit, charge, minlength=n_hits)
    some = total[hit] > 0.0
    hit, label, fraction = hit[some], label[some], charge[some] / total[hit[some]]
    order = np.lexsort((label, -fraction, hit))
    hit, label, fraction = hit[order], label[order], fraction[order]
    rank = np.arange(len(hit)) - np.searchsorted(hit, hit, side="left")
    kept = rank < STORED
    labels[hit[kept], rank[kept]] = label[kept]
    fractions[hit[kept], rank[kept]] = fraction[kept]
    return labels, fractions
