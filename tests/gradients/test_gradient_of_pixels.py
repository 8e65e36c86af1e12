"""The gradient of the whole chain by thresholds, gains and offsets of pixels, and that of ADC values."""

import dataclasses

import numpy as np
import pytest
from helpers import make_segments, one_tpc
from samples import generated
from traces import difference, gradient, moved, smooth

from lartpc.autodiff.kernelcheck import relative
from lartpc.detector.detector import Detector
from lartpc.gradients.trace import Trace

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
def test_thresholds():
    simulation = smooth()
    batch = simulation.batch(generated(4))
    trace = Trace(simulation, batch)
    pixel = np.sort(trace.waveforms.windows.pixel)
    direction = np.random.default_rng(0).normal(size=len(pixel)) * 7000.0

    def at(h):
        return Trace(smooth(thresholds=(pixel, 7000.0 + h * direction, 0.0)), batch)

    expected = difference(simulation, at, 1e-7)
    index = np.searchsorted(pixel, trace.waveforms.windows.pixel)
    for loss in ("charges", "times", "adc"):
        by_adjoint = np.sum(gradient(trace, loss).pixels.threshold * direction[index])
        assert relative(by_adjoint, expected[loss]) < 1e-5
    assert not gradient(trace, "squares").pixels.threshold.any()


@pytest.mark.slow
@pytest.mark.parametrize("name, key", [("gain", "gain"), ("offset", "v_pedestal")])
def test_gain_and_offset(name, key):
    detector = Detector.module0()
    simulation = smooth(detector)
    batch = simulation.batch(generated(4))
    trace = Trace(simulation, batch)
    value = getattr(detector, key)

    def at(h):
        return Trace(smooth(dataclasses.replace(detector, **{key: value * (1.0 + h)})), batch)

    expected = difference(simulation, at, 1e-6)["adc"]
    assert relative(value * np.sum(getattr(gradient(trace, "adc").pixels, name)), expected) < 1e-6
    for loss in ("squares", "charges", "times"):
        assert not getattr(gradient(trace, loss).pixels, name).any()


def test_adc_by_parameters():
    simulation = smooth()
    batch = simulation.batch(generated(4))
    trace = Trace(simulation, batch)
    for name in ("lifetime", "kb"):
        expected = difference(simulation, moved(simulation, batch, name), 1e-6)["adc"]
        by_adjoint = gradient(trace, "adc").parameters[name] * getattr(simulation.parameters, name)
        assert relative(by_adjoint, expected) < 1e-5


def test_a_clipped_adc_value_has_no_gradient():
    """More than 720 mV, or 180,000 e, above the pedestal."""
    simulation = smooth(one_tpc())
    batch = simulation.batch(make_segments((0.22, 0.22, 10.0), (0.22, 0.22, 10.0), dE=12.0))
    trace = Trace(simulation, batch)
    clipped = trace.adc == 255.0
    assert np.count_nonzero(clipped) == 1
    assert set(trace.backward(adc=np.where(clipped, 1.0, 0.0)).parameters.values()) == {0.0}
    assert trace.backward(charge=np.where(clipped, 1.0, 0.0)).parameters["Ab"] > 0.0
