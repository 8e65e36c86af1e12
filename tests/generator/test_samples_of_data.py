"""Samples for calibration from data: what is drawn of stopping and crossing particles and cosmics, where it goes."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, kstest

from lartpc import Detector
from lartpc.exceptions import InputError
from lartpc.generator.generate import event_generator, generate
from lartpc.generator.samples import SAMPLES, Box, Primaries
from lartpc.generator.stopping import PARTICLES, PROTON_MASS, range_table

DENSITY = 1.38  # [g/cm3]


def drawn(sample, box, events, seed=0):
    """The primaries of all events together."""
    every = [SAMPLES[sample](event_generator(seed, k), box) for k in range(events)]
    return Primaries(
        *(np.concatenate([getattr(e, name) for e in every]) for name in ("pdg", "kinetic", "position", "direction"))
    )


def ends(segments):
    """Of each track: its first and last point, simulation frame, (n, 3) [cm]."""
    first = np.unique(segments["file_traj_id"], return_index=True)[1]
    last = np.append(first[1:], len(segments)) - 1
    begin = np.stack([segments[f"{c}_start"][first] for c in "zyx"], axis=1)
    return begin, np.stack([segments[f"{c}_end"][last] for c in "zyx"], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(("sample", "pdg"), [("stopping-muons", 13), ("stopping-pions", 211)])
def test_muons_and_pions_stop_inside_after_their_range(sample, pdg):
    detector = Detector.module0()
    box = Box.around(detector)
    segments = generate(sample, detector, events=200, seed=0)
    primaries = drawn(sample, box, 200)
    first = np.unique(segments["file_traj_id"], return_index=True)[1]
    assert np.array_equal(segments["pdg_id"][first], primaries.pdg)
    assert np.mean(primaries.pdg == pdg) == pytest.approx(0.5, abs=0.045)
    assert set(np.unique(primaries.pdg)) == {pdg, -pdg}
    assert kstest(primaries.kinetic, "uniform", (25, 85)).pvalue > 0.001  # all of them fit into module0
    energy = np.bincount(segments["file_traj_id"], segments["dE"])
    inside = np.isclose(energy, primaries.kinetic, rtol=1e-6)
    assert len(energy) == 2000 and np.mean(inside) > 0.998
    end = ends(segments)[1][inside]
    assert np.all((end > box.low + 0.01) & (end < box.high - 0.01))
    mass = PARTICLES[pdg].mass
    path = np.bincount(segments["file_traj_id"], segments["dx"].astype(float))
    ratio = (path / (range_table(mass).range(primaries.kinetic) / DENSITY))[inside]
    assert ratio.mean() == pytest.approx(1, abs=0.004)
    # Range straggling: 1 to 2 % for protons, sqrt(M_p/M) times more for lighter particles.
    heavier = np.sqrt(PROTON_MASS / mass)
    assert 0.009 * heavier < ratio.std() < 0.02 * heavier


@pytest.mark.parametrize("sample", ["stopping-muons", "stopping-pions"])
def test_stopping_particles_are_isotropic_and_on_both_sides(box, sample):
    primaries = drawn(sample, box, 500)
    for cosine in primaries.direction.T:
        assert kstest(cosine, "uniform", (-1, 2)).pvalue > 0.001
    below = np.mean(primaries.position[:, 2] < (box.low + box.high)[2] / 2)
    assert below == pytest.approx(0.5, abs=0.03)


def test_stopping_muons_fit_a_small_detector():
    small = Box(np.zeros(3), np.full(3, 8.0))
    primaries = drawn("stopping-muons", small, 50)
    reach = range_table(PARTICLES[13].mass).range(primaries.kinetic)[:, None] / DENSITY
    stop = primaries.position + reach * primaries.direction
    for point in (primaries.position, stop):
        assert np.all((point > 0.2 * reach) & (point < 8 - 0.2 * reach))
    assert 4 < reach.max() < 5.2


def test_cathodes_are_those_between_two_tpcs(box):
    np.testing.assert_allclose(box.cathodes, [[[-31.0, -83.9, 1.0], [31.0, 40.2, 1.0]]])
    for name, modules in (("module0", 1), ("2x2", 4), ("ndlar", 35)):
        detector = Detector.built_in(name)
        cathodes = Box.around(detector).cathodes
        assert cathodes.shape == (modules, 2, 3)
        of_module = [detector.z_cathode[detector.module == k].mean() for k in range(modules)]
        np.testing.assert_allclose(np.sort(cathodes[:, 0, 2]), np.sort(of_module))


def test_crossing_muons_are_aimed_at_the_cathode_from_the_border(box):
    primaries = drawn("crossing-muons", box, 400)
    cosine = primaries.direction[:, 2]
    assert kstest(cosine, "uniform", (-0.88, 1.76)).pvalue > 0.001
    azimuth = np.arctan2(primaries.direction[:, 1], primaries.direction[:, 0])
    assert kstest(azimuth, "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.001
    assert np.all(primaries.kinetic == 1000) and set(np.unique(primaries.pdg)) == {13, -13}
    way = (1.0 - primaries.position[:, 2]) / cosine
    assert np.all((way > 0) & (way <= 100 + 1e-9))
    near = np.isclose(primaries.position, box.low, atol=1e-9) | np.isclose(primaries.position, box.high, atol=1e-9)
    assert np.all(np.any(near, axis=1) | np.isclose(way, 100))
    point = primaries.position + way[:, None] * primaries.direction
    for k, (low, high) in enumerate(zip(box.low[:2], box.high[:2], strict=True)):
        size = high - low
        assert kstest(point[:, k], "uniform", (low + 0.1 * size, 0.8 * size)).pvalue > 0.001


@pytest.mark.slow
@pytest.mark.parametrize("name", ["module0", "2x2"])
def test_crossing_muons_cross_a_cathode(name):
    detector = Detector.built_in(name)
    box = Box.around(detector)
    segments = generate("crossing-muons", detector, events=60, seed=0)
    first = np.unique(segments["file_traj_id"], return_index=True)[1]
    across = np.zeros(len(first), bool)
    of_cathode = []
    for low, high in box.cathodes:
        within = (segments["z"] > low[0]) & (segments["z"] < high[0])
        z = np.where(within, segments["x"] - low[2], 0)
        crosses = (np.minimum.reduceat(z, first) < 0) & (np.maximum.reduceat(z, first) > 0)
        of_cathode.append(np.sum(crosses))
        across |= crosses
    assert len(across) == 600 and np.mean(across) > 0.96
    # Those that do not are flat, or scattered on a long way.
    cosine = np.abs(drawn("crossing-muons", box, 60).direction[:, 2])
    assert np.all(across[cosine > 0.3])
    assert min(of_cathode) > 600 / len(box.cathodes) * 0.7


@pytest.mark.parametrize("keep", [slice(0, 1), slice(1, 2)])
def test_crossing_muons_need_a_shared_cathode(detector, keep):
    single = SimpleNamespace(**{name: value[keep] for name, value in vars(detector).items()})
    with pytest.raises(InputError, match="crossing-muons.*share a cathode") as raised:
        generate("crossing-muons", single, events=1)
    assert "\n" not in str(raised.value)
    apart = SimpleNamespace(**vars(detector))
    apart.z_cathode = np.array([-10.0, 12.0])
    with pytest.raises(InputError):
        generate("crossing-muons", apart, events=1)
    beside = SimpleNamespace(**vars(detector))
    beside.x_lo, beside.x_hi = np.array([-31.0, 31.0]), np.array([31.0, 93.0])
    with pytest.raises(InputError):
        generate("crossing-muons", beside, events=1)


@pytest.fixture(scope="module")
def cosmics():
    """The box of a detector that is longer than high, and 10,000 cosmic muons."""
    box = Box(np.array([-20.0, -30.0, 10.0]), np.array([50.0, 45.0, 150.0]))
    return box, drawn("cosmics", box, 1000)


def at_plane(primaries, box, axis):
    """Where straight tracks cross the middle plane of the box: which do, inside it, and where (n, 3) [cm]."""
    middle = (box.low + box.high)[axis] / 2
    way = (middle - primaries.position[:, axis]) / primaries.direction[:, axis]
    point = primaries.position + way[:, None] * primaries.direction
    point[:, axis] = middle
    return (way >= 0) & np.all((point >= box.low) & (point <= box.high), axis=1), point


def test_cosmics_are_a_cos2_flux_through_every_plane(cosmics):
    box, primaries = cosmics
    cosine = -primaries.direction[:, 1]
    assert np.all(cosine > 0)
    onto = np.any((primaries.position == box.low) | (primaries.position == box.high), axis=1)
    assert np.all(onto) and not np.any(primaries.position[:, 1] == box.low[1])
    size = box.high - box.low
    # Through a horizontal plane cos^2 cos, uniform over it; through an upright one cos^2 sin, of the same muons.
    through, point = at_plane(primaries, box, 1)
    assert kstest(cosine[through] ** 2, beta(2, 1).cdf).pvalue > 0.001
    for axis in (0, 2):
        assert kstest(point[through, axis], "uniform", (box.low[axis], size[axis])).pvalue > 0.001
    azimuth = np.arctan2(primaries.direction[through, 0], primaries.direction[through, 2])
    assert kstest(azimuth, "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.001
    aside, point = at_plane(primaries, box, 0)
    assert kstest(cosine[aside] ** 2, beta(1.5, 1.5).cdf).pvalue > 0.001
    assert kstest(point[aside, 1], "uniform", (box.low[1], size[1])).pvalue > 0.001
    # Through an area go int cos^2 cos dOmega = pi/2 from above, int cos^2 sin |cos(azimuth)| dOmega = pi/4 aside.
    expected = (size[1] * size[2] * np.pi / 4) / (size[0] * size[2] * np.pi / 2)
    assert np.sum(aside) / np.sum(through) == pytest.approx(expected, rel=0.06)


def test_cosmics_have_the_spectrum_and_charges_of_the_ground(cosmics):
    _, primaries = cosmics
    kinetic = primaries.kinetic / 1000
    assert 0.2 <= kinetic.min() < 0.21 and 80 < kinetic.max() <= 100
    flux = lambda t: (t + 3.64) ** -2.7  # noqa: E731
    total = quad(flux, 0.2, 100)[0]
    for edge in (0.5, 1, 3, 10, 30):
        above = quad(flux, edge, 100)[0] / total
        assert np.mean(kinetic > edge) == pytest.approx(above, abs=4 * np.sqrt(above / len(kinetic)))
    positive = np.sum(primaries.pdg == -13)
    assert set(np.unique(primaries.pdg)) == {13, -13}
    assert positive / (len(kinetic) - positive) == pytest.approx(1.3, rel=0.08)


@pytest.mark.slow
def test_cosmics_go_down_through_the_detector(detector, box):
    segments = generate("cosmics", detector, events=20, seed=0)
    begin, end = ends(segments)
    assert len(begin) == 200
    assert np.mean(end[:, 1] < begin[:, 1]) > 0.98  # y is up, in the file as in the simulation
    assert np.all((end >= box.low - 1e-4) & (end <= box.high + 1e-4))
