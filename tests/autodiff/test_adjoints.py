"""Every adjoint against central differences of its kernel and by its Taylor remainder, in float64.

Kernels are piecewise smooth: the numbers of steps and nodes are integers chosen from geometry, a read's time has a kink
where it moves to another tick, loops over ticks are cut where terms vanish. Steps are so small, and inputs (by fixed
seeds) such, that no such number changes; `STEP` and `LARGEST` of the rooms' cases say how small.
"""

import numpy as np
import pytest
from checks import KERNELS, LINEAR, RANDOM, ROOMS, assert_agree, check, directions_of, largest_of, rooms
from enumeration import kernels_of
from launches import IDLE, MODELS, record, recorded
from samples import real

import lartpc.kernels
from lartpc.adjoint.pairs import ADJOINTS, NO_ADJOINT
from lartpc.autodiff.kernelcheck import run_kernel
from lartpc.autodiff.launch import plain

ROUNDING = 1e-12  # of the losses, which are sums of numbers of order 1


def all_kernels():
    return kernels_of(lartpc.kernels)


def test_every_kernel_has_an_adjoint_or_a_reason():
    assert set(ADJOINTS) | set(NO_ADJOINT) == all_kernels()
    assert not set(ADJOINTS) & set(NO_ADJOINT)
    assert all(isinstance(reason, str) and reason.strip() for reason in NO_ADJOINT.values())


def test_every_room_brings_cases_of_its_kernels():
    of_room = {}
    for kernel in ADJOINTS:
        of_room.setdefault(kernel.body.__module__.split(".")[2], set()).add(kernel.name)
    assert {room: set(cases.RANDOM) for room, cases in ROOMS.items()} == of_room
    assert {room: set(cases.LINEAR) for room, cases in ROOMS.items()} == of_room


def test_cases_are_found_at_any_depth(tmp_path):
    for depth in ("near", "room/corner"):
        (tmp_path / depth).mkdir(parents=True)
        (tmp_path / depth / "adjoint_cases.py").write_text(f"RANDOM = {{{depth!r}: None}}\n")
    assert {room: list(cases.RANDOM) for room, cases in rooms(tmp_path).items()} == {
        "near": ["near"],
        "room/corner": ["room/corner"],
    }


@pytest.mark.parametrize("name", KERNELS)
def test_names_of_an_adjoint(name):
    kernel = KERNELS[name]
    adjoint = ADJOINTS[kernel]
    assert adjoint.kernel.name == f"{name}_adjoint"
    assert adjoint.kernel.body.__module__ == kernel.body.__module__.replace("kernels", "adjoint")
    inputs = set(kernel.arguments) - {*kernel.outputs, *kernel.work}
    assert all(output.removeprefix("grad_") in inputs for output in adjoint.kernel.outputs)
    assert all(output.startswith("grad_") for output in adjoint.kernel.outputs)
    assert {*adjoint.shared, *adjoint.writes} <= {output.removeprefix("grad_") for output in adjoint.kernel.outputs}
    assert not {*adjoint.shared} & {*adjoint.writes}
    taken = {a.removeprefix("grad_") for a in adjoint.kernel.arguments if a.startswith("grad_")}
    assert taken & set(kernel.outputs)


# --- central differences


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("seed", [1, 2])
def test_random_inputs(name, seed):
    assert_agree(check(name, RANDOM[name](np.random.default_rng(seed))))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sample", ["generated", "special"])
def test_recorded_inputs(name, sample, model):
    assert_agree(check(name, recorded(sample, model)[name]), IDLE.get((name, model), ()))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_real_inputs(reference, model):
    for name, case in record(real(reference, 2, 6), *MODELS[model]).items():
        found = (p for p in check(name, case) if "time" not in p.name)  # the file has no times
        assert_agree(found, IDLE.get((name, model), ()))


LEVELS = ("project", "transfer", "coarsen", "relay", "refine")
CLEARED = ("share", "spread", "induce", "convolve", "conserve", *LEVELS)


@pytest.mark.parametrize("name", CLEARED)
def test_what_an_output_held_before_does_not_matter(name):
    case = recorded("special", "birks, vdrift linked")[name]
    kernel = KERNELS[name]
    clean, spoiled = ({o: np.zeros_like(case.arguments[o]) for o in kernel.outputs} for _ in range(2))
    for array in spoiled.values():
        array[...] = np.nan if array.dtype == np.float64 else -7
    for outputs in (clean, spoiled):
        work = {name: case.arguments[name].copy() for name in kernel.work}
        plain(kernel, case.threads, **case.arguments | outputs | work)
    for o in kernel.outputs:
        np.testing.assert_array_equal(spoiled[o], clean[o])


WRITING = [name for name in (*KERNELS, *CLEARED) if ADJOINTS[KERNELS[name]].writes]


@pytest.mark.parametrize("name", sorted(set(WRITING)))
def test_what_a_written_gradient_held_before_does_not_matter(name):
    case = recorded("special", "birks, vdrift linked")[name]
    kernel = KERNELS[name]
    adjoint = ADJOINTS[kernel]
    forward = case.arguments | run_kernel(kernel, case.threads, case.arguments, {}) | (case.more or {})
    random = np.random.default_rng(0)
    for output in kernel.outputs:
        forward[f"grad_{output}"] = random.normal(size=np.shape(forward[output]))
    for name in adjoint.kernel.work:
        forward[name] = np.zeros_like(forward[name.removeprefix("grad_")])
    clean, spoiled = {}, {}
    threads = case.threads if case.adjoint_threads is None else case.adjoint_threads
    for output in adjoint.kernel.outputs:
        of = output.removeprefix("grad_")
        clean[output] = np.zeros((threads, *forward[of].shape[1:]) if of in adjoint.shared else forward[of].shape)
        spoiled[output] = np.full_like(forward[of], np.nan) if of in adjoint.writes else clean[output].copy()
    for grads in (clean, spoiled):
        work = {name: array.copy() for name, array in forward.items() if name.startswith("grad_")}
        bound = forward | work | grads
        plain(adjoint.kernel, threads, **bound)
    for output in adjoint.kernel.outputs:
        assert np.any(clean[output])
        np.testing.assert_array_equal(spoiled[output], clean[output])


# --- Taylor remainders


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("source", ["random", "special"])
def test_taylor_remainder(name, source):
    """|loss(x + h) - loss(x) - h slope| falls as h^2, or is rounding where the kernel is linear in x."""
    model = "box, vdrift set"
    case = RANDOM[name](np.random.default_rng(1)) if source == "random" else recorded(source, model)[name]
    idle = () if source == "random" else IDLE.get((name, model), ())
    for d in (d for d in directions_of(name, case) if d.name not in idle):
        largest = largest_of(name, d.name)
        h = largest * 10.0 ** -np.arange(0.0, 3.5, 0.5)
        change = np.array([d.change(step) for step in h])
        remainder = np.abs(change - h * d.adjoint)
        if d.name in LINEAR[name]:
            assert remainder.max() < 1e-7 * np.abs(change).max(), d.name
        else:
            exact = remainder > ROUNDING
            slope = np.diff(np.log(remainder[exact])) / np.diff(np.log(h[exact]))
            assert len(slope) >= 3, (d.name, remainder)
            assert np.median(slope) == pytest.approx(2.0, abs=0.1), (d.name, remainder)
