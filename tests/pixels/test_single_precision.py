"""Single precision of positions: steps know their pixel, so that nothing depends on how products are compiled."""

import functools

import numpy as np
import pytest
from helpers import launches
from samples import generated

from lartpc.detector.detector import Detector
from lartpc.kernels.charge.split import PITCH, split
from lartpc.kernels.pixels.spread import spread
from lartpc.kernels.runtime import cache, launch
from lartpc.kernels.runtime.launch import Kernel


@pytest.fixture
def as_written(monkeypatch):
    """Kernels compiled as they are written: no product is contracted with a sum, no sum reordered."""
    monkeypatch.setattr(cache, "cache_directory", lambda: "")  # on disk are kernels with other flags
    monkeypatch.setattr(launch, "BODY_FLAGS", set())
    monkeypatch.setattr(launch, "HELPER_FLAGS", set())
    monkeypatch.setattr(launch, "cpu_helper", functools.cache(launch.cpu_helper.__wrapped__))
    return lambda kernel: Kernel(kernel.body, kernel.outputs, kernel.work, kernel.light, kernel.lanes, kernel.sums)


def double(arguments):
    """The same numbers in double precision."""
    return {
        name: np.float64(value) if getattr(value, "dtype", None) == np.float32 else value
        for name, value in arguments.items()
    }


def outputs(kernel, threads, arguments):
    """What a kernel makes of the arguments of a launch."""
    made = {name: np.zeros_like(arguments[name]) for name in kernel.outputs}
    kernel(threads, **{**arguments, **made})
    return made


@pytest.fixture(scope="module")
def recorded():
    """Launches in single precision, on the whole planes of module0 (up to 62 and 124 cm)."""
    return launches(generated(20), Detector.module0(), dtype=np.float32)[0]


def errors_of_spread(kernel, arguments):
    """Errors of each pair's moments (n_pairs, 2 most): of x relative to the charge of the whole cloud, of y to 1."""
    n = len(arguments["pair_step"])
    single, exact = (outputs(kernel, n, of) for of in (arguments, double(arguments)))
    charge = arguments["charge"][arguments["pair_step"]][:, None]
    x = (single["moment_x"] - exact["moment_x"]) / charge
    y = single["moment_y"] - exact["moment_y"]
    return np.abs(np.concatenate((x, y), axis=1))


@pytest.mark.slow
def test_moments_do_not_rest_on_contraction(recorded, as_written):
    """To 1e-6 of the cloud's charge, the charge itself to 3e-7; a place that is rounded by 6e-8 moves T_n by n 6e-8.

    With places on the whole plane, as differences of products of that size, the median is 80 times as large.
    """
    found, written = recorded["spread"], as_written(spread)
    error = errors_of_spread(written, found)
    most = error.shape[1] // 2
    assert error[:, [0, most]].max() < 3e-7
    error = error.max(axis=1)
    assert np.quantile(error, 0.999) < 1e-6 and error.max() < 1.5e-6
    pitch = found["tpcs"][found["step_tpc"], PITCH]
    zero = np.zeros_like(found["column"])
    whole = {"x": found["column"].astype(np.float32) * pitch + found["x"], "column": zero}
    whole |= {"y": found["row"].astype(np.float32) * pitch + found["y"], "row": zero}
    assert np.median(errors_of_spread(written, found | whole).max(axis=1)) > 30.0 * np.median(error)


@pytest.mark.slow
def test_places_of_steps_do_not_rest_on_contraction(recorded, as_written):
    """To 1e-7 cm for segments of a centimetre, wherever on the plane; single precision of 62 cm is 4e-6 cm."""
    found = recorded["split"]
    n = len(found["x"])
    written = as_written(split)
    single, exact = (outputs(written, n, of) for of in (found, double(found)))
    pitch = np.float64(found["tpcs"][found["step_tpc"], PITCH])
    for pixel, at in (("column", "x"), ("row", "y")):
        apart = (single[pixel] - exact[pixel]) * pitch + (single[at] - exact[at])
        assert np.abs(apart).max() < 1e-7
        assert exact[pixel].max() > 60
