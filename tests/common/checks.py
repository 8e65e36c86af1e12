"""Checks of adjoints, and the launches that every room brings for those of its kernels.

A room's `adjoint_cases.py`, at any depth, has RANDOM: {kernel: random launch of a generator}, and LINEAR: {kernel:
inputs in which it is linear, the trigger piecewise}, with no remainder but rounding. It may have STEP, the relative
step of central differences where it is not 1e-6, and LARGEST, the largest relative step of Taylor remainders where it
is not 1e-3 (they go down from it by three decades), of all inputs of a "kernel" or of one "kernel input".
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.autodiff.kernelcheck import check_adjoint, directions

RTOL = 1e-6
KERNELS = {kernel.name: kernel for kernel in ADJOINTS}


def load(path):
    """The module in a file that is in no package."""
    spec = spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rooms(folder):
    """What each folder below brings, by its path from there."""
    found = sorted(folder.rglob("adjoint_cases.py"))
    return {str(path.parent.relative_to(folder)): load(path) for path in found}


def together(name):
    """A table of all rooms in one."""
    return {key: value for room in ROOMS.values() for key, value in getattr(room, name, {}).items()}


ROOMS = rooms(Path(__file__).parents[1])
RANDOM, LINEAR, STEP, LARGEST = (together(name) for name in ("RANDOM", "LINEAR", "STEP", "LARGEST"))


def step_of(name, key):
    return STEP.get(f"{name} {key}", STEP.get(name, 1e-6))


def largest_of(name, key):
    return LARGEST.get(f"{name} {key}", LARGEST.get(name, 1e-3))


def check(name, case, adjoint=None):
    """Each gradient of an adjoint, that of the kernel if none is given, and the central difference."""
    name = name.removeprefix("tabulated ")
    return check_adjoint(
        KERNELS[name],
        ADJOINTS[KERNELS[name]] if adjoint is None else adjoint,
        case.threads,
        case.arguments,
        steps={key: step_of(name, key) for key in case.arguments},
        adjoint_threads=case.adjoint_threads,
        more=case.more,
    )


def directions_of(name, case):
    """A random direction of each input of a kernel that has a gradient."""
    keywords = {"adjoint_threads": case.adjoint_threads, "more": case.more}
    return directions(KERNELS[name], ADJOINTS[KERNELS[name]], case.threads, case.arguments, **keywords)


def assert_agree(projections, idle=()):
    """To RTOL, none 0 but those of `idle` inputs."""
    for p in projections:
        assert (p.difference != 0.0) == (p.name not in idle), p
        assert p.relative < RTOL, p
