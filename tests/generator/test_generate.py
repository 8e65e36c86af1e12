"""The samples: where particles enter, how many there are, and their segments."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import kstest

from lartpc.exceptions import InputError
from lartpc.generator.generate import SEGMENT_DTYPE, event_generator, generate
from lartpc.generator.samples import SAMPLES, Box, entry_points, isotropic

DENSITY = 1.38  # [g/cm3]


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("sample", list(SAMPLES))
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


@pytest.mark.slow
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
