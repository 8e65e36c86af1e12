"""Contamination of samples, and the start times of events."""

import numpy as np
import pytest
from scipy.stats import kstest

from lartpc.exceptions import InputError
from lartpc.generator.generate import event_generator, generate
from lartpc.generator.samples import SAMPLES, contaminate
from lartpc.generator.stopping import PARTICLES, range_table

TIMES = ("t0_start", "t0", "t0_end")


def first_of_tracks(segments):
    return segments[np.unique(segments["file_traj_id"], return_index=True)[1]]


@pytest.mark.parametrize(
    ("sample", "of", "other"),
    [
        ("stopping-protons", {2212}, {211, -211}),
        ("stopping-muons", {13, -13}, {211, -211}),
        ("stopping-pions", {211, -211}, {13, -13}),
        ("crossing-muons", {13, -13}, {211, -211}),
    ],
)
def test_so_many_are_replaced_by_what_looks_alike(box, sample, of, other):
    purity, events = 0.8, 300
    replaced = 0
    for k in range(events):
        pure = SAMPLES[sample](event_generator(0, k), box)
        mixed = contaminate(event_generator(1, k), sample, pure, purity)
        foreign = np.isin(mixed.pdg, list(other))
        replaced += np.sum(foreign)
        assert set(mixed.pdg[~foreign].tolist()) <= of
        for name in ("pdg", "kinetic"):
            assert np.array_equal(getattr(mixed, name)[~foreign], getattr(pure, name)[~foreign])
        assert mixed.position is pure.position and mixed.direction is pure.direction
        if sample == "crossing-muons":
            assert np.all(mixed.kinetic == 1000)
        else:
            reach = [
                [float(range_table(PARTICLES[pdg].mass).range(t)) for pdg, t in zip(p.pdg, p.kinetic, strict=True)]
                for p in (pure, mixed)
            ]
            np.testing.assert_allclose(reach[1], reach[0], rtol=1e-9)
    n = 10 * events
    assert replaced / n == pytest.approx(1 - purity, abs=4 * np.sqrt(purity * (1 - purity) / n))


@pytest.mark.slow
def test_the_others_keep_their_bits(detector):
    pure = generate("stopping-protons", detector, events=30, seed=3)
    mixed = generate("stopping-protons", detector, events=30, seed=3, purity=0.6)
    pdg = first_of_tracks(mixed)["pdg_id"]
    assert np.mean(pdg == 2212) == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / 300))
    assert set(pdg.tolist()) == {2212, 211, -211}
    names = [name for name in pure.dtype.names if name != "segment_id"]
    kept = np.isin(pure["file_traj_id"], np.flatnonzero(pdg == 2212))
    assert np.array_equal(mixed[mixed["pdg_id"] == 2212][names], pure[kept][names])
    # What replaces them stops after the same way: pions straggle more, 3 % and not 1 %.
    ways = [np.bincount(s["file_traj_id"], s["dx"]) for s in (pure, mixed)]
    assert np.mean((ways[1] / ways[0])[pdg != 2212]) == pytest.approx(1, abs=0.015)


@pytest.mark.slow
def test_events_start_at_their_own_time_and_nothing_else_changes(detector):
    spread, events = 2.5, 200
    still = generate("stopping-protons", detector, events=events, seed=1)
    moved = generate("stopping-protons", detector, events=events, seed=1, t0_spread=spread)
    for name in still.dtype.names:
        if name not in TIMES:
            assert np.array_equal(moved[name], still[name]), name
    start = np.array([moved["t0_start"][moved["event_id"] == k][0] for k in range(events)])
    for name in TIMES:
        np.testing.assert_allclose(moved[name] - still[name], start[moved["event_id"]], atol=1e-12)
    assert kstest(start, "norm", (0, spread)).pvalue > 0.001
    assert abs(start.mean()) < 4 * spread / np.sqrt(events)
    assert start.std() == pytest.approx(spread, rel=4 / np.sqrt(2 * events))
    assert np.all(first_of_tracks(still)["t0_start"] == 0)


def test_cosmics_start_each_by_itself(detector):
    moved = first_of_tracks(generate("cosmics", detector, events=4, seed=1, t0_spread=100.0))["t0_start"]
    assert len(set(moved.tolist())) == 40
    assert kstest(moved, "norm", (0, 100)).pvalue > 0.001


@pytest.mark.slow
@pytest.mark.parametrize("sample", ["stopping-muons", "stopping-pions", "crossing-muons", "cosmics"])
def test_an_event_depends_on_seed_number_and_options_only(detector, monkeypatch, sample):
    options = {"t0_spread": 3.0} if sample == "cosmics" else {"purity": 0.5, "t0_spread": 3.0}
    five = generate(sample, detector, events=5, seed=0, **options)
    assert np.array_equal(generate(sample, detector, events=3, seed=0, **options), five[five["event_id"] < 3])
    monkeypatch.setattr("lartpc.generator.generate.BATCH", 2)
    assert np.array_equal(generate(sample, detector, events=5, seed=0, **options), five)
    assert not np.array_equal(generate(sample, detector, events=5, seed=1, **options), five)


@pytest.mark.parametrize(
    ("sample", "options", "named"),
    [
        *(
            ("stopping-protons", {"purity": purity}, "above 0, up to 1")
            for purity in (0, -0.1, 1.01, float("nan"), "much", True)
        ),
        *((sample, {"purity": 0.9}, "only for stopping-protons") for sample in ("muons", "mixed", "cosmics")),
        ("electrons", {"purity": 0.9}, "sample 'electrons'"),
        *(("muons", {"t0_spread": spread}, "t0_spread") for spread in (-1.0, float("nan"), float("inf"), "wide")),
    ],
)
def test_what_is_not_allowed_is_one_line(detector, sample, options, named):
    with pytest.raises(InputError) as raised:
        generate(sample, detector, events=1, **options)
    message = str(raised.value)
    assert named in message and "\n" not in message and len(message) < 300


def test_a_purity_of_1_and_a_spread_of_0_change_nothing(detector):
    plain = generate("stopping-protons", detector, events=1)
    assert np.array_equal(generate("stopping-protons", detector, events=1, purity=1, t0_spread=0), plain)
    assert len(generate("electrons", detector, events=1, purity=1))
