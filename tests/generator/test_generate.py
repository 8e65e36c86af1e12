"""The particle generator: stopping power, ranges, straggling, scattering, samples."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import kstest

from lartpc.exceptions import InputError
from lartpc.generator.generate import event_generator, generate
from lartpc.generator.samples import SAMPLES, Box, Primaries, entry_points, isotropic
from lartpc.generator.stopping import (
    ELECTRON_MASS,
    MAX_COLLISIONS,
    PARTICLES,
    PROTON_MASS,
    RADIATION_LENGTH,
    electron_collision,
    electron_radiation,
    kinematics,
    landau_width,
    max_transfer,
    most_probable_loss,
    range_table,
    stopping_power,
    straggle,
)
from lartpc.generator.transport import SEGMENT_DTYPE, propagate

MUON_MASS = PARTICLES[13].mass
DENSITY = 1.38  # [g/cm3]

# Groom, Mokhov and Striganov, At. Data Nucl. Data Tables 78 (2001) 183, muons in liquid argon:
# kinetic energy [MeV], stopping power [MeV cm2/g], CSDA range [g/cm2].
MUON_TABLE = np.array(
    [
        (10, 5.687, 0.9833),
        (14, 4.461, 1.786),
        (20, 3.503, 3.321),
        (30, 2.731, 6.598),
        (40, 2.340, 10.58),
        (80, 1.771, 30.84),
        (100, 1.670, 42.50),
        (140, 1.570, 67.32),
        (200, 1.519, 106.3),
        (300, 1.510, 172.5),
        (400, 1.526, 238.5),
        (800, 1.610, 493.4),
        (1000, 1.645, 616.3),
        (1400, 1.700, 855.2),
        (2000, 1.761, 1202.0),
    ]
)

# NIST PSTAR, protons in argon: the same columns.
PROTON_TABLE = np.array(
    [
        (0.1, 486.2, 2.668e-4),
        (1, 153.4, 4.336e-3),
        (3, 74.09, 2.465e-2),
        (10, 30.61, 0.1887),
        (30, 13.07, 1.296),
        (100, 5.213, 10.92),
        (300, 2.557, 71.44),
        (1000, 1.629, 445.4),
        (2000, 1.521, 1090.0),
    ]
)


@pytest.fixture
def detector():
    """Two TPCs that share a cathode, not centred, so that exchanged or mirrored axes show."""
    return SimpleNamespace(
        x_lo=np.array([-31.0, -31.0]),
        x_hi=np.array([31.0, 31.0]),
        y_lo=np.array([-83.9, -83.9]),
        y_hi=np.array([40.2, 40.2]),
        z_anode=np.array([-30.4, 32.4]),
        z_cathode=np.array([0.8, 1.2]),
    )


@pytest.fixture
def box(detector):
    return Box.around(detector)


def beam(pdg, kinetic, n, box):
    """Tracks from the origin along +z in a box: what `propagate` returns."""
    direction = np.tile([0.0, 0.0, 1.0], (n, 1))
    primaries = Primaries(np.full(n, pdg), np.full(n, float(kinetic)), np.zeros((n, 3)), direction)
    return propagate(box, [primaries], [event_generator(0, 0)])


def big_box():
    return Box(np.full(3, -1000.0), np.full(3, 1000.0))


def losses(kinetic, mass, thickness, n=100_000):
    """n straggled losses [MeV] in a thickness [g/cm2], with the mean, xi, W_max [MeV] and beta^2 that they are of."""
    rng = np.random.default_rng(7)
    beta2 = float(kinematics(kinetic, mass)[0])
    mean = float(stopping_power(kinetic, mass)) * thickness
    xi, transfer = float(landau_width(kinetic, mass, thickness)), float(max_transfer(kinetic, mass))
    random = rng.standard_normal(n), rng.standard_exponential((n, MAX_COLLISIONS)), rng.random((n, MAX_COLLISIONS))
    lost = straggle(*(np.full(n, value) for value in (mean, xi, transfer, beta2)), *random)
    return lost, mean, xi, transfer, beta2


def test_muon_stopping_power_and_range_are_the_published_ones():
    kinetic, power, csda = MUON_TABLE.T
    np.testing.assert_allclose(stopping_power(kinetic, MUON_MASS), power, rtol=0.006)
    np.testing.assert_allclose(range_table(MUON_MASS).range(kinetic), csda, rtol=0.02)
    np.testing.assert_allclose(range_table(MUON_MASS).range(kinetic[2:]), csda[2:], rtol=0.006)


def test_minimum_ionisation_of_muons():
    kinetic = np.linspace(150, 500, 3501)
    power = stopping_power(kinetic, MUON_MASS)
    assert power.min() == pytest.approx(1.508, rel=0.002)  # PDG, liquid argon
    assert kinetic[power.argmin()] == pytest.approx(270, abs=15)


def test_proton_stopping_power_and_range_are_the_published_ones():
    kinetic, power, csda = PROTON_TABLE.T
    np.testing.assert_allclose(stopping_power(kinetic, PROTON_MASS), power, rtol=0.01)
    np.testing.assert_allclose(range_table(PROTON_MASS).range(kinetic), csda, rtol=0.015)


def test_protons_agree_with_every_line_of_pstar():
    folder = os.environ.get("LARTPC_REFERENCE_DATA")
    if not folder:
        pytest.skip("LARTPC_REFERENCE_DATA is not set")
    kinetic, power, csda = np.loadtxt(Path(folder) / "data" / "nist-proton-range.txt", skiprows=1).T
    # PSTAR's argon is a gas, without density effect, which matters above 2 GeV; below 10 keV nuclei stop protons too.
    fast = (kinetic >= 0.01) & (kinetic <= 2000)
    np.testing.assert_allclose(stopping_power(kinetic[fast], PROTON_MASS), power[fast], rtol=0.02)
    long = fast & (kinetic >= 0.06)
    np.testing.assert_allclose(range_table(PROTON_MASS).range(kinetic[long]), csda[long], rtol=0.02)


def test_electrons_have_argons_critical_energy_and_radiation_length():
    # PDG, liquid argon: at 32.84 MeV the ionisation over one radiation length is the energy itself (Rossi).
    assert electron_collision(32.84) * RADIATION_LENGTH == pytest.approx(32.84, rel=0.005)
    assert 5e4 / electron_radiation(5e4) == pytest.approx(RADIATION_LENGTH, rel=0.02)


def test_kinetic_energy_inverts_range():
    kinetic = np.geomspace(0.01, 1e4, 500)
    for mass in (ELECTRON_MASS, MUON_MASS, PROTON_MASS):
        table = range_table(mass)
        np.testing.assert_allclose(table.kinetic(table.range(kinetic)), kinetic, rtol=1e-10)


@pytest.mark.parametrize(
    ("kinetic", "mass", "thickness"),
    [(1000, MUON_MASS, 0.414), (20, PROTON_MASS, 0.02), (100, PROTON_MASS, 0.4), (300, MUON_MASS, 1e-3)],
)
def test_straggled_losses_have_bethes_mean_and_vavilovs_variance(kinetic, mass, thickness):
    lost, mean, xi, transfer, beta2 = losses(kinetic, mass, thickness)
    assert lost.min() > 0
    error = lost.std() / np.sqrt(len(lost))
    assert abs(lost.mean() - mean) < 4 * error
    deviation = (lost - mean) ** 2
    variance = xi * transfer * (1 - beta2 / 2)
    assert abs(deviation.mean() - variance) < 4 * deviation.std() / np.sqrt(len(lost))


@pytest.mark.parametrize(("kinetic", "thickness"), [(1000, 0.414), (300, 0.414), (2000, 1.0)])
def test_most_probable_loss_is_landau_vavilov_bichsels(kinetic, thickness):
    lost, mean, *_ = losses(kinetic, MUON_MASS, thickness, 300_000)
    expected = most_probable_loss(kinetic, MUON_MASS, thickness)
    counts, edges = np.histogram(lost, 40, (0.85 * expected, 1.2 * expected))
    middle = (edges[1:] + edges[:-1]) / 2
    top = counts > 0.75 * counts.max()
    cubic = np.polynomial.Polynomial.fit(middle[top], counts[top], 3)
    fine = np.linspace(middle[top][0], middle[top][-1], 1001)
    assert fine[cubic(fine).argmax()] == pytest.approx(expected, rel=0.01)
    assert expected < 0.9 * mean


def test_scattering_is_highlands():
    n, kinetic = 3000, 1000.0
    for length, allowed in ((RADIATION_LENGTH / DENSITY, 0.03), (3.6, 0.11)):  # 11 %: the formula's own accuracy
        slab = Box(np.full(3, -1e3), np.array([1e3, 1e3, length]))
        track, start, end, *_ = beam(13, kinetic, n, slab)
        last = np.append(track[1:] != track[:-1], True)
        step = (end - start)[last]
        slope = step[:, :2] / step[:, 2:]
        beta2, beta_gamma = kinematics(kinetic - length, MUON_MASS)  # in the middle, at 2 MeV/cm
        x = (np.mean(start[last][:, 2])) * DENSITY / RADIATION_LENGTH
        highland = 13.6 / (np.sqrt(beta2) * beta_gamma * MUON_MASS) * np.sqrt(x) * (1 + 0.038 * np.log(x / beta2))
        assert np.sqrt(np.mean(slope**2)) == pytest.approx(highland, rel=allowed)


@pytest.mark.parametrize(("pdg", "kinetic"), [(2212, 120.0), (13, 80.0), (211, 60.0)])
def test_stopping_particles_deposit_their_energy_over_their_range(pdg, kinetic):
    track, _, _, length, deposit, *_ = beam(pdg, kinetic, 400, big_box())
    np.testing.assert_allclose(np.bincount(track, deposit), kinetic, rtol=1e-9)
    path = np.bincount(track, length)
    expected = range_table(PARTICLES[pdg].mass).range(kinetic) / DENSITY
    assert path.mean() == pytest.approx(expected, rel=0.01)
    # Range straggling: 1 to 2 % for protons, sqrt(M_p/M) times more for lighter particles.
    heavier = np.sqrt(PROTON_MASS / PARTICLES[pdg].mass)
    assert 0.009 * heavier < path.std() / expected < 0.02 * heavier


def test_protons_end_in_a_bragg_peak():
    track, _, _, length, deposit, *_ = beam(2212, 120.0, 300, big_box())
    total = np.bincount(track, length)
    before = np.cumsum(length) - np.concatenate([[0.0], np.cumsum(total)])[track] - length / 2
    residual = total[track] - before
    last, plateau = residual < 1, (residual > 7) & (residual < 8)
    density = [deposit[chosen].sum() / length[chosen].sum() for chosen in (last, plateau)]
    assert density[0] == pytest.approx(31.0, rel=0.03)  # PSTAR: 31.0 MeV have a range of 1 cm
    assert density[0] > 3 * density[1]
    tip = residual < 0.1
    assert deposit[tip].sum() / length[tip].sum() > 2 * density[0]


def test_electrons_radiate_part_of_their_energy():
    track, _, _, _, deposit, *_ = beam(11, 50.0, 200, big_box())
    kept = np.bincount(track, deposit) / 50.0
    assert kept.max() < 1
    # The share of the mean: int S_col/S dT / T.
    kinetic = np.linspace(0.01, 50.0, 5000)
    expected = np.mean(electron_collision(kinetic) / stopping_power(kinetic, ELECTRON_MASS))
    assert kept.mean() == pytest.approx(expected, rel=0.03)


def test_entries_are_uniform_over_the_area_seen(box):
    rng = np.random.default_rng(3)
    direction = isotropic(rng, 40_000)
    points = entry_points(rng, box, direction)
    assert np.all(np.any((points == box.low) | (points == box.high), axis=1))
    chord = box.distance(points, direction)
    size = box.high - box.low
    # Volume over the area seen is the mean chord in a direction, if entries are uniform over that area.
    seen = np.abs(direction) @ (np.prod(size) / size)
    assert chord.mean() == pytest.approx(np.mean(np.prod(size) / seen), rel=0.01)
    inside = (points + chord[:, None] / 2 * direction - box.low) / size
    assert np.all((inside >= 0) & (inside <= 1))


def test_muons_are_ten_of_1_gev_isotropic_from_the_border(detector, box):
    segments = generate("muons", detector, events=100, seed=0)
    first = segments[np.unique(segments["file_traj_id"], return_index=True)[1]]
    assert len(first) == 1000
    assert set(np.unique(first["pdg_id"])) == {13, -13}
    direction = np.stack([first[f"{c}_end"].astype(float) - first[f"{c}_start"] for c in "xyz"], axis=1)
    direction = direction[first["dx"] > 0.01] / first["dx"][first["dx"] > 0.01, None]
    for cosine in direction.T:
        assert kstest(cosine, "uniform", (-1, 2)).pvalue > 0.001
    assert kstest(np.arctan2(direction[:, 0], direction[:, 2]), "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.001
    start = np.stack([first[f"{c}_start"] for c in "zyx"], axis=1)
    assert np.all(np.any(np.isclose(start, box.low, atol=1e-4) | np.isclose(start, box.high, atol=1e-4), axis=1))
    energy = np.bincount(segments["file_traj_id"], segments["dE"])
    length = np.bincount(segments["file_traj_id"], segments["dx"])
    assert energy.max() <= 1000
    assert energy.sum() / length.sum() == pytest.approx(1.645 * DENSITY, rel=0.04)
    assert np.median(segments["dEdx"]) == pytest.approx(1.75, rel=0.03)  # most probable: 1.7 MeV/cm


def test_mixed_sample(detector):
    segments = generate("mixed", detector, events=60, seed=2)
    first = segments[np.unique(segments["file_traj_id"], return_index=True)[1]]
    kinds = np.abs(first["pdg_id"])
    assert set(np.unique(first["pdg_id"])) == {13, -13, 211, -211, 2212}
    for pdg in (13, 211, 2212):
        assert np.mean(kinds == pdg) == pytest.approx(1 / 3, abs=0.08)
    kinetic = np.concatenate([SAMPLES["mixed"](event_generator(2, k), Box.around(detector)).kinetic for k in range(60)])
    assert 100 <= kinetic.min() < 130 and 1970 < kinetic.max() <= 2000
    assert np.all(np.bincount(segments["file_traj_id"], segments["dE"]) <= kinetic * (1 + 1e-6))


def test_stopping_protons_stop_inside_with_all_their_energy(detector, box):
    segments = generate("stopping-protons", detector, events=100, seed=0)
    kinetic = [SAMPLES["stopping-protons"](event_generator(0, k), box).kinetic for k in range(100)]
    energy = np.bincount(segments["file_traj_id"], segments["dE"])
    np.testing.assert_allclose(energy, np.concatenate(kinetic), rtol=1e-6)
    last = segments[np.append(np.diff(segments["file_traj_id"].astype(int)) != 0, True)]
    end = np.stack([last[f"{c}_end"] for c in "zyx"], axis=1)
    assert np.all((end > box.low + 0.01) & (end < box.high - 0.01))


@pytest.mark.parametrize("sample", ["muons", "mixed", "stopping-protons", "electrons"])
def test_segments_are_valid_edep_sim_rows(detector, box, sample):
    segments = generate(sample, detector, events=5, seed=1)
    for name in segments.dtype.names:
        assert np.all(np.isfinite(segments[name])), name
    assert np.all(segments["dE"] >= 0) and np.all(segments["dx"] > 0) and segments["dx"].max() <= 0.3001
    for ending in ("_start", "_end"):
        # x is the drift axis in the file, z the beam.
        point = np.stack([segments[c + ending] for c in "zyx"], axis=1)
        assert np.all((point >= box.low - 1e-4) & (point <= box.high + 1e-4))
    assert np.array_equal(segments["segment_id"], np.arange(len(segments)))
    assert np.all(np.diff(segments["event_id"].astype(int)) >= 0)
    follows = np.diff(segments["file_traj_id"].astype(int)) == 0
    for c in "xyz":
        assert np.array_equal(segments[f"{c}_end"][:-1][follows], segments[f"{c}_start"][1:][follows])
    across = [segments[f"{c}_end"].astype(float) - segments[f"{c}_start"] for c in "xyz"]
    np.testing.assert_allclose(np.linalg.norm(across, axis=0), segments["dx"], atol=3e-5)
    np.testing.assert_allclose(segments["dEdx"], segments["dE"] / segments["dx"], rtol=1e-5)
    assert np.all(segments["t0_end"] > segments["t0_start"])
    speed = segments["dx"] / (segments["t0_end"] - segments["t0_start"])
    assert speed.max() <= 29979.2458 * (1 + 1e-5)  # light [cm/us]
    for scratch in ("t", "t_start", "t_end", "n_electrons", "n_photons", "long_diff", "tran_diff", "pixel_plane"):
        assert not np.any(segments[scratch])


def test_an_event_depends_on_seed_and_number_only(detector, monkeypatch):
    five = generate("mixed", detector, events=5, seed=0)
    assert np.array_equal(generate("mixed", detector, events=5, seed=0), five)
    assert np.array_equal(generate("mixed", detector, events=3, seed=0), five[five["event_id"] < 3])
    monkeypatch.setattr("lartpc.generator.generate.BATCH", 2)
    assert np.array_equal(generate("mixed", detector, events=5, seed=0), five)


def test_seeds_give_different_events(detector):
    events = generate("stopping-protons", detector, events=2, seed=0)
    starts = [events["x_start"][0], events["x_start"][events["event_id"] == 1][0]]
    starts += [generate("stopping-protons", detector, events=1, seed=seed)["x_start"][0] for seed in (1, 2**32, 2**40)]
    assert len(set(starts)) == 5


def test_no_events_give_an_empty_array(detector):
    segments = generate("muons", detector, events=0)
    assert len(segments) == 0 and segments.dtype == SEGMENT_DTYPE


def test_contained_protons_fit_a_small_detector():
    corner = np.array([0.0]), np.array([8.0])
    names = ("x_lo", "x_hi", "y_lo", "y_hi", "z_anode", "z_cathode")
    small = SimpleNamespace(**dict(zip(names, corner * 3, strict=True)))
    segments = generate("stopping-protons", small, events=1, seed=0)
    kinetic = SAMPLES["stopping-protons"](event_generator(0, 0), Box.around(small)).kinetic
    np.testing.assert_allclose(np.bincount(segments["file_traj_id"], segments["dE"]), kinetic, rtol=1e-6)


@pytest.mark.parametrize(
    ("sample", "options", "named"),
    [
        ("muon", {}, "'muons'"),
        ("muons", {"events": -1}, "events -1"),
        ("muons", {"events": 2.5}, "events 2.5"),
        ("muons", {"seed": -3}, "seed -3"),
    ],
)
def test_wrong_input_is_one_clear_line(detector, sample, options, named):
    with pytest.raises(InputError) as raised:
        generate(sample, detector, **options)
    assert named in str(raised.value) and "\n" not in str(raised.value)
