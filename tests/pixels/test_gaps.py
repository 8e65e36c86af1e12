"""Pads with gaps: the fields against finite differences and known sums, and the tables that follow from them."""

import dataclasses

import numpy as np
import pytest
from commands import lartpc_command, refusal
from helpers import PITCH, VELOCITY, one_tpc
from scipy.fft import dctn, idctn
from scipy.sparse import diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve

from lartpc.charge.velocity import common_velocity, velocities
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.parameters import Parameters
from lartpc.pixels import gaps
from lartpc.pixels.electrostatics import weighting_potential
from lartpc.pixels.response import Response

PAD = 0.35  # [cm] of larnd-sim's pixels of 0.4434 cm


def differences(pad, own, spacing, levels):
    """Potential in the plane of pads, `pad` of which `own` are at 1, by finite differences of Laplace's equation.

    No field line crosses the sides; `levels` above the plane, the last grounded.
    """
    n = len(pad)
    second = diags_array([np.ones(n - 1), np.r_[-1.0, np.full(n - 2, -2.0), -1.0], np.ones(n - 1)], offsets=[-1, 0, 1])
    across = (kron(second, eye_array(n)) + kron(eye_array(n), second)) / spacing**2
    z = np.arange(levels)
    up = diags_array([np.ones(levels - 1), np.full(levels, -2.0), np.ones(levels - 1)], offsets=[-1, 0, 1]).tolil()
    up[0, 1] = 2.0  # no field line enters the plane: it mirrors
    whole = (kron(eye_array(levels), across) + kron(up, eye_array(n * n)) / spacing**2).tocsr()
    held = np.r_[pad.ravel(), np.zeros((len(z) - 1) * n * n, dtype=bool)]
    value = np.r_[own.ravel().astype(float), np.zeros((len(z) - 1) * n * n)]
    found = value.copy()
    found[~held] = spsolve(whole[~held][:, ~held], -whole[~held][:, held] @ value[held])
    return found[: n * n].reshape(n, n)


@pytest.mark.parametrize("half, own", [(0.5, False), (1.5, True)])
def test_the_plane_is_that_of_finite_differences(half, own):
    """Up to their own error, which falls with their spacing."""
    error = []
    for points in (8, 16):
        plane = gaps.surface(1.0, 0.6, 1.0, half, (points, points), own)
        at_one = plane.potential == 1.0
        pad = at_one | (plane.potential == 0.0)
        expected = differences(pad, at_one, 1.0 / points, points)
        error.append((np.abs(plane.potential - expected).max(), np.abs(plane.potential - expected).mean()))
        assert 0.1 < expected[~pad].max() < 0.99
    assert np.max(error) < 0.02
    assert error[1][1] < 0.9 * error[0][1] < 6e-3


def test_no_line_enters_a_gap():
    """And pads are at their potentials."""
    plane = gaps.surface(PITCH, PAD, 5.0, 2.5, (40, 60), own=True)
    k = np.hypot(plane.k[:, None], plane.k)
    charge = idctn(
        np.where(k > 0.0, k / np.tanh(np.maximum(k, 1e-9) * 5.0), 0.2) * dctn(plane.potential, norm="ortho"),
        norm="ortho",
    )
    held = np.isin(plane.potential, (0.0, 1.0))
    assert 0.6 < held.mean() < 0.65  # (0.35/0.4434)^2
    assert np.abs(charge[~held]).max() < 1e-7 * np.abs(charge).max()
    assert (plane.potential >= 0.0).all() and (plane.potential <= 1.0).all()


@pytest.mark.slow
def test_weighting_potentials_of_all_pads_sum_to_that_of_the_drift():
    """A charge induces on all pads together what it does on one electrode; far away that of a plane by 1 - z/height."""
    height, n = 1.0, np.arange(-7, 8)
    weighting = gaps.Weighting(1.0, 0.6, height, 7.0)
    cell = gaps.surface(1.0, 0.6, height, 0.5, gaps.FINE_POINTS, own=False)
    wave = dctn(cell.potential, norm="ortho")
    k = np.hypot(cell.k[:, None], cell.k)
    for z in (0.02, 0.1, 0.3, 0.8):
        expected = idctn(wave * gaps._falling(k, z, height)[0], norm="ortho")
        for i, j in ((3, 5), (40, 60), (-3, -5)):
            x, y = cell.x[i] + n[:, None], cell.x[j] + n
            total = weighting(*np.broadcast_arrays(x, y, z)).sum()
            assert total == pytest.approx(expected[i, j], abs=2e-3)


@pytest.mark.slow
def test_a_small_gap_is_almost_none():
    """And the larger, the more."""
    places = np.array([0.0, 0.2, 0.5, 0.9]), np.array([0.1, 0.3, 0.0, 0.2]), np.array([0.1, 0.3, 0.8, 0.5])
    full = weighting_potential(*places, PITCH, 2.0)
    off = [np.abs(gaps.Weighting(PITCH, part * PITCH, 2.0, 2.0)(*places) - full).max() for part in (0.95, 0.9, 0.8)]
    assert off[0] < 2e-3
    assert off[0] < off[1] < off[2] < 0.04


@pytest.fixture(scope="module")
def table():
    return Response.electrostatic(one_tpc(), pad_size=PAD, reach=15, height=2.0)


@pytest.mark.slow
def test_charge_is_that_of_the_pads_pixel(table):
    """1 within it, over its gap, too, and 0 beyond: exactly."""
    own = np.zeros((15, 15))
    own[:5, :5] = 1.0
    np.testing.assert_allclose(table.charge, own, atol=1e-14)
    np.testing.assert_array_equal(table.response, table.response.transpose(1, 0, 2))
    assert table.drift_length == 2.0 and table.vdrift == pytest.approx(VELOCITY)
    full = Response.electrostatic(one_tpc(), reach=15, height=2.0)
    seen = [one.response[0, 0, :115].sum() * 0.1 for one in (table, full)]
    assert seen[0] < 0.97 * seen[1]  # a smaller pad sees less of what is still far away


def test_electrons_end_on_pads_and_late_over_the_edge():
    detector = one_tpc()
    start = (np.arange(5) + 0.5) * PITCH / 10
    x, y = (along.ravel() for along in np.meshgrid(start, start, indexing="ij"))
    late = {}
    for pad in (PAD, 0.2):
        time, place = gaps.drift_paths(PITCH, pad, 2.0, np.stack((x, y), -1), lambda f: velocities(detector, f))
        assert place[:, -1, :2].max() < 0.5 * pad
        assert (np.diff(place[..., 2]) < 0.0).all() and (np.diff(time) > 0.0).all()
        np.testing.assert_allclose(place[:, 0], np.stack((x, y, np.full(25, 2.0)), -1))
        late[pad] = (time[:, -1] - 2.0 / VELOCITY).reshape(5, 5)
        np.testing.assert_allclose(late[pad], late[pad].T, atol=1e-6)
        assert (np.diff(late[pad]) > -1e-3).all()  # the later, the nearer to the edge
    assert -0.1 < late[PAD][0, 0] < 0.0 < 0.1 < late[PAD][4, 4] < 0.2  # [us]
    assert -0.35 < late[0.2][0, 0] < -0.2 and 0.9 < late[0.2][4, 4] < 1.1


def test_paths_fill_the_volume():
    """At velocities in proportion to the field, which has no source, electrons take volume over flux on average.

    Near the pixel's edge their times grow as a logarithm: sums over n starts a side are off by as much as one in n.
    """
    mean = []
    for n in (4, 8):
        start = (np.arange(n) + 0.5) * 0.5 / n
        x, y = (along.ravel() for along in np.meshgrid(start, start, indexing="ij"))
        time, _ = gaps.drift_paths(1.0, 0.6, 4.0, np.stack((x, y), -1), lambda field: 0.5 * field)
        late = time[:, -1] - 4.0 / 0.5
        mean.append(late.mean())
    assert np.abs(late).mean() > 0.15
    assert abs(2.0 * mean[1] - mean[0]) < 5e-3


@pytest.mark.slow
def test_finer_lattices_give_the_same_table(table, monkeypatch):
    for name in ("POINTS", "FINE_POINTS", "DRIFT_POINTS"):
        low, high = getattr(gaps, name)
        monkeypatch.setattr(gaps, name, (3 * low // 2 // 2 * 2, 3 * high // 2))
    finer = Response.electrostatic(one_tpc(), pad_size=PAD, reach=15, height=2.0)
    off = finer.response - table.response
    assert np.abs(off).max() < 0.01 * table.response.max()
    assert np.abs(off.cumsum(axis=2)).max() * 0.1 < 3e-3  # of an electron


def test_velocities_are_those_of_the_field():
    detector = dataclasses.replace(one_tpc(), parameters=Parameters(eField=0.4))
    half, once, twice = velocities(detector, np.array([0.5, 1.0, 2.0]))
    assert once == pytest.approx(common_velocity(detector))
    for part, v in ((0.2, half), (0.8, twice)):
        assert v == pytest.approx(common_velocity(dataclasses.replace(detector, parameters=Parameters(eField=part))))
    given = dataclasses.replace(one_tpc(), parameters=Parameters(eField=0.4, vdrift=0.15))
    np.testing.assert_allclose(velocities(given, np.array([0.5, 1.0])), [0.15 * half / once, 0.15])


@pytest.mark.parametrize(
    "values, message",
    [
        ({"pad_size": 0.44}, "pad_size: found 0.44, allowed is 0.2 to 0.95 of the pixel pitch 0.4434"),
        ({"pad_size": 0.5}, "pad_size: found 0.5, allowed"),
        ({"pad_size": np.nan}, "pad_size: found nan, allowed"),
        ({"gap": -0.01}, "pad_size: found 0.4534, allowed"),
        ({"pad_size": 0.3, "bins": 5}, "bins: found 5, allowed is an even number"),
    ],
)
def test_pads_that_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Response.electrostatic(one_tpc(), **values)


def test_no_gap_is_the_pad_that_fills_its_pixel():
    expected = Response.electrostatic(one_tpc(), reach=10, height=1.0)
    for values in ({"gap": 0.0}, {"pad_size": PITCH}):
        assert Response.electrostatic(one_tpc(), reach=10, height=1.0, **values).same(expected)


@pytest.mark.slow
def test_the_command(tmp_path):
    for name, option in (("a", ("--pad-size", "0.2434")), ("b", ("--gap", "0.2"))):
        done = lartpc_command("response", "-o", tmp_path / f"{name}.npz", *option)
        assert (done.exit_code, done.stderr) == (0, "")
        assert "charge within" in done.stdout and "of 1 on the pad" in done.stdout
    a, b = (Response.read(tmp_path / f"{name}.npz", Detector.module0()) for name in "ab")
    np.testing.assert_allclose(a.response, b.response, atol=1e-6)
    assert a.response.shape[2] > 315


def test_the_command_refuses(tmp_path):
    both = ("--pad-size", "0.3", "--gap", "0.1")
    assert "--gap: found with --pad-size" in refusal("response", "-o", tmp_path / "r.npz", *both)
    assert "pad_size: found 9" in refusal("response", "-o", tmp_path / "r.npz", "--pad-size", "9")
    assert not (tmp_path / "r.npz").exists()
