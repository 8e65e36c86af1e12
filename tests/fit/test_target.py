"""What is known of hits, and what follows from it."""

import dataclasses

import h5py
import layouts
import numpy as np
import pytest
from helpers import make_segments
from samples import protons

from lartpc import (
    InputError,
    Parameters,
    Simulation,
    Target,
    calibrate,
    scan,
    write_hits,
)
from lartpc.formats.attrs import describe
from lartpc.formats.packets_of_hits import make_packets


@pytest.fixture(scope="module")
def segments():
    return dataclasses.replace(protons(1), source=None)


@pytest.fixture(scope="module")
def noisy(segments):
    return Simulation(noise=True, seed=3)(segments).hits


@pytest.fixture
def stored(segments, noisy, tmp_path):
    """Writes a file of hits like that of `lartpc simulate`, with some attributes changed."""

    def stored(**changes):
        simulation = Simulation()
        attrs = describe(simulation.detector, simulation.parameters) | {"noise": True, "events": None} | changes
        write_hits(tmp_path / "hits.h5", noisy, segments, attrs)
        return tmp_path / "hits.h5"

    return stored


@pytest.mark.slow
@pytest.mark.parametrize(
    "known, loss",
    [
        ({}, "likelihood"),
        ({"rounded": True}, "likelihood"),
        ({"noise": False}, "residuals"),
        ({"noise": False, "rounded": True}, "likelihood"),
    ],
)
def test_the_loss_follows(known, loss, segments, noisy):
    target = Target(noisy, **known)
    assert target.loss == loss
    assert scan(Simulation(), segments, target, over={"kb": (0.048, 0.05)}, points=2).kind == loss


def test_a_file_says_what_it_holds(stored, segments, noisy, tmp_path):
    truth = Parameters(eField=0.48)
    target = Target.read(stored(noise=False, parameters=truth.as_dict()))
    assert (target.noise, target.rounded, len(target.unread), target.truth) == (False, False, 0, truth)
    for name, column in vars(noisy).items():
        np.testing.assert_array_equal(getattr(target.hits, name), column)
    detector = Simulation().detector
    for field in dataclasses.fields(detector):
        if field.name != "parameters":
            np.testing.assert_array_equal(getattr(target.detector, field.name), getattr(detector, field.name))
    write_hits(tmp_path / "bare.h5", noisy, segments, {})
    bare = Target.read(tmp_path / "bare.h5")
    assert bare.noise and bare.truth is None
    with pytest.raises(InputError, match="bare.h5: no attribute 'geometry'"):
        _ = bare.detector


def test_rounded_hits_are_used_by_tick_and_count_only(segments, noisy):
    """What is within a tick and a count does not matter then, and does otherwise."""
    moved = dataclasses.replace(noisy, charge=noisy.charge + 1.0)
    over = {"kb": (0.048, 0.05)}

    def losses(rounded):
        targets = [Target(hits, rounded=rounded) for hits in (noisy, moved)]
        return [scan(Simulation(), segments, target, over=over, points=2).loss[0] for target in targets]

    rounded, exact = losses(True), losses(False)
    assert rounded[0] == rounded[1] and exact[0] != exact[1]


def test_hits_alone_are_a_measurement(segments, noisy):
    one, other = (calibrate(Simulation(), segments, t, unknowns=("eField",)) for t in (noisy, Target(noisy)))
    assert one.loss == "likelihood" and one.truth is None
    assert one.value == other.value and one.values == other.values


@pytest.mark.parametrize("generation", [layouts.NOW, layouts.OLD])
def test_packets_are_rounded_and_of_read_pixels(tmp_path, generation):
    """The old layout leaves a chip unread: without its hits a fit is the same as if its pixels had a high threshold."""
    detector, channels = layouts.load(tmp_path, generation)
    names = layouts.write(tmp_path, generation)
    segments = layouts.tracks(1)
    hits = Simulation(detector, noise=True)(segments).hits
    packets = make_packets(hits, segments, channels, detector)
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["packets"] = packets.table
    target = Target.read(tmp_path / "p.h5", segments, detector, *names)
    assert target.rounded and target.noise and target.truth is None
    np.testing.assert_array_equal(target.unread, channels.unread(detector))
    assert (len(target.unread) > 0) == (generation == layouts.OLD)
    assert len(target.hits) == (~np.isin(hits.pixel_id, target.unread)).sum() > 20
    found = Simulation(detector).without_pixels(target.unread)(segments).hits
    all_hits = Simulation(detector)(segments).hits
    read = ~np.isin(all_hits.pixel_id, target.unread)
    for name, column in vars(found).items():
        np.testing.assert_array_equal(column, getattr(all_hits, name)[read])
    for missing, what in (
        ((), "p.h5: a file of packets: needs"),
        ((segments,), "p.h5: a file of packets: needs"),
        ((segments, detector), "found no file of it and its layout"),
        ((None, None, *names), "p.h5: a file of packets: needs"),
    ):
        with pytest.raises(InputError, match=what):
            Target.read(tmp_path / "p.h5", *missing)


def test_events_are_chosen():
    start = np.tile((3.0, 5.0, -12.0), (3, 1))
    segments = make_segments(start, start + 0.3, dE=3.0, event_id=np.array([2, 5, 6]))
    hits = Simulation()(segments).hits
    target = Target(hits, noise=False)
    assert target.of_events(None) is target
    assert set(target.of_events(range(3, 6)).hits.event_id) == {5}
    target.check(Simulation().detector, segments)
    with pytest.raises(InputError, match="target: has hits of event 6, which the segments do not have"):
        target.check(Simulation().detector, segments.of_events(range(6)))


@pytest.mark.parametrize(
    "changes, found",
    [
        ({"detector": "2x2"}, "hits.h5: hits of detector 2x2, allowed are those of module0"),
        ({"gains": "pixels"}, "hits.h5: hits with gains of pixels, which the file does not hold"),
        ({"events": [3, 9]}, "hits.h5: holds no hits of event 0, allowed are segments of the events that it has"),
    ],
)
def test_what_does_not_fit_is_refused_in_fits(stored, segments, changes, found):
    target = Target.read(stored(**changes))
    for run in (calibrate, scan):
        with pytest.raises(InputError, match=found):
            run(Simulation(), segments, target)


@pytest.mark.parametrize("value", ['{"Ab": ', "[1", {"zzz": 1.0}, {"Ab": "x"}, [1]])
def test_damaged_parameters(stored, value):
    with pytest.raises(InputError, match="hits.h5: attribute 'parameters' is "):
        Target.read(stored(parameters=value))


def test_no_hits(segments, noisy):
    with pytest.raises(InputError, match="target: has no hits"):
        calibrate(Simulation(), segments, Target(noisy.select(slice(0))))
