"""The sparse derivatives of single pixels by the deposits, against the tape and against central differences."""

import dataclasses

import numpy as np
import pytest
from helpers import back_to_back, make_segments, small_table
from objectives import SIX, TRUTH, assert_column
from samples import SPECIAL, generated
from traces import smooth

from lartpc.autodiff.tape import Tape
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.gradients.jacobian import Jacobian
from lartpc.gradients.segments import SegmentJacobian
from lartpc.kernels.runtime.slots import PARAMETERS
from lartpc.losses.likelihood import exact_terms, rounded_terms
from lartpc.losses.target import TargetHits, regained, until_deferred
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")

SLOTS = [PARAMETERS.index(name) for name in SIX]
COLUMNS = ("start", "end", "dE", "dEdx", "time")  # of a batch, nine numbers a segment
SLOW_BUFFER = {"buffer_risetime": 0.1}
BUSY = {"adc_busy_delay": 9, "reset_cycles": 1}


def deposits():
    """Tracks, and what is cut by a border, along the drift, of no length, or out of the detector, in one event."""
    start, end = np.array([*SPECIAL.values(), ((90.0, 0.0, 3.0), (90.0, 1.0, 3.0))]).transpose(1, 0, 2)
    tables = generated(3), make_segments(start, end, dE=3.0, dEdx=4.0, t0=0.73)
    fields = (f.name for f in dataclasses.fields(Segments) if f.name not in ("raw", "source"))
    return Segments(**{name: np.concatenate([getattr(t, name) for t in tables]) for name in fields})


def directed():
    """Those with a direction: that of a segment of no length jumps when its start moves."""
    segments = deposits()
    moves = np.array([vars(segments)[f"{axis}_start"] != vars(segments)[f"{axis}_end"] for axis in "xyz"])
    return segments.select(moves.any(axis=0))


def across():
    """A track and short ones where two TPCs overlap, each of which collects from two ranges of the drift."""
    start = [(0.1, 0.2, -5.0), (0.3, 0.1, -0.6), (0.2, 0.3, 0.1)]
    end = [(0.2, 0.3, 5.0), (0.4, 0.2, 0.7), (0.4, 0.1, 0.3)]
    return make_segments(start, end, dE=(20.0, 3.0, 2.0), dEdx=(2.0, 3.0, 4.0))


class Chain:
    """A simulation of segments, and the hits that it is compared with."""

    def __init__(self, segments, detector=None, response="parametric", rounded=False, dtype=np.float64, **keywords):
        self.rounded = rounded
        keywords |= {"response": small_table() if response == "tabulated" else response}
        hits = smooth(detector, TRUTH, noise=True, seed=3, **keywords)(segments).hits
        of = smooth if dtype is np.float64 else Simulation
        self.simulation = of(detector, **keywords)
        self.target = TargetHits(hits, self.simulation.detector, rounded)
        self.batch = self.simulation.batch(segments)

    def terms(self, **moved):
        """The terms of the likelihood, with arrays of the batch changed: tape, waveforms, batch, terms."""
        simulation, tape, batch = self.simulation, Tape(), self.batch._replace(**moved)
        waveforms = simulation.waveforms(batch, simulation.vector(), tape.launch)
        pixels = simulation.pixels(waveforms, tape.launch)
        target = self.target.align(waveforms.windows, batch, simulation.dtype)
        if self.rounded:
            target = regained(target, pixels, waveforms.electronics)
        if simulation.detector.adc_busy_delay > 0:
            target = until_deferred(target, simulation.detector)
        terms = (rounded_terms if self.rounded else exact_terms)(waveforms, target, pixels, simulation.detector, tape)
        return tape, waveforms, batch, terms

    def seeds(self, terms):
        """Pixels and seeds of everything that has rows, one by one."""
        yield from ((chosen, seeds) for chosen, _, seeds in terms.squares)
        yield terms.of_rest


def dense(found, n_rows, n_segments):
    assert len(set(zip(found.row.tolist(), found.segment.tolist(), strict=True))) == len(found.row)
    matrix = np.zeros((n_rows, n_segments, 9))
    matrix[found.row, found.segment] = found.values
    return matrix


def by_tape(tape, batch, seeds, pixel):
    """The derivatives (n_segments, 9) of the loss of one pixel."""
    alone = []
    for array, seed in seeds:
        own = np.zeros(array.shape)
        own[pixel] = seed[pixel]
        alone.append((array, own))
    tape.backward(alone, check=False)
    return np.column_stack([tape.gradient(getattr(batch, name)) for name in COLUMNS])


CASES = {
    "parametric": {},
    "parametric, rounded": {"rounded": True},
    "tabulated": {"response": "tabulated"},
    "tabulated, rounded": {"response": "tabulated", "rounded": True},
    "slow buffer": {"detector": dataclasses.replace(Detector.module0(), **SLOW_BUFFER)},
    "busy": {"detector": dataclasses.replace(Detector.module0(), **BUSY)},
    "box": {"recombination": "box"},
    "ellipsoid": {"recombination": "ellipsoid", "segments": directed},
    "two ranges": {"segments": across, "detector": back_to_back(0.8)},
}


def of_case(name, **keywords):
    case = {"segments": deposits} | CASES[name] | keywords
    return Chain(case.pop("segments")(), **case)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_single_seeds_against_the_tape(name):
    assert_as_the_tape(of_case(name), 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parametric", "parametric, rounded", "tabulated"])
def test_single_seeds_against_the_tape_in_single_precision(name):
    assert_as_the_tape(of_case(name, dtype=np.float32), 1e-4)


def assert_as_the_tape(chain, tolerance):
    """Of some pixels of each residual and of the rest, relative to the largest of a row's derivatives by a column.

    The charge of a pixel does not depend on time: terms that cancel leave rounding of their size, that of other rows.
    """
    tape, waveforms, batch, terms = chain.terms()
    jacobian, alone = (of(tape, waveforms, SLOTS) for of in (SegmentJacobian, Jacobian))
    random, seen = np.random.default_rng(0), np.zeros(9)
    for chosen, seeds in chain.seeds(terms):
        rows, found = jacobian.of_seeds(seeds, chosen)
        np.testing.assert_array_equal(rows, alone.of_seeds(seeds, chosen))
        matrix = dense(found, len(chosen), len(batch.dE))
        for i in random.permutation(len(chosen))[:6]:
            expected = by_tape(tape, batch, seeds, chosen[i])
            largest = np.abs(expected).max(axis=0)
            allowed = tolerance * (largest + 1e-2 * np.abs(matrix).max(axis=(0, 1)))
            assert (np.abs(matrix[i] - expected) <= allowed).all()
            seen += largest > 0.0
    assert (seen > 3).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parametric", "tabulated", "ellipsoid", "two ranges"])
def test_central_differences(name):
    """Residuals change as each of the nine columns says, when it changes by other amounts for each segment."""
    chain = of_case(name)
    tape, waveforms, batch, terms = chain.terms()
    jacobian = SegmentJacobian(tape, waveforms, [])
    matrices = [
        dense(jacobian.of_seeds(seeds, chosen)[1], len(chosen), len(batch.dE)) for chosen, _, seeds in terms.squares
    ]
    random, step = np.random.default_rng(0), 1e-6
    n = 0
    for of in COLUMNS:
        values = getattr(batch, of)
        for axis in range(values.size // len(values)):
            direction = np.zeros((len(values), values.size // len(values)))
            direction[:, axis] = random.normal(size=len(values)) * (1.0 if of in ("start", "end") else values + 0.1)
            ends = [residuals(chain, **{of: values + h * direction.reshape(values.shape)}) for h in (step, -step)]
            found = np.concatenate([matrix[:, :, n] @ direction[:, axis] for matrix in matrices])
            assert_column(found, (ends[0] - ends[1]) / (2.0 * step))
            n += 1
    assert n == 9


def residuals(chain, **moved):
    """All residuals, in the order of `squares`."""
    *_, terms = chain.terms(**moved)
    return np.concatenate([values for _, values, _ in terms.squares])
