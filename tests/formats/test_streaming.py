"""Files simulated and written some events at a time: the same as at once."""

import errno
import os

import h5py
import layouts
import numpy as np
import pytest
from commands import lartpc_command
from streams import EVENTS, ORDERS, simulate

from lartpc.exceptions import InputError
from lartpc.formats.eventfile import EventFile
from lartpc.formats.hitfile import HitWriter, read_attrs, read_hits
from lartpc.formats.packets_of_hits import Clock, make_packets
from lartpc.simulation.simulation import Simulation
from lartpc.simulation.streaming import simulate_file


def assert_same(a, b):
    for path in a:
        assert sorted(a[path]) == sorted(b[path])
        for name, table in a[path].items():
            assert table.dtype == b[path][name].dtype and table.shape == b[path][name].shape, name
            assert table.tobytes() == b[path][name].tobytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
def test_results_do_not_depend_on_the_size_of_parts(folder, tmp_path, parts_of, name):
    """Hits, waveforms, packets, truth and all that is copied, bit by bit."""
    whole, printed = simulate(folder, name, tmp_path)
    assert len(whole["h.h5"]["hits"]) > 100 and len(np.unique(whole["h.h5"]["hits"]["event_id"])) == len(EVENTS)
    assert len(whole["h.h5"]["waveforms/current"]) > len(whole["h.h5"]["waveforms/windows"]) > 100
    with h5py.File(folder / f"{name}.h5") as file:
        assert whole["h.h5"]["segments"].tobytes() == file["segments"][()].tobytes()
        assert whole["p.h5"]["mc_hdr"].tobytes() == whole["h.h5"]["mc_hdr"].tobytes() == file["mc_hdr"][()].tobytes()
        copied, old = whole["h.h5"]["trajectories"], file["trajectories"][()]
        assert whole["p.h5"]["trajectories"].tobytes() == copied.tobytes()
        np.testing.assert_array_equal(copied["event_id"], old["eventID"])
        np.testing.assert_array_equal(copied["traj_id"], old["traj_id"])
    for most in (1, 70):
        parts_of(most)
        found, again = simulate(folder, name, tmp_path)
        assert_same(found, whole)
        assert again == printed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["together", "mixed up"])
def test_chosen_events_have_the_hits_of_the_full_run(folder, tmp_path, parts_of, name):
    whole, _ = simulate(folder, name, tmp_path)
    parts_of(60)
    for text, chosen in (("5:9", [5, 7, 8]), ("8:", [8, 40, 2**31]), (":4", [3]), ("7", [7])):
        found, _ = simulate(folder, name, tmp_path, "--events", text)
        for table, field in (("hits", "event_id"), ("segments", "event_id"), ("trajectories", "event_id")):
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


@pytest.mark.slow
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
    for name, *more in (("simulate", "-o", tmp_path / "new.h5"), ("forecast",)):
        done = lartpc_command(name, folder / "together.h5", "--events", text, *more)
        assert (done.exit_code, done.stdout) == (2, "") and done.stderr.count("\n") == 1
        assert message in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_fits_take_chosen_events(folder, tmp_path):
    hits, options = tmp_path / "h.h5", ["--fit", "eField", "--events", "5:9"]
    assert lartpc_command("simulate", folder / "together.h5", "-o", hits, "--events", "5:9").exit_code == 0
    assert read_attrs(hits)["events"] == [5, 9]
    done = lartpc_command("calibrate", folder / "together.h5", hits, "-o", tmp_path / "fit", "--fit", "eField")
    assert done.exit_code == 2 and "h.h5: holds no hits of event 3, allowed are segments of the events" in done.stderr
    done = lartpc_command("calibrate", folder / "together.h5", hits, "-o", tmp_path / "fit", *options)
    assert done.exit_code == 0, done.output
    # the same from the hits of all events
    assert lartpc_command("simulate", folder / "together.h5", "-o", tmp_path / "all.h5").exit_code == 0
    done = lartpc_command("calibrate", folder / "together.h5", tmp_path / "all.h5", "-o", tmp_path / "all", *options)
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
        part = hits.select(hits.event_id == event)
        packets = make_packets(part, segments.select(segments.event_id == event), channels, detector, clock)
        tables.append(packets.table)
        events.append(packets.event)
        assert (packets.hit[packets.hit >= 0] < len(part)).all()
    assert np.concatenate(tables).tobytes() == whole.table.tobytes()
    np.testing.assert_array_equal(np.concatenate(events), whole.event)


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


def test_a_program_writes_what_the_command_does(folder, tmp_path):
    path, output = folder / "mixed up.h5", tmp_path / "program.h5"
    done = lartpc_command("simulate", path, "-o", tmp_path / "command.h5", "--seed", 3, "--events", "5:9")
    assert done.exit_code == 0, done.output
    simulation, deposits = Simulation(noise=True, seed=3), EventFile(path, range(5, 9))
    summary, packets = simulate_file(simulation, deposits, output, attrs={"response": "parametric"})
    assert output.read_bytes() == (tmp_path / "command.h5").read_bytes()
    assert summary.hits == len(read_hits(output)) > 10 and packets is None
    channels = layouts.load(folder, layouts.NOW)[1]
    for other, message in ((path, "mixed up.h5: is the input"), (output, "program.h5: is named for two outputs")):
        with pytest.raises(InputError, match=message):
            simulate_file(simulation, deposits, output, packets=(other, channels), overwrite=True)


@pytest.mark.slow
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
    done = lartpc_command("simulate", folder / "together.h5", *outputs)
    expected = (130, "lartpc: interrupted\n")
    if isinstance(stop, OSError):
        expected = (2, f"lartpc: {tmp_path / 'h.h5'}: cannot be written: No space left on device\n")
    assert (done.exit_code, done.stderr, len(calls)) == (*expected, 2)
    assert os.listdir(tmp_path) == ["h.h5"] and (tmp_path / "h.h5").read_text() == "before"
