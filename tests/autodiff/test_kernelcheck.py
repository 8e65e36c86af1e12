"""The checker of adjoints sees whatever is wrong with one."""

import numpy as np
import pytest
from checks import KERNELS, RANDOM, RTOL, check

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.kernels.runtime import slots


class Wrong:
    """An adjoint kernel with a mistake: `spoil` changes its gradients, {name: array}."""

    def __init__(self, kernel, spoil):
        self.kernel, self.spoil = kernel, spoil
        self.arguments, self.outputs, self.work, self.name = kernel.arguments, kernel.outputs, kernel.work, kernel.name

    def __call__(self, threads, /, **arrays):
        self.kernel(threads, **arrays)
        self.spoil(arrays)


def caught(name, output, spoil):
    """Whether the checker sees what `spoil` does to the gradient `output`, and to no other."""
    adjoint = ADJOINTS[KERNELS[name]]
    wrong = adjoint._replace(kernel=Wrong(adjoint.kernel, lambda grads: spoil(grads[output])))
    failed = [p.name for p in check(name, RANDOM[name](np.random.default_rng(1)), wrong) if p.relative > RTOL]
    assert set(failed) <= {output.removeprefix("grad_")}
    return bool(failed)


def scaled(grad):
    grad *= 1.001


def flipped(grad):
    grad *= -1.0


def dropped(grad):
    """Without the contribution to every third entry."""
    grad[::3] = 0.0


def transposed(grad):
    """Each entry in the place of the next."""
    grad[...] = np.roll(grad, 1, axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [scaled, flipped, dropped, transposed])
@pytest.mark.parametrize("name, output", [(n, o) for n, k in KERNELS.items() for o in ADJOINTS[k].kernel.outputs])
def test_the_checker_sees_a_wrong_gradient(name, output, spoil):
    assert caught(name, output, spoil)


class Dropped(Wrong):
    """An adjoint kernel that forgets one of the gradients that it is given."""

    def __call__(self, threads, /, **arrays):
        self.kernel(threads, **arrays | {self.spoil: np.zeros_like(arrays[self.spoil])})


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_the_checker_sees_a_dropped_term(name):
    adjoint = ADJOINTS[KERNELS[name]]
    written = (*adjoint.kernel.outputs, *adjoint.kernel.work)
    given = [a for a in adjoint.kernel.arguments if a.startswith("grad_") and a not in written]
    for term in given:
        wrong = adjoint._replace(kernel=Dropped(adjoint.kernel, term))
        case = RANDOM[name](np.random.default_rng(1))
        assert any(p.relative > RTOL for p in check(name, case, wrong)), term


@pytest.mark.parametrize("name, of", [("induce", "moment_"), ("spread", "")])
def test_the_checker_sees_exchanged_axes(name, of):
    def exchange(grads):
        x, y = (grads[f"grad_{of}{axis}"] for axis in "xy")
        x[...], y[...] = y.copy(), x.copy()

    adjoint = ADJOINTS[KERNELS[name]]
    wrong = adjoint._replace(kernel=Wrong(adjoint.kernel, exchange))
    failed = {p.name for p in check(name, RANDOM[name](np.random.default_rng(1)), wrong) if p.relative > RTOL}
    assert failed == {f"{of}{axis}" for axis in "xy"}


def test_the_checker_sees_a_dropped_parameter():
    acting = {"field": (slots.EFIELD,), "quench": (slots.BETA,), "drift": (slots.VDRIFT, slots.LIFETIME)}
    for name in acting:
        for slot in (slots.EFIELD, slots.VDRIFT, slots.BETA, slots.LIFETIME):
            case = RANDOM[name](np.random.default_rng(1))
            adjoint = ADJOINTS[KERNELS[name]]

            def forget(grads, slot=slot):
                grads["grad_parameters"][:, slot] = 0.0

            wrong = adjoint._replace(kernel=Wrong(adjoint.kernel, forget))
            assert (slot in acting[name]) == any(p.relative > RTOL for p in check(name, case, wrong))
