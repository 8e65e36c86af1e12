"""Tabulated responses of detectors whose TPCs have different pitches."""

import numpy as np
import pytest
from helpers import PITCH, make_segments, one_tpc, sample
from responses import FINE, both_tracks, small, two_tables, two_tpcs

from lartpc.autodiff.kernelcheck import relative
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
BOUNDS = (("x_lo", "x_hi"), ("y_lo", "y_hi"), ("z_anode", "z_cathode"))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_pitch_has_its_table(dtype):
    """A TPC gives the bits that it gives in a detector of its pitch alone; the charge of both is conserved."""
    segments, tables = both_tracks(), two_tables()
    together = Simulation(two_tpcs(), response=tables, dtype=dtype)
    found = together(segments, waveforms=True)
    assert found.summary.collected == pytest.approx(found.summary.drifted, rel=1e-9 if dtype is np.float64 else 1e-5)
    assert tables[0].response.shape == tables[1].response.shape
    waveform = together.waveforms(together.batch(segments), together.vector())
    ticks, n_hits = np.arange(-400, 1400), 0
    for tpc, (pitch, table) in enumerate(zip((PITCH, FINE), tables[::-1], strict=True)):
        alone = Simulation(two_tpcs((pitch, pitch)), response=table, dtype=dtype)
        only = segments.select(np.array([tpc]))
        expected, hits = alone(only), alone(only).hits
        mine = found.hits.pixel_id // 196 == tpc
        n_hits += len(hits)
        for name in ("pixel_id", "t", "charge", "adc"):
            np.testing.assert_array_equal(getattr(found.hits, name)[mine], getattr(hits, name))
        by_hand = alone.waveforms(alone.batch(only), alone.vector())
        pixels = waveform.windows.pixel[waveform.windows.pixel // 196 == tpc]
        np.testing.assert_array_equal(pixels, by_hand.windows.pixel)
        total = 0.0
        for pixel in pixels:
            current = sample(waveform, pixel, ticks)
            np.testing.assert_array_equal(current, sample(by_hand, pixel, ticks))
            total += 0.1 * current.sum()
        assert total == pytest.approx(expected.summary.drifted, rel=1e-9 if dtype is np.float64 else 1e-5)
    assert n_hits == len(found.hits) > 8
    # the table of the other pitch is another: not the same signal
    swapped = Simulation(two_tpcs((FINE, FINE)), response=tables[0], dtype=dtype)(segments).hits
    assert not np.array_equal(swapped.t, found.hits.t)


@pytest.mark.slow
def test_gradients_with_several_pitches():
    """By parameters, all losses, and by segments; tables of two pitches at once."""
    simulation = Simulation(two_tpcs(), response=two_tables(), dtype=np.float64, settings=SMOOTH)
    segments = both_tracks()
    for row in gradcheck(simulation, segments, ("Ab", "eField", "long_diff", "tran_diff")).rows:
        assert row.passed, row
    batch = simulation.batch(segments)
    trace = Trace(simulation, batch)
    found = trace.backward(current=2.0 * trace.waveforms.current)
    direction = np.random.default_rng(1).normal(size=batch.start.shape)
    for tpc in (0, 1):
        ends = []
        mine = direction * (np.arange(2) == tpc)[:, None]
        for h in (1e-6, -1e-6):
            moved = batch._replace(start=batch.start + h * mine)
            ends.append(np.sum(simulation.waveforms(moved, simulation.vector()).current ** 2))
        assert relative(np.sum(found.start * mine), (ends[0] - ends[1]) / 2e-6) < 1e-5


@pytest.mark.slow
def test_2x2_accounts_for_all_charge():
    """Tracks in each TPC of the third module, of finer pixels, and of the fourth."""
    detector = Detector.built_in("2x2")
    used = np.flatnonzero(detector.module >= 2)
    np.testing.assert_allclose(detector.pitch[used], [FINE, FINE, PITCH, PITCH])
    edges = [(getattr(detector, low), getattr(detector, high)) for low, high in BOUNDS]
    start = np.stack([0.5 * (low + high)[used] for low, high in edges], axis=1) + (2.3, 5.1, 3.0)
    segments = make_segments(start, start + (1.1, -0.7, 1.3), dE=4.0)
    result = Simulation(detector, response="electrostatic")(segments, attribution=True)
    np.testing.assert_array_equal(np.unique(detector.locate(result.hits.pixel_id)[0]), used)
    np.testing.assert_array_equal(result.attribution.tpc, used)
    assert result.summary.collected == pytest.approx(result.summary.drifted, rel=1e-5)
    assert abs(result.summary.cut) < 1e-6 * result.summary.drifted
    np.testing.assert_allclose(result.attribution.fraction.sum(axis=1), 1.0, rtol=1e-5)


def test_one_table_does_not_stand_for_several_pitches(tmp_path):
    response = small()
    response.write(tmp_path / "r.npz")
    message = "found the pixel pitches 0.388, 0.4434 \\[cm\\] in detector two TPCs, a table holds one; allowed is"
    for make in (Response.electrostatic, Response.from_parametric):
        with pytest.raises(InputError, match=f"response: {message}"):
            make(two_tpcs())
    with pytest.raises(InputError, match=f"r.npz: {message}") as failure:
        Simulation(two_tpcs(), response=tmp_path / "r.npz")
    assert "\n" not in str(failure.value)
    with pytest.raises(InputError, match="found tables: 1, allowed is one for each pixel pitch of detector two TPCs"):
        Simulation(two_tpcs(), response=response)
    with pytest.raises(InputError, match="found tables: 2, allowed is one for each pixel pitch of detector one TPC"):
        Simulation(one_tpc(), response=two_tables())
    with pytest.raises(InputError, match="bin_size: found 0.11085, allowed is a whole part of the pixel pitch 0.388"):
        Simulation(two_tpcs(), response=two_tables()[::-1])
    for more, found in (
        ({"bins": 5}, "4, 5 bins a pitch and 1, 1"),
        ({"time_tick": 0.05}, "4, 4 bins a pitch and 1, 2"),
    ):
        with pytest.raises(InputError, match=f"found tables of {found} samples a clock cycle, allowed is one number"):
            Simulation(two_tpcs(), response=(two_tables()[0], small(**more)))
