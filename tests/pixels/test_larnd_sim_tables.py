"""Look-alikes of the tables that larnd-sim and larnd-sim-jax have: when charge arrives, how much, and where."""

import dataclasses

import numpy as np
import pytest
from helpers import PITCH, VELOCITY, make_segments, one_tpc, sample, waveforms
from responses import like_larnd_sim, two_tpcs, write_like_larnd_sim

from lartpc.charge.velocity import common_velocity
from lartpc.exceptions import InputError
from lartpc.parameters import Parameters
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
PLACE = (0.5 * PITCH, 0.5 * PITCH)  # the centre of pixel 55
TICKS = np.arange(-400, 1500)
KINDS = ("half", "full", "long", "alone")


def currents(response, distance, detector=None, place=PLACE, pixels=(55, 56, 65)):
    """Of a charge at a point on pixels: its own, the next in x, the next in y."""
    detector = detector or one_tpc()
    segments = make_segments((*place, distance), (*place, distance))
    found = waveforms(segments, detector, response=response, dtype=np.float64)
    return [sample(found, pixel, TICKS) for pixel in pixels]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, table = tmp_path_factory.mktemp("tables"), like_larnd_sim(one_tpc())
    return {kind: (folder / kind, write_like_larnd_sim(folder / kind, table, kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_charge_and_time(files, kind):
    """As of the table made for the same pads from 5 cm on: only what is induced before is more."""
    path, table = files[kind]
    found = Response.read(path, one_tpc())
    np.testing.assert_allclose(found.response, table.response, atol=1e-6)
    assert found.time_tick == table.time_tick and found.bin_size == pytest.approx(PITCH / 10)
    late = found.arrival(one_tpc()) - table.arrival(one_tpc())
    assert abs(late) < 0.1
    expected = currents(Response.electrostatic(one_tpc(), reach=15), 20.0)
    for one, known in zip(currents(found, 20.0), expected, strict=True):
        assert one.sum() == pytest.approx(known.sum(), abs=1e-5 * expected[0].sum())
        off = np.cumsum(one - known)
        assert np.abs(off).max() < (0.01 if kind in ("half", "full") else 0.05) * expected[0].sum()
    own = currents(found, 20.0)[0]
    middle = 20.0 / VELOCITY * 10.0  # ticks: the charge is there
    assert own[TICKS > middle + 12].sum() < 1e-3 * own.sum() < own[TICKS > middle].sum()


def test_an_array_of_one_number_is_a_number(files):
    assert Response.read(files["half"][0], one_tpc()).time_tick == 0.05


def test_pads_with_gaps_are_read_as_they_were_made(tmp_path):
    """Charge at the pixel's centre comes earlier than at the velocity of the drift; the table's time is that of it."""
    made = write_like_larnd_sim(tmp_path / "r", like_larnd_sim(one_tpc(), gap=0.2434), "full")
    found = Response.read(tmp_path / "r", one_tpc())
    assert found.vdrift is None
    assert found.arrival(one_tpc()) == pytest.approx(30.431 / VELOCITY)
    (own,) = currents(found, 20.0, pixels=(55,))
    (expected,) = currents(made, 20.0, pixels=(55,))
    np.testing.assert_allclose(own, expected, atol=1e-5 * expected.max())
    charge = found.charge
    np.testing.assert_allclose(charge[:5, :5], 1.0, atol=1e-6)
    charge[:5, :5] = 0.0
    np.testing.assert_allclose(charge, 0.0, atol=1e-6)


def test_axes_are_x_and_y(files, tmp_path):
    """A table whose neighbours along x see twice as much as those along y."""
    _, table = files["full"]
    twice = table.response.copy()
    twice[5:, :5] *= 2.0
    np.savez(tmp_path / "r.npz", response=twice, time_tick=0.1, drift_length=30.431, bin_size=PITCH / 10)
    own, along_x, along_y = currents(Response.read(tmp_path / "r.npz", one_tpc()), 20.0)
    _, once, _ = currents(table, 20.0)
    np.testing.assert_allclose(along_y, once, atol=1e-3 * own.max())
    np.testing.assert_allclose(along_x, 2.0 * once, atol=1e-3 * own.max())
    assert once.max() > 0.02 * own.max()


def test_a_table_of_another_field(files):
    """Its time is its own: charge arrives in it when it does, and in the detector when that says."""
    slow = dataclasses.replace(one_tpc(), parameters=Parameters(eField=0.46))
    found = Response.read(files["half"][0], slow)
    assert found.arrival(slow) == pytest.approx(30.431 / VELOCITY, abs=0.1)
    assert found.vdrift == pytest.approx(VELOCITY, rel=1e-3)
    (own,) = currents(found, 20.0, slow, pixels=(55,))
    there = np.argmax(np.cumsum(own) >= 0.99 * own.sum())
    assert TICKS[there] * 0.1 == pytest.approx(20.0 / common_velocity(slow), abs=0.6)


def test_a_table_for_each_pitch(tmp_path):
    detector = two_tpcs()
    for name, pitch in (("a", PITCH), ("b", 0.387975)):  # larnd-sim's finer pixels, 0.388 cm in its layout
        write_like_larnd_sim(tmp_path / name, like_larnd_sim(detector, pitch=pitch), "full")
    assert Response.read(tmp_path / "b", detector, 0.388).bins(0.388) == 10
    segments = make_segments([(0.2, 0.2, 15.0), (40.2, 0.2, 15.0)], [(0.5, 0.3, 15.0), (40.5, 0.3, 15.0)])
    hits = Simulation(dataclasses.replace(detector, module=np.arange(2)), response=[tmp_path / "a", tmp_path / "b"])(
        segments
    ).hits
    assert {*hits.tpc} == {0, 1}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda f: f | {"response": f["response"].transpose(2, 0, 1)}, "response: found a charge of"),
        (
            lambda f: f | {"time_tick": 100.0},
            "response: found currents that move a charge of 1e\\+03 for one electron in a bin",
        ),
        (lambda f: f | {"drift_length": 304.31}, "drift_length: found 304.31, allowed is up to 31.1"),
        (
            lambda f: f | {"drift_length": 10.0},
            "drift_length: found 10, allowed is about 30.4.*, at 190.7 us",
        ),
        (lambda f: f | {"bin_size": 0.0372}, "bin_size: found 0.0372, allowed is a whole part of the pixel pitch"),
        (lambda f: f | {"response": f["response"][..., :1800]}, "response: found a charge of"),
    ],
    ids=["time first", "nanoseconds", "millimetres", "cut", "another pitch", "ends early"],
)
def test_what_cannot_be_one_is_refused(files, tmp_path, change, message):
    _, table = files["full"]
    fields = {name: getattr(table, name) for name in ("response", "time_tick", "drift_length", "bin_size")}
    np.savez(tmp_path / "r.npz", **change(fields))
    with pytest.raises(InputError, match=message) as failure:
        Response.read(tmp_path / "r.npz", one_tpc())
    assert "\n" not in str(failure.value) and len(str(failure.value)) < 300
