"""How a simulation takes segments: in batches of whole events, and parts of them, as the kernels take them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.charge.steps import pieces_of
from lartpc.charge.tables import Tables
from lartpc.checks import check_choice, short
from lartpc.contracts import Readout
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.kernels.runtime.launch import cuda_available
from lartpc.parameters import Parameters
from lartpc.settings import Settings
from lartpc.simulation.batches import Batch, held_by_device

DEVICES = ("cpu", "cuda")


class Batching:
    """What simulations of all readouts have in common."""

    detector: Any
    parameters: Parameters
    device: str
    dtype: np.dtype
    xp: Any
    settings: Settings
    tables: Tables
    readout: Readout
    recombination: str

    def acting(self) -> list[str]:
        """Names of the parameters that the results depend on."""
        raise NotImplementedError

    def apart(self, names: Iterable[str]) -> Self:
        """The same simulation for `names` to vary: with values of their own for the modules named, as eField.0 is.

        Raises InputError where the detector has no such module, TPC or pixel.
        """
        single = copy.copy(self)
        single.parameters = self.parameters.apart(names)
        single.parameters.check_single(**self.detector.counts)
        slot = single.parameters.slots_of_modules(self.detector.n_modules)
        single.tables = self.tables._replace(slot=self.xp.asarray(slot))
        return single

    def vector(self) -> Any:
        """The parameters as the kernels take them."""
        return self.xp.asarray(self.parameters.vector(self.dtype))

    def batch(self, segments: Segments) -> Batch:
        """All segments as one batch, in the order of event and file."""
        event_id, event = np.unique(segments.event_id, return_inverse=True)
        order = np.argsort(event, kind="stable")
        s = segments.select(order)
        tick = np.floor(s.t0 / self.detector.tick)
        columns = {
            "start": np.stack((s.x_start, s.y_start, s.z_start), axis=1).astype(self.dtype),
            "end": np.stack((s.x_end, s.y_end, s.z_end), axis=1).astype(self.dtype),
            "dE": s.dE.astype(self.dtype),
            "dEdx": s.dEdx.astype(self.dtype),
            "time": (s.t0 - tick * self.detector.tick).astype(self.dtype),
            "tick": tick.astype(np.int64),
            "place": order.astype(np.int64),
            "event": event[order].astype(np.int64),
            "event_id": event_id.astype(np.int64),
            "wanted": np.arange(len(self.detector.z_anode)),
        }
        return Batch(**{name: self.xp.asarray(column) for name, column in columns.items()})

    def batches(self, segments: Segments, most: int | None = None, whole: bool = True) -> list[Batch]:
        """The segments in batches of whole events, of up to about `most` steps each (settings.steps_per_batch).

        Where events need not be `whole`, those with more come in `parts`.
        """
        most = self.most_steps() if most is None else most
        if not whole:
            return [part for batch in self.batches(segments, most) for _, part in self.parts(batch, most)]
        if len(segments) == 0:
            return []
        every = self.batch(segments)
        pieces = pieces_of(every, self.tables, self.settings)
        first_step = pieces.first_step[pieces.of_segment]
        event = to_numpy(every.event)
        edges = np.append(np.flatnonzero(np.diff(event, prepend=-1)), len(event))
        steps = to_numpy(first_step)[edges]
        cuts, start = [0], 0
        for i in range(1, len(edges)):
            if steps[i] - steps[start] > most and i - 1 > start:
                start = i - 1
                cuts.append(edges[start])
        cuts.append(len(event))
        if len(cuts) == 2:
            return [every._replace(pieces=pieces)]
        return [self.cut(every.select(slice(a, b))) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]

    def cut(self, batch: Batch) -> Batch:
        """A batch that keeps where its segments leave TPCs, for several evaluations."""
        return batch._replace(pieces=pieces_of(batch, self.tables, self.settings))

    def most_steps(self) -> int:
        """Steps that are simulated together, about; on a device, which needs many threads, as many as it holds."""
        most = self.settings.steps_per_batch // self.readout.reach
        return most if self.device == "cpu" else max(most, held_by_device(self.xp, self.readout.reach))

    def parts(self, batch: Batch, most: int | None = None) -> list[tuple[Any, Batch]]:
        """A batch of more than `most` steps in parts of whole TPCs, of about as many, each with its segments' rows.

        No pixel sees charge of two parts. A segment that passes TPCs of several is in each of them.
        """
        most = self.most_steps() if most is None else most
        pieces = pieces_of(batch, self.tables, self.settings)
        if pieces.n_steps <= most:
            return [(slice(None), batch)]
        xp, tpcs = self.xp, to_numpy(batch.wanted)
        of_piece, tpc = np.diff(to_numpy(pieces.first_step)), to_numpy(pieces.tpc)
        steps = np.bincount(tpc, of_piece, len(self.tables.tpc_pixels))[tpcs]
        groups: list[list[int]] = [[]]
        size = 0
        for v, n in zip(tpcs.tolist(), steps.tolist(), strict=True):
            if n and size and size + n > most:
                groups, size = [*groups, []], 0
            groups[-1].append(v)
            size += n
        chosen = [xp.asarray(np.unique(to_numpy(pieces.segment)[np.isin(tpc, group)])) for group in groups]
        return [
            (rows, self.cut(batch.select(rows)._replace(wanted=xp.asarray(np.array(group)))))
            for rows, group in zip(chosen, groups, strict=True)
        ]


def check_device(device: str) -> Any:
    """numpy or cupy, for the CPU or a CUDA device. InputError where there is no such device."""
    check_choice("device", device, DEVICES)
    if device == "cpu":
        return np
    if not cuda_available():
        raise InputError(
            "device: found 'cuda', but there is no CUDA device with the packages of lartpc[cuda] or lartpc[cuda12]"
        )
    import cupy

    return cupy


def check_seed(seed: Any) -> int:
    """A seed of random numbers. InputError where it is none."""
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError(f"seed: found {short(seed)}, allowed is a whole number from 0 to 2^63 - 1")
    return int(seed)
