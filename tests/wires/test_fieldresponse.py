"""Field responses: electrostatics of thin wires against finite differences, charges, symmetry, files."""

import dataclasses

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from threadpoolctl import threadpool_limits

from lartpc.charge.velocity import velocity_of
from lartpc.detector.cage import Cage, CagePlane
from lartpc.detector.wires import BUILT_IN, WireDetector
from lartpc.exceptions import InputError
from lartpc.kernels.charge.drift import drift_velocity
from lartpc.kernels.runtime.slots import TEMPERATURE
from lartpc.parameters import Parameters
from lartpc.wires.electrostatics import Grids, Weighting, follow, wire_response
from lartpc.wires.fieldresponse import FieldResponse

WARM = 87.17  # [K]
THICK = 0.015  # radius of wires that finite differences resolve [cm]


def small_cage(height):
    """Thick wires at SBND's biases, near a grounded plane."""
    return WireDetector.built_in("sbnd").cage._replace(radius=THICK, height=height, ground=0.3)


def laplace(cage, width, top, step, value, slope):
    """Potential by finite differences, x from 0 to `width`, mirrored at both, y from -ground to `top` [cm].

    0 at -ground; at the top it falls by `slope` [1/cm], or is 0 (None). Within the radius of wire n of plane k it is
    value(k, n). Where it is three radii from all wires, so that a thick wire is as a thin one: the potential, its mean
    at the top, x, y.
    """
    x, y = np.arange(round(width / step) + 1) * step, np.arange(round((top + cage.ground) / step) + 1) * step
    y -= cage.ground
    number = np.arange(len(x) * len(y)).reshape(len(x), len(y))
    fixed, known = np.zeros(number.shape, dtype=bool), np.zeros(number.shape)
    fixed[:, 0] = True
    fixed[:, -1] = slope is None
    for k, plane in enumerate(cage.planes):
        for n in range(round(width / plane.pitch) + 1):
            wire = np.hypot(x[:, None] - n * plane.pitch, y - plane.distance) <= cage.radius + 1e-9
            fixed |= wire
            known[wire] = value(k, n)
    i, j = np.nonzero(~fixed)
    rows, columns, right = number[i, j], [number[i, j]], known.copy()
    for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        beside, over = i + di, j + dj
        beside = np.where(beside < 0, 1, np.where(beside >= len(x), len(x) - 2, beside))  # mirrored
        at_top = over >= len(y)
        if slope is not None:
            right[i[at_top], j[at_top]] -= 2.0 * step * slope
        columns.append(number[beside, np.where(at_top, len(y) - 2, over)])
    entries = np.repeat([4.0, -1.0, -1.0, -1.0, -1.0], len(rows))
    of_fixed = number[fixed]
    matrix = coo_matrix(
        (
            np.concatenate([entries, np.ones(len(of_fixed))]),
            (np.concatenate([np.tile(rows, 5), of_fixed]), np.concatenate([*columns, of_fixed])),
        )
    )
    potential = spsolve(matrix.tocsc(), right.ravel()).reshape(number.shape)
    at_x, at_y = np.meshgrid(x, y, indexing="ij")
    place, pitch = np.array([plane.distance for plane in cage.planes]), cage.planes[0].pitch
    from_wire = np.hypot((at_x - pitch * np.round(at_x / pitch))[..., None], at_y[..., None] - place).min(axis=-1)
    far = from_wire > 3.0 * cage.radius
    return potential[far], potential[:, -1].mean(), at_x[far], at_y[far]


def test_drift_potential_is_that_of_finite_differences():
    cage = small_cage(height=1.8)
    expected, far, x, y = laplace(cage, 0.15, 1.8, 0.005, lambda k, n: cage.planes[k].bias, 1000.0 * cage.field)
    found = Grids(cage).potential(x, y)
    assert np.ptp(expected) > 1000.0
    assert np.abs(found - expected).max() < 0.008 * np.ptp(expected)
    assert np.ptp(found[y == y.max()]) < 1e-6  # uniform far from the wires
    assert far == pytest.approx(found[y == y.max()].mean(), abs=3.0)


@pytest.mark.parametrize("plane", range(3))
def test_weighting_potential_is_that_of_finite_differences(plane):
    cage = small_cage(height=0.7)
    expected, _, x, y = laplace(cage, 0.6, 1.4, 0.005, lambda k, n: float((k, n) == (plane, 0)), None)
    near = x < 0.3
    found = Weighting(cage)(x[near], y[near])
    assert found.shape == (3, near.sum()) and expected.max() > 0.5
    assert np.abs(found[plane] - expected[near]).max() < 0.02  # 0.015, and 0.010 with half the step


def test_weighting_potential_is_1_on_the_wire_and_0_on_others():
    cage = WireDetector.built_in("dune-fd1").cage
    around = np.arange(16) * np.pi / 8.0
    x, y = cage.radius * np.cos(around), cage.radius * np.sin(around)
    weighting = Weighting(cage)
    for k, plane in enumerate(cage.planes):
        for n in range(3):
            potential = weighting(x + n * plane.pitch, y + plane.distance).mean(axis=1)
            np.testing.assert_allclose(potential, [float((k - 1, n) == (own, 0)) for own in range(3)], atol=1e-6)


def test_field_is_the_slope_of_the_potential():
    grids, h = Grids(WireDetector.built_in("dune-fd1").cage), 1e-5
    x, y = np.random.default_rng(1).uniform((-0.3, -0.4), (0.3, 2.0), (200, 2)).T
    expected = [
        (grids.potential(x + h, y) - grids.potential(x - h, y)) / (2.0 * h),
        (grids.potential(x, y + h) - grids.potential(x, y - h)) / (2.0 * h),
    ]
    np.testing.assert_allclose(grids.slope(x, y), expected, rtol=1e-4, atol=0.1)
    np.testing.assert_allclose(grids.slope(np.array([0.1]), np.array([9.0])), [[0.0], [-500.0]], atol=1e-9)


def test_velocity_is_the_kernel_s():
    table = Parameters(temperature=89.3).vector(np.float64)[None]
    table[0, TEMPERATURE] = 89.3
    fields = np.array([0.01, 0.273, 0.5, 4.0])
    expected = [drift_velocity(field, table, 0) for field in fields]
    np.testing.assert_allclose(velocity_of(fields, 89.3), expected, rtol=1e-12)


@pytest.mark.parametrize("name", BUILT_IN)
def test_all_electrons_are_collected_at_published_biases(name):
    """Of 40 places of a pitch, on the wire under which they began."""
    cage = WireDetector.built_in(name).cage
    pitch = cage.planes[-1].pitch
    start = (np.arange(20) + 0.5) * pitch / 40
    paths = follow(cage, start, WARM, 0.1)
    np.testing.assert_array_equal(paths.plane, len(cage.planes) - 1)
    assert np.hypot(paths.x[:, -1], paths.y[:, -1]).max() <= cage.radius
    straight = cage.height / float(velocity_of(np.array(cage.field), WARM))
    assert np.all((paths.end > straight - 2.0) & (paths.end < straight + 4.0))
    assert paths.end.argmax() == len(start) - 1  # the one between two wires is caught last


@pytest.mark.parametrize("name", ["sbnd", "dune-fd1"])
def test_charge_and_symmetry(name):
    made = wire_response(WireDetector.built_in(name).cage, WARM, reach=2)
    assert [current.shape[0] for current in made.current] == [50] * 3
    np.testing.assert_allclose(made.offsets[[0, 24, 25, 49]], [-2.45, -0.05, 0.05, 2.45])
    own = np.abs(made.offsets) < 0.5
    np.testing.assert_allclose(made.charge, [0.0 * own, 0.0 * own, 1.0 * own], atol=1e-12)
    for current in made.current:
        np.testing.assert_array_equal(current, current[::-1])
    # induction is bipolar, first as the electron comes; collection is of one sign on the wire itself
    for current in made.current[:2]:
        middle = current[24]
        assert middle.argmax() < middle.argmin() and -middle.min() / middle.max() > 0.5
    assert made.current[2][24].min() > -0.01 * made.current[2][24].max()
    assert made.vdrift == pytest.approx(0.1596, abs=1e-4)


def test_sampling_and_bins_do_not_matter():
    """An electron at the same place, of bins a third as wide and samples half as long, moves the same charge."""
    coarse = wire_response(WireDetector.built_in("sbnd").cage, WARM, reach=1)
    fine = wire_response(WireDetector.built_in("sbnd").cage, WARM, sampling=0.05, bins=30, reach=1)
    assert coarse.offsets[15] == pytest.approx(fine.offsets[46])
    for one, other in zip(coarse.current, fine.current, strict=True):
        moved, expected = one[15].cumsum() * 0.1, other[46].cumsum()[1::2] * 0.05
        n = min(len(moved), len(expected))
        np.testing.assert_allclose(moved[:n], expected[:n], atol=2e-4)


def test_bits_do_not_depend_on_threads_of_blas():
    made = wire_response(WireDetector.built_in("microboone").cage, WARM, reach=0)
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            again = wire_response(WireDetector.built_in("microboone").cage, WARM, reach=0)
        for current, other in zip(made.current, again.current, strict=True):
            np.testing.assert_array_equal(current, other)


def with_biases(*biases):
    sbnd = WireDetector.built_in("sbnd").cage
    planes = zip(sbnd.planes, biases, strict=True)
    return sbnd._replace(planes=tuple(plane._replace(bias=bias) for plane, bias in planes))


@pytest.mark.parametrize(
    "cage, message",
    [
        (with_biases(0.0, 0.0, 0.0), r"bias: found 0, 0, 0 \[V\] at 0.5 kV/cm, by which 100 % of the electrons do not"),
        (with_biases(-200.0, 0.0, 150.0), "by which [1-9]0 % of the electrons do not end on collection wires"),
        (
            WireDetector.built_in("sbnd").cage._replace(planes=WireDetector.built_in("sbnd").cage.planes[::-1]),
            "distance: found .*allowed is a falling order",
        ),
        (Cage((CagePlane(0.0, 0.3, 1.0, False),), 0.5, 10.0, 0.0075, 1.0), "read: found False of the last plane"),
        (WireDetector.built_in("sbnd").cage._replace(height=0.9), "height: found 0.9, allowed is 1.2 or more"),
        (WireDetector.built_in("sbnd").cage._replace(ground=0.0), "radius 0.0075 and ground 0 "),
        (
            WireDetector.built_in("sbnd").cage._replace(
                planes=(CagePlane(0.6, 0.31, -200.0), *WireDetector.built_in("sbnd").cage.planes[1:])
            ),
            r"pitch: found \[0.31, 0.3, 0.3\] \[cm\], allowed is one pitch",
        ),
    ],
)
def test_cages_that_are_refused(cage, message):
    with pytest.raises(InputError, match=message) as refused:
        wire_response(cage, WARM)
    assert "\n" not in str(refused.value)


def test_odd_bins_are_refused():
    with pytest.raises(InputError, match="bins: found 5, allowed is an even number"):
        wire_response(WireDetector.built_in("sbnd").cage, WARM, bins=5)


def small_response():
    current = np.zeros((2, 6, 4))
    current[1, 2:4] = 2.5
    return FieldResponse(tuple(current), (0.3, 0.31), 0.1, 10.0, 0.16, 2)


def test_file_round_trip(tmp_path):
    made = wire_response(WireDetector.built_in("icarus").cage, WARM, reach=1)
    made.write(tmp_path / "r.npz")
    read = FieldResponse.read(tmp_path / "r.npz")
    for field in dataclasses.fields(made):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(made, field.name))
    with pytest.raises(InputError, match="exists already"):
        made.write(tmp_path / "r.npz")
    made.write(tmp_path / "r.npz", overwrite=True)
    assert small_response().reach == 1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"current_0": None}, "field 'current_0' is missing, found are"),
        ({"pitch": None}, "field 'pitch' is missing"),
        ({"vdrift": None}, "field 'vdrift' is missing"),
        ({"vdrift": -1.0}, "vdrift: found -1, allowed is a number above 0"),
        ({"bins": 2.5}, "bins: found 2.5, allowed is a whole number"),
        ({"bins": 4.0}, "current_0: found 6 offsets, allowed are 4 for each of an odd number of wires"),
        ({"pitch": np.array([0.3])}, "pitch: found 1 of 2 planes"),
        ({"pitch": np.array([0.3, np.nan])}, r"pitch: found \[0.3, nan\]"),
        ({"current_1": np.zeros(6)}, r"current_1: found shape \(6,\) of type float64"),
        ({"current_1": np.zeros((6, 0))}, "current_1: found 0 samples, allowed are 1 to"),
        ({"current_0": np.full((6, 4), np.inf)}, r"current_0: found inf at \[0, 0\], allowed are finite numbers"),
        ({"current_0": np.full((6, 4), 1e308)}, "current_0: found a charge of"),
        ({"current_1": np.zeros((6, 4))}, "current_1: found a charge of 0 for an electron at -0.25 pitches"),
        ({"current_0": np.zeros((6, 5))}, "current_1: found 4 samples, allowed are 1 to 20000, the same on all planes"),
        ({"bins": 1e300}, r"bins: found 1e\+300, allowed is a whole number up to 1000"),
        ({}, r"current_0: found 0 as the largest, allowed is one above 0, up to 1e\+06 \[1/us\]"),
        ({"sampling": 0.2}, "current_1: found a charge of 2 for an electron at -0.25 pitches"),
    ],
)
def test_files_that_are_refused(tmp_path, change, message):
    path = tmp_path / "r.npz"
    small_response().write(path)
    content = {name: value for name, value in {**np.load(path), **change}.items() if value is not None}
    np.savez(path, **content)
    with pytest.raises(InputError, match=message) as refused:
        FieldResponse.read(path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


def test_what_is_no_npz_is_refused(tmp_path):
    (tmp_path / "r.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not an npz file of numbers, allowed is a field response"):
        FieldResponse.read(tmp_path / "r.npz")
