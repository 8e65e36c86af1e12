"""Files read and written some events at a time: the same as at once, in the memory of a few events."""

import errno
import functools
import os
import re
import tracemalloc

import h5py
import layouts
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import make_segments

from lartpc.cli.main import main
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.edepsim import file_table, read_segments
from lartpc.formats.eventfile import EventFile
from lartpc.formats.hitfile import HitWriter, read_attrs, read_hits
from lartpc.formats.hits_of_packets import unrolled
from lartpc.formats.packets_of_hits import Clock, make_packets
from lartpc.simulation.simulation import Simulation

EVENTS = [40, 3, 7, 8, 5, 2**31]  # not ascending, with gaps
ORDERS = ("together", "ascending", "mixed up")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six events of three tracks each in files of three orders, and the names of a detector and its layout."""
    folder = tmp_path_factory.mktemp("streaming")
    segments = layouts.tracks(len(EVENTS), t0=3e5 * np.arange(len(EVENTS)))
    segments.event_id = np.array(EVENTS)[segments.event_id]
    raw = file_table(segments)
    trajectories = np.zeros(12, dtype=[("eventID", "u4"), ("traj_id", "u4")])
    trajectories["eventID"], trajectories["traj_id"] = np.repeat(EVENTS, 2), np.arange(12)
    orders = np.arange(len(raw)), np.argsort(raw["event_id"], kind="stable"), np.random.default_rng(0).permutation(180)
    for name, order in zip(ORDERS, orders, strict=True):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["segments"], file["trajectories"], file["mc_hdr"] = raw[order], trajectories, np.arange(3)
    layouts.write(folder, layouts.NOW)
    return folder


@pytest.fixture
def parts_of(monkeypatch):
    """Makes the command read parts of up to so many segments, in blocks of 16 rows."""

    def parts_of(most):
        monkeypatch.setattr("lartpc.formats.eventfile.EventFile", functools.partial(EventFile, most=most))
        monkeypatch.setattr(hdf5, "BLOCK", 16)

    return parts_of


def command(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def simulate(folder, name, output, *options):
    """Simulate a file with noise, waveforms and packets; all datasets of both outputs, and what was printed."""
    files = output / "h.h5", output / "p.h5"
    detector = ["--detector", folder / "now-detector.yaml", "--layout", folder / "now-layout.yaml"]
    outputs = ["-o", files[0], "--packets", files[1], "--waveforms", "--overwrite"]
    done = command("simulate", folder / f"{name}.h5", *outputs, *detector, "--seed", 3, *options)
    assert done.exit_code == 0, done.output
    found = {}
    for path in files:
        with h5py.File(path) as file:
            keep = found.setdefault(path.name, {})
            file.visititems(lambda n, o, keep=keep: keep.update({n: o[()]}) if isinstance(o, h5py.Dataset) else None)
    return found, re.sub(r"[\d.]+ s$", "", done.stdout, flags=re.MULTILINE)


def assert_same(a, b):
    for path in a:
        assert sorted(a[path]) == sorted(b[path])
        for name, table in a[path].items():
            assert table.dtype == b[path][name].dtype and table.shape == b[path][name].shape, name
            assert table.tobytes() == b[path][name].tobytes(), name


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("most", [1, 60, 100, 1000])
def test_parts_are_whole_events_by_ascending_id(folder, monkeypatch, name, most):
    monkeypatch.setattr(hdf5, "BLOCK", 16)
    whole, file = read_segments(folder / f"{name}.h5"), EventFile(folder / f"{name}.h5", most=most)
    parts = [file.read(k) for k in range(len(file))]
    assert len(parts) == {1: 6, 60: 3, 100: 2, 1000: 1}[most]
    events = [part.events.tolist() for part, _ in parts]
    assert sum(events, []) == sorted(EVENTS)
    for part, place in parts:
        assert (np.diff(place) > 0).all()
        for column in ("event_id", "segment_id", "x_start", "t0", "raw"):
            np.testing.assert_array_equal(getattr(part, column), getattr(whole, column)[place], column)
        assert len(part) == np.isin(whole.event_id, part.events).sum()
    assert [len(part) for part in file] == [len(part) for part, _ in parts]


def test_rows_are_numbered_as_in_the_file(folder, tmp_path, monkeypatch):
    """Old files have no segment_id, and a wrong value is named by its row."""
    monkeypatch.setattr(hdf5, "BLOCK", 16)
    with h5py.File(folder / "mixed up.h5") as file:
        raw = file["segments"][()]
    names = [n for n in raw.dtype.names if n != "segment_id"]
    old = np.zeros(len(raw), dtype=[(n, raw.dtype[n]) for n in names])
    for n in names:
        old[n] = raw[n]
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["tracks"] = old
    for part in EventFile(tmp_path / "old.h5", most=60):
        for k in range(len(part)):
            assert old["x_start"][part.segment_id[k]] == part.z_start[k]
    old["dE"][77] = -1.0
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file["tracks"][...] = old
    with pytest.raises(InputError, match="segments row 77: dE is -1, allowed is"):
        EventFile(tmp_path / "old.h5")


def test_little_more_than_each_row_once_is_read(folder, monkeypatch):
    """Where events are together, in any order of ids."""
    monkeypatch.setattr(hdf5, "BLOCK", 8)
    for name, most in (("together", 1), ("ascending", 60)):
        file = EventFile(folder / f"{name}.h5", most=most)
        read = []
        original = hdf5.read_rows
        monkeypatch.setattr(hdf5, "read_rows", lambda *a, original=original, read=read: read.append(1) or original(*a))
        assert sum(map(len, file)) == 180
        monkeypatch.setattr(hdf5, "read_rows", original)
        assert 180 / 8 <= len(read) <= 180 / 8 + 2 * len(file)


@pytest.mark.parametrize("name", ORDERS)
def test_results_do_not_depend_on_the_size_of_parts(folder, tmp_path, parts_of, name):
    """Hits, waveforms, packets, truth and all that is copied, bit by bit."""
    whole, printed = simulate(folder, name, tmp_path)
    assert len(whole["h.h5"]["hits"]) > 100 and len(np.unique(whole["h.h5"]["hits"]["event_id"])) == len(EVENTS)
    assert len(whole["h.h5"]["waveforms/current"]) > len(whole["h.h5"]["waveforms/windows"]) > 100
    with h5py.File(folder / f"{name}.h5") as file:
        assert whole["h.h5"]["segments"].tobytes() == file["segments"][()].tobytes()
        for copied in ("trajectories", "mc_hdr"):
            assert whole["p.h5"][copied].tobytes() == whole["h.h5"][copied].tobytes() == file[copied][()].tobytes()
    for most in (1, 70):
        parts_of(most)
        found, again = simulate(folder, name, tmp_path)
        assert_same(found, whole)
        assert again == printed


def test_hits_in_parts_are_those_of_all_segments_at_once(folder):
    simulation = Simulation(noise=True, seed=4)
    whole = simulation(read_segments(folder / "mixed up.h5")).hits
    parts = [simulation(part).hits for part in EventFile(folder / "mixed up.h5", most=60)]
    for name, column in vars(whole).items():
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), column, name)


@pytest.mark.parametrize("name", ["together", "mixed up"])
def test_chosen_events_have_the_hits_of_the_full_run(folder, tmp_path, parts_of, name):
    whole, _ = simulate(folder, name, tmp_path)
    parts_of(60)
    for text, chosen in (("5:9", [5, 7, 8]), ("8:", [8, 40, 2**31]), (":4", [3]), ("7", [7])):
        found, _ = simulate(folder, name, tmp_path, "--events", text)
        for table, field in (("hits", "event_id"), ("segments", "event_id"), ("trajectories", "eventID")):
            expected = whole["h.h5"][table]
            expected = expected[np.isin(expected[field], chosen)]
            assert found["h.h5"][table].tobytes() == expected.tobytes(), (text, table)
        windows, expected = found["h.h5"]["waveforms/windows"], whole["h.h5"]["waveforms/windows"]
        expected = expected[np.isin(expected["event_id"], chosen)]
        assert windows["offset"].tolist() == (np.cumsum(expected["ticks"]) - expected["ticks"]).tolist()
        current = [whole["h.h5"]["waveforms/current"][w["offset"] : w["offset"] + w["ticks"]] for w in expected]
        np.testing.assert_array_equal(found["h.h5"]["waveforms/current"], np.concatenate(current))
        assert found["h.h5"]["mc_hdr"].tolist() == [0, 1, 2]
        # of packets, clocks may differ: they count from the first event
        data, expected = (
            f["mc_packets_assn"][f["packets"]["packet_type"] == 0] for f in (found["p.h5"], whole["p.h5"])
        )
        assert data.tobytes() == expected[np.isin(expected["event_ids"][:, 0], chosen)].tobytes()
        filled = whole["p.h5"]["segments"]
        assert found["p.h5"]["segments"].tobytes() == filled[np.isin(filled["event_id"], chosen)].tobytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "allowed are event ids A:B (B not included), A:, :B, or A alone") for text in ("", ":", "a", "1:2:3")),
        *((text, "allowed are event ids A:B (B not included), A:, :B, or A alone") for text in ("-3:", "1-2", "1.5")),
        *((text, "has no event, allowed is A:B with A below B") for text in ("5:5", "6:2")),
        ("9:40", "together.h5: no event in 9:40, found event ids from 3 to 2147483648"),
        ("2147483649:", "no event in 2147483649:, found event ids from 3 to 2147483648"),
        (":3", "no event in :3, found"),
        (f"{10**30}", "no event in"),
    ],
)
def test_other_events_are_refused(folder, tmp_path, text, message):
    for name, *more in (("simulate", "-o", tmp_path / "new.h5"), ("errors",)):
        done = command(name, folder / "together.h5", "--events", text, *more)
        assert (done.exit_code, done.stdout) == (2, "") and done.stderr.count("\n") == 1
        assert message in done.stderr
    assert os.listdir(tmp_path) == []


def test_fits_take_chosen_events(folder, tmp_path):
    hits, options = tmp_path / "h.h5", ["--fit", "eField", "--events", "5:9"]
    assert command("simulate", folder / "together.h5", "-o", hits, "--events", "5:9").exit_code == 0
    assert read_attrs(hits)["events"] == [5, 9]
    done = command("calibrate", folder / "together.h5", hits, "-o", tmp_path / "fit", "--fit", "eField")
    assert done.exit_code == 2 and "h.h5: holds no hits of event 3, --events selects" in done.stderr
    done = command("calibrate", folder / "together.h5", hits, "-o", tmp_path / "fit", *options)
    assert done.exit_code == 0, done.output
    # the same from the hits of all events
    assert command("simulate", folder / "together.h5", "-o", tmp_path / "all.h5").exit_code == 0
    done = command("calibrate", folder / "together.h5", tmp_path / "all.h5", "-o", tmp_path / "all", *options)
    assert done.exit_code == 0, done.output
    tables = [(tmp_path / name / "fit.json").read_text().split('"parameters"')[1] for name in ("fit", "all")]
    assert tables[0] == tables[1]


def test_packets_of_events_one_by_one_are_those_of_all(tmp_path):
    """Clock resets, timestamps and triggers across parts: events put off, in one second, seconds and years apart."""
    detector, channels = layouts.load(tmp_path, layouts.NOW)
    t0 = np.array([0.0, 0.0, 1.2e6, 1.2e6 + 500.0, 1.3e6, 9.9999e6, 1.2e9, 1.7e15])
    segments = layouts.tracks(len(t0), t0=t0)
    hits = Simulation(detector)(segments).hits
    whole = make_packets(hits, segments, channels, detector)
    clock, tables, events = Clock(), [], []
    for event in range(len(t0)):
        part = type(hits)(**{name: column[hits.event_id == event] for name, column in vars(hits).items()})
        packets = make_packets(part, segments.select(segments.event_id == event), channels, detector, clock)
        tables.append(packets.table)
        events.append(packets.event)
        assert (packets.hit[packets.hit >= 0] < len(part)).all()
    assert np.concatenate(tables).tobytes() == whole.table.tobytes()
    np.testing.assert_array_equal(np.concatenate(events), whole.event)


def peak_of(work):
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_file(tmp_path, parts_of):
    """Four times the events need the same memory but for a few bytes an event and segment."""
    parts_of(90)
    detector = layouts.write(tmp_path, layouts.NOW)
    peaks = {}
    for events in (3, 12, 48):  # the first loads the kernels
        segments = layouts.tracks(events)
        with h5py.File(tmp_path / "s.h5", "w") as file:
            file["segments"] = file_table(segments)
        outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5", "--waveforms", "--overwrite"]
        arguments = ["simulate", tmp_path / "s.h5", *outputs, "--detector", detector[0], "--layout", detector[1]]

        def work(arguments=arguments):
            assert command(*arguments).exit_code == 0

        peaks[events] = peak_of(work)
        written = sum((tmp_path / name).stat().st_size for name in ("h.h5", "p.h5"))
    assert written > 2e6
    assert peaks[48] < 1.1 * peaks[12]


def test_every_part_is_seen_by_the_progress_bar(folder, tmp_path, parts_of, monkeypatch):
    seen = []

    def bar(parts, **_):
        assert len(parts) == 3
        for k in parts:
            yield k
            seen.append(k)

    monkeypatch.setattr("lartpc.cli.simulate.progress_bar", bar)
    parts_of(60)
    simulate(folder, "together", tmp_path)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_what_ends_between_parts_leaves_nothing(folder, tmp_path, parts_of, monkeypatch, stop):
    """An interrupt, and a write that fails: told at once, not after all is simulated."""
    parts_of(60)
    append, calls = HitWriter.append, []

    def failing(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            self.file._sink.failure = stop if isinstance(stop, OSError) else stop()
        append(self, *arguments)

    monkeypatch.setattr(HitWriter, "append", failing)
    (tmp_path / "h.h5").write_text("before")
    detector = ["--detector", folder / "now-detector.yaml", "--layout", folder / "now-layout.yaml"]
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5", "--overwrite", *detector]
    done = command("simulate", folder / "together.h5", *outputs)
    expected = (130, "lartpc: interrupted\n")
    if isinstance(stop, OSError):
        expected = (2, f"lartpc: {tmp_path / 'h.h5'}: cannot be written: No space left on device\n")
    assert (done.exit_code, done.stderr, len(calls)) == (*expected, 2)
    assert os.listdir(tmp_path) == ["h.h5"] and (tmp_path / "h.h5").read_text() == "before"


def test_no_event_at_all(tmp_path):
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["segments"] = file_table(make_segments(np.zeros((0, 3)), np.zeros((0, 3))))
    assert len(EventFile(tmp_path / "none.h5")) == EventFile(tmp_path / "none.h5").n_segments == 0
    with pytest.raises(InputError, match="none.h5: no event in 3:4, found no event at all"):
        EventFile(tmp_path / "none.h5", range(3, 4))
    assert command("simulate", tmp_path / "none.h5", "-o", tmp_path / "h.h5").exit_code == 0
    assert len(read_hits(tmp_path / "h.h5")) == 0


@pytest.mark.parametrize("late", [1e9, 1e15, 1e22])
def test_late_segments_allocate_nothing_for_the_gap(tmp_path, late):
    """An event from t0 = 0 on with a decay after 1000 s, 30 years (unix times are such) or the age of the Earth."""
    detector, channels = layouts.load(tmp_path, layouts.NOW)
    files = layouts.write(tmp_path, layouts.NOW)
    prompt = file_table(layouts.tracks(2))
    decay = prompt.copy()  # at the same place of the other module
    decay["t0"] = late
    for name in ("y_start", "y_end"):
        decay[name] += 30.0
    found = {}
    for name, raw in (("prompt", prompt), ("both", np.concatenate((prompt, decay)))):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["segments"] = raw
        outputs = ["-o", tmp_path / f"{name}-h.h5", "--packets", tmp_path / f"{name}-p.h5", "--no-noise"]
        arguments = ["simulate", tmp_path / f"{name}.h5", *outputs, "--detector", files[0], "--layout", files[1]]
        done = []
        peak = peak_of(lambda arguments=arguments, done=done: done.append(command(*arguments)))
        assert done[0].exit_code == 0, done[0].output
        with h5py.File(tmp_path / f"{name}-p.h5") as file:
            packets, of = file["packets"][()], file["mc_packets_assn"]["event_ids"][:, 0]
        found[name] = read_hits(tmp_path / f"{name}-h.h5"), packets, of, peak, done[0].stdout
    hits, again = found["prompt"][0], found["both"][0]
    early = again.t < 1e6
    np.testing.assert_array_equal(again.t[early], hits.t)
    assert len(again) == 2 * len(hits)
    if late < 1e10:
        np.testing.assert_allclose(np.sort(again.t[~early] - late), np.sort(hits.t), atol=0.02)
    # data: of all hits, or of those within 11 days; few packets else; the second event follows the first's last hit
    packets, of = found["both"][1:3]
    data = packets["packet_type"] == 0
    assert data.sum() == (len(again) if late < 1e12 else len(hits))
    assert ("hits are more than 11 days late" in found["both"][4]) == (late > 1e12)
    assert (~data).sum() < (~(found["prompt"][1]["packet_type"] == 0)).sum() + 4 * 2 * (1000 // 200 + 4)
    time = unrolled(packets, 10_000_000)
    assert time[of == 0].max() < time[of == 1].min()
    if late < 1e12:
        assert 1e10 < np.ptp(time[of == 0]) < 1e10 + 1e4
    assert found["both"][3] < 40e6
