"""Benchmarks, which no other test runs, call what exists, as it wants to be called."""

import ast
import functools
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.detector.wires import WireDetector
from lartpc.gradients.trace import Trace
from lartpc.gradients.waveforms import WireTrace
from lartpc.simulation.simulation import Simulation
from lartpc.simulation.wires import WireSimulation

BENCH = Path(__file__).resolve().parents[2] / "bench"
MODULES = [path for path in sorted(BENCH.glob("*.py")) if path.stem != "__main__"]
# What variables of these names hold.
INSTANCES = {"simulation": Simulation, "detector": Detector, "segments": Segments, "trace": Trace}
OF_WIRES = {"simulation": WireSimulation, "detector": WireDetector, "trace": WireTrace}  # where that is imported
WITHOUT = {"jax", "jaxlib"}  # of the extra `bench`, which need not be installed
IMPORT = """
import importlib, sys
import bench.__main__
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as failure:
        print(name, failure.name)
"""


class Unknown(Exception):
    """Of what is called nothing is known: it is the benchmark's own, or another package's."""


def imported(tree):
    """What the names stand for that a module imports from lartpc. Raises AttributeError: no such name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lartpc":
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


@functools.cache
def instance(found):
    """An instance of a class, for the signatures of its methods: empty, but where those of its parts are wanted."""
    whole = {Simulation: Simulation, Detector: Detector.module0, WireDetector: lambda: WireDetector.built_in("sbnd")}
    return whole[found]() if found in whole else object.__new__(found)


def resolve(node, names):
    """What an expression stands for. Raises Unknown, and AttributeError where a name that is known has no such part."""
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.Call):
        found = resolve(node.func, names)
        if inspect.isclass(found):
            return instance(found)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute | ast.Call):
        if ast.unparse(node.value) == "self" and node.attr in INSTANCES:
            return names[node.attr]
        if node.attr == "xp":  # NumPy, or CuPy
            raise Unknown
        return getattr(resolve(node.value, names), node.attr)
    raise Unknown


def check(call, names):
    """Whether a call's signature is known. Raises TypeError where it does not fit; `*` and `**` may give the rest."""
    try:
        signature = inspect.signature(resolve(call.func, names))
    except (Unknown, ValueError):
        return False
    given = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
    keywords = [keyword.arg for keyword in call.keywords if keyword.arg is not None]
    whole = len(given) == len(call.args) and len(keywords) == len(call.keywords)
    bind = signature.bind if whole else signature.bind_partial
    bind(*given, **dict.fromkeys(keywords))
    return True


def calls(source):
    """Number of the calls whose signature is known, and what is wrong, by line."""
    tree = ast.parse(source)
    given = imported(tree)
    held = INSTANCES | (OF_WIRES if WireSimulation in given.values() else {})
    names = {name: instance(found) for name, found in held.items()} | given
    number, wrong = 0, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            try:
                number += check(node, names)
            except (TypeError, AttributeError) as failure:
                wrong.append(f"{node.lineno}: {ast.unparse(node.func)}: {failure}")
    return number, wrong


@pytest.mark.slow
def test_every_module_can_be_imported():
    paths = os.pathsep.join(map(str, (BENCH.parent, BENCH)))
    command = [sys.executable, "-c", IMPORT, *(path.stem for path in MODULES)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    missing = dict(line.split() for line in done.stdout.splitlines())
    assert {*missing.values()} <= WITHOUT
    assert all(name.startswith("dense_") for name in missing)


def test_calls_fit_their_signatures():
    total, found = 0, []
    for path in [*MODULES, BENCH / "__main__.py"]:
        number, wrong = calls(path.read_text())
        total += number
        found += [f"{path.name}:{line}" for line in wrong]
    assert found == []
    assert total > 100


@pytest.mark.parametrize(
    "call",
    [
        "calibrate(simulation, segments, hits, iterations=3)",
        "calibrate(Simulation(), segments, hits, report=print, **options)",
        "calibrate(simulation, segments)",
        "run(simulation, segments)",
        "optimizers.newton_step(problem)",
        "optimizers.newton_steps(problem, evaluation)",
        "Simulation(dtypes=dtype)",
        "Simulation(noise=True)(segments, waveform=True)",
        "Simulation().batched(segments)",
        "simulation(segments, False)",
        "self.simulation.waveforms(batch)",
        "simulation.batched(segments)",
        "detector.locate()",
        "Detector.built_in()",
        "segments.select()",
        "simulation.readout.pairs(steps)",
        "simulation.readouts.pairs(steps, shares, batch, 0)",
    ],
)
def test_wrong_call_is_found(call):
    source = """
from lartpc.detector.detector import Detector
from lartpc.fit import optimizers
from lartpc.fit.calibrate import calibrate
from lartpc.fit.calibrate import calibrate as run
from lartpc.simulation.simulation import Simulation
calibrate(simulation, segments, hits, ("kb",), loss=loss)
run(*given)
Simulation(Detector.module0())(segments).hits.select(rows)
optimizers.newton_step(problem, evaluation)
calibration(simulation)
"""
    number, wrong = calls(source)
    assert number == 6 and wrong == []
    (found,) = calls(source + call + "\n")[1]
    assert found.startswith("12: ")


def test_wrong_import_is_found():
    with pytest.raises(ModuleNotFoundError):
        calls("from lartpc.fit.calibrate import calibrated")


def test_stages_of_the_profile_exist(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import fit_profile

    fit_profile.check_stages()
    monkeypatch.setitem(fit_profile.STAGES, "reading", ("lartpc/segments.py",))
    with pytest.raises(SystemExit, match="reading: there is no lartpc/segments.py"):
        fit_profile.check_stages()


@pytest.mark.slow
def test_direct_sum_of_neighbours(monkeypatch):
    """What `bench/neighbours.py` measures accuracy by, from other points and formulae than the chain's."""
    monkeypatch.syspath_prepend(str(BENCH))
    import table_points
    from helpers import make_segments, one_tpc, sample, waveforms
    from responses import TRACK, small

    segments, detector, ticks = make_segments(*TRACK, dE=8.0), one_tpc(), np.arange(0, 1200)
    points = table_points.cut(segments, detector, 0.02)
    assert points.dE.sum() == pytest.approx(8.0)
    for response, pixels in ((small(), (56, 67)), (small(time_tick=0.05), (45,))):
        found = waveforms(segments, detector, response=response, dtype=np.float64)
        direct = table_points.Direct(response, detector, detector.parameters)
        for pixel in pixels:
            expected = direct.current(points, pixel, ticks[0], len(ticks))
            off = sample(found, pixel, ticks) - expected
            assert np.abs(off).max() < 2e-3 * np.abs(expected).max()
            assert abs(off.sum()) < 1e-4 * max(np.abs(expected.cumsum()))
