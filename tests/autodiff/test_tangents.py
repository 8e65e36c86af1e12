"""Tangents: derivatives of a kernel's outputs by some of its inputs, as arrays, in the file of its adjoint.

`x_by_y` of a thread is the derivative of its row of the output x by the value of y that it reads.
"""

import numpy as np
import pytest
from checks import KERNELS, RANDOM, RTOL, largest_of, step_of
from enumeration import kernels_of
from launches import MODELS, record, recorded
from samples import real

import lartpc.adjoint
from lartpc.adjoint.pairs import ADJOINTS
from lartpc.autodiff.kernelcheck import run_kernel
from lartpc.autodiff.launch import plain

FOUND = sorted((k for k in kernels_of(lartpc.adjoint) if k.name.endswith("_tangent")), key=lambda k: k.name)
TANGENTS = {k.name.removesuffix("_tangent"): k for k in FOUND}
OUTPUTS = [(name, output) for name in TANGENTS for output in TANGENTS[name].outputs]
OTHERS = {
    "deposit_slopes": "derivatives by any parameters, of a readout's whole chain; tested in test_wire_readout",
    "back": "does what the adjoints of a pixel do; tested by what `rows` and `segments` make of it",
    "back_levels": "does what the adjoints of a pixel do; tested by what `rows` and `segments` make of it",
    "pull": "goes on to the pairs of a pixel; tested by what `rows` and `segments` make of it",
    "rows": "adds up what `pull` gives; its rows are tested in test_objectives",
    "segments": "adds up what `pull` gives; tested in test_segment_jacobian",
}


class Tangent:
    """A tangent of a case: how fast output x changes when all values of y grow by the same fraction of themselves.

    Where y is no input of the kernel, the tangent takes the derivatives of inputs by it: here, random ones.
    """

    def __init__(self, name, output, case):
        kernel, tangent, arguments = KERNELS[name], TANGENTS[name], case.arguments
        self.kernel, self.case, self.name = kernel, case, name
        self.x, self.y = output.split("_by_")
        self.values = run_kernel(kernel, case.threads, arguments, {})
        found = {o: np.full_like(self.values[o.split("_by_")[0]], np.nan) for o in tangent.outputs}
        random = np.random.default_rng(0)
        given = [a for a in tangent.arguments if "_by_" in a and a not in found]
        given = {a: random.normal(size=np.shape(arguments[a.split("_by_")[0]])) for a in given}
        bound = {**arguments, **self.values, **given, **found}
        plain(tangent, case.threads, **bound)
        slope = np.nan_to_num(found[output])  # what is not used is not written
        if given:
            self.direction = {a.split("_by_")[0]: values for a, values in given.items()}
            self.slope = slope
        else:
            self.direction = {self.y: arguments[self.y]}
            of_rows = arguments[self.y][arguments.get("pair_step", slice(None))]
            self.slope = slope * np.repeat(of_rows, len(slope) // len(of_rows))[:, None]

    def change(self, h):
        arguments = self.case.arguments
        moved = {name: arguments[name] + h * direction for name, direction in self.direction.items()}
        return run_kernel(self.kernel, self.case.threads, arguments, moved)[self.x] - self.values[self.x]

    def difference(self):
        step = step_of(self.name, self.y)
        return (self.change(step) - self.change(-step)) / (2.0 * step)


def test_what_is_no_adjoint_is_a_tangent_or_has_a_reason():
    adjoints = {adjoint.kernel for adjoint in ADJOINTS.values()}
    names = {k.name for k in kernels_of(lartpc.adjoint) - adjoints if not k.name.endswith("_adjoint")}
    assert names == {f"{name}_tangent" for name in TANGENTS} | set(OTHERS)


@pytest.mark.parametrize("name", TANGENTS)
def test_names_of_a_tangent(name):
    kernel, tangent = KERNELS[name], TANGENTS[name]
    assert tangent.body.__module__ == kernel.body.__module__.replace("kernels", "adjoint")
    for output in tangent.outputs:
        x, y = output.split("_by_")
        inputs = set(kernel.arguments) - set(kernel.outputs)
        assert x in kernel.outputs
        assert y in inputs or {f"{name}_by_{y}" for name in inputs} & set(tangent.arguments)


@pytest.mark.parametrize(("name", "output"), OUTPUTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_central_differences(name, output, seed):
    tangent = Tangent(name, output, RANDOM[name](np.random.default_rng(seed)))
    difference = tangent.difference()
    assert np.count_nonzero(tangent.slope) > tangent.case.threads
    largest = np.abs(difference).max(axis=1, keepdims=True)
    assert (np.abs(tangent.slope - difference) <= RTOL * largest).all()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "output"), OUTPUTS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sample", ["generated", "special"])
def test_agrees_with_the_adjoint(name, output, sample, model):
    """w . (dx/dy v) = (w dx/dy) . v, with random w, and v = y or random."""
    assert_agrees_with_the_adjoint(Tangent(name, output, recorded(sample, model)[name]))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_the_adjoint_on_real_inputs(reference, model):
    cases = record(real(reference, 2, 6), *MODELS[model])
    for name, output in OUTPUTS:
        assert_agrees_with_the_adjoint(Tangent(name, output, cases[name]))


def assert_agrees_with_the_adjoint(tangent):
    case, adjoint = tangent.case, ADJOINTS[tangent.kernel].kernel
    weights = np.random.default_rng(0).normal(size=tangent.slope.shape) * (tangent.values[tangent.x] != 0.0)
    bound = {**case.arguments, **tangent.values, **(case.more or {})}
    grads = {f"grad_{name}": np.zeros_like(bound[name]) for name in KERNELS[tangent.name].outputs}
    grads |= {name: np.zeros_like(bound[name.removeprefix("grad_")]) for name in adjoint.outputs}
    grads[f"grad_{tangent.x}"] = weights
    bound |= grads
    plain(adjoint, case.adjoint_threads or case.threads, **bound)
    expected = sum(np.sum(bound[f"grad_{name}"] * direction) for name, direction in tangent.direction.items())
    terms = weights * tangent.slope
    assert np.sum(terms) == pytest.approx(expected, rel=1e-9, abs=1e-13 * np.abs(terms).sum())
    assert expected != 0.0


@pytest.mark.parametrize(("name", "output"), OUTPUTS)
def test_taylor_remainder(name, output):
    """|x(y + h) - x(y) - h slope| falls as h^2."""
    tangent = Tangent(name, output, RANDOM[name](np.random.default_rng(1)))
    h = largest_of(name, tangent.y) * 10.0 ** -np.arange(0.0, 2.1, 0.5)
    size = np.maximum(np.abs(tangent.values[tangent.x]).max(axis=1, keepdims=True), 1e-30)  # 0 out of reach
    remainder = np.array([np.abs((tangent.change(step) - step * tangent.slope) / size).max() for step in h])
    assert np.median(np.diff(np.log(remainder)) / np.diff(np.log(h))) == pytest.approx(2.0, abs=0.1), remainder


@pytest.mark.parametrize(("name", "output"), OUTPUTS)
@pytest.mark.parametrize("spoil", [lambda slope: 1.001 * slope, lambda slope: -slope, lambda slope: slope[:, ::-1]])
def test_a_wrong_tangent_is_seen(name, output, spoil):
    tangent = Tangent(name, output, RANDOM[name](np.random.default_rng(1)))
    difference = tangent.difference()
    largest = np.abs(difference).max(axis=1, keepdims=True)
    assert not (np.abs(spoil(tangent.slope) - difference) <= RTOL * largest).all()
