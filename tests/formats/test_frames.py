"""Frames and sparse waveforms of wires: what is written is read, and what is none is refused in a line."""

import dataclasses
import hashlib

import h5py
import numpy as np
import pytest
from commands import lartpc_command, succeeds
from helpers import peak_of
from segment_tables import NOW, refused, some_hits, some_waveforms, table

from lartpc.data.frames import Frame, Waveforms, WindowTruth
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats import hitfile
from lartpc.formats.edepsim import read_segments
from lartpc.formats.frames import FrameFile, has_frames, write_frame
from lartpc.formats.waveforms import WaveformWriter, read_truth, read_waveforms

WINDOWS = np.dtype([("event_id", "i8"), ("channel", "i8"), ("start_tick", "i8"), ("offset", "i8"), ("ticks", "i4")])
EVENTS = [40, 3, 2**62, -7, 100]  # not ascending, nor in the order of their names


def frame(event=3, anode=0, dtype=np.int16, channels=12, ticks=50):
    rng = np.random.default_rng(abs(event) + anode)
    ids = rng.permutation(channels) + 1000 * anode
    samples = rng.integers(-(2**15), 2**15, (channels, ticks)).astype(dtype)
    return Frame(event, anode, ids, samples, time=-204.5, tick=0.512, first_tick=3)


def write(path, *frames):
    with hdf5.new_hdf5(path, overwrite=True) as file:
        for each in frames:
            write_frame(file, each)
    return path


def read(path, tag=None):
    return list(FrameFile(path, tag))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_frames_come_back_bit_by_bit_by_event_and_anode(tmp_path, dtype):
    frames = [frame(event, anode, dtype) for event in EVENTS for anode in (1, 0)]
    found = read(write(tmp_path / "f.h5", *frames))
    wanted = sorted(frames, key=lambda each: (each.event_id, each.anode))
    assert [(each.event_id, each.anode) for each in found] == [(each.event_id, each.anode) for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.samples.dtype == dtype and one.channels.dtype == np.int64
        assert one.samples.tobytes() == other.samples.tobytes()
        np.testing.assert_array_equal(one.channels, other.channels)
        assert one.first_tick == 3 and one.tick == 0.512 and one.time == pytest.approx(-204.5, abs=1e-9)
    file = FrameFile(tmp_path / "f.h5")
    assert file.tag == "raw" and file.events.tolist() == sorted(EVENTS)
    assert [each.anode for each in file.of_event(40)] == [0, 1]
    assert has_frames(tmp_path / "f.h5")


def test_they_are_as_wire_cell_writes_them(tmp_path):
    """Names, shapes, types and ns; packed by filters that every HDF5 library has."""
    with h5py.File(write(tmp_path / "f.h5", frame(7, 2))) as file:
        assert sorted(file["7"]) == ["channels_raw2", "frame_raw2", "tickinfo_raw2"]
        samples, channels, times = (file[f"7/{name}_raw2"] for name in ("frame", "channels", "tickinfo"))
        assert samples.shape == (12, 50) and samples.dtype == np.int16 and samples.compression == "gzip"
        assert channels.dtype == np.int32 and times.dtype == np.float64
        np.testing.assert_allclose(times, [-204_500.0 - 3 * 512.0, 512.0, 3.0])


def test_the_same_frames_give_the_same_bytes(tmp_path):
    digests = {
        hashlib.sha256(write(tmp_path / name, frame(), frame(8)).read_bytes()).digest() for name in ("a.h5", "b.h5")
    }
    assert len(digests) == 1


def other(tmp_path, tag="gauss0", kind="f4", event="5", **changes):
    """A file of another's frames; None leaves a dataset out."""
    made = {
        "frame": np.arange(6).reshape(2, 3).astype(kind),
        "channels": np.array([4, 9], "i4"),
        "tickinfo": np.array([0.0, 500.0, 0.0]),
    }
    with h5py.File(tmp_path / "other.h5", "w") as file:
        for name, value in {**made, **changes}.items():
            if value is not None:
                file[f"{event}/{name}_{tag}"] = value
    return tmp_path / "other.h5"


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<i2", ">i2"])
@pytest.mark.parametrize(
    ("tag", "found"),
    [("gauss0", ("gauss", 0)), ("mp2_roi13", ("mp2_roi", 13)), ("break_roi_1st", ("break_roi_1st", 0)), ("", ("", 0))],
)
def test_frames_of_others_with_any_tag(tmp_path, tag, kind, found):
    path = other(tmp_path, tag, kind)
    (one,) = read(path)
    assert (FrameFile(path).tag, one.anode) == found and one.samples.dtype.isnative
    np.testing.assert_array_equal(one.samples, np.arange(6).reshape(2, 3))
    assert one.channels.tolist() == [4, 9] and (one.time, one.tick, one.first_tick) == (0.0, 0.5, 0)


def test_one_tag_of_several_is_chosen(tmp_path):
    path = other(tmp_path)
    with h5py.File(path, "a") as file:
        for name in ("frame", "channels", "tickinfo"):
            file[f"6/{name}_raw0"] = file[f"5/{name}_gauss0"][()]
    assert [each.event_id for each in read(path, "gauss")] == [5]
    assert [each.event_id for each in read(path, "raw")] == [6]
    assert "frames of the tags 'gauss', 'raw', one of them has to be chosen" in refused(read, path)
    assert "no frames of the tag 'orig', found 'gauss', 'raw'" in refused(read, path, "orig")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"frame": None}, "no frames, '/<event>/frame_<tag>', found 5"),
        ({"channels": None}, "no dataset '5/channels_gauss0', found frame_gauss0, tickinfo_gauss0"),
        ({"tickinfo": None}, "no dataset '5/tickinfo_gauss0', found channels_gauss0, frame_gauss0"),
        (
            {"frame": np.zeros(3, "f4")},
            "'5/frame_gauss0' is an array of 1 axes of float32, allowed is samples of int16",
        ),
        ({"frame": np.zeros((2, 3), "f8")}, "'5/frame_gauss0' is an array of float64, allowed is samples of int16 or"),
        ({"frame": np.zeros((2, 3), "u2")}, "'5/frame_gauss0' is an array of uint16, allowed"),
        ({"frame": np.zeros((2, 0), "f4")}, "'5/frame_gauss0' is of shape (2, 0), allowed are 1 to"),
        ({"frame": np.zeros((3, 3), "f4")}, "has 3 rows, '5/channels_gauss0' of 2 channels: allowed are as many"),
        ({"frame": np.array([[0, 0], [0, np.nan]], "f4")}, "channel 9 has a sample that is not finite"),
        ({"frame": np.array([[-np.inf, 0], [0, 0]], "f4")}, "channel 4 has a sample that is not finite"),
        ({"channels": np.zeros(2)}, "'5/channels_gauss0' is an array of float64, allowed is ids of channels"),
        ({"channels": np.zeros((2, 1), "i4")}, "'5/channels_gauss0' is an array of 2 axes of int32"),
        ({"channels": np.array([4, 4])}, "channel 4 is there 2 times, allowed is once"),
        ({"channels": np.array([4, 2**63], "u8")}, "found channel 9223372036854775808, allowed are ids up to"),
        ({"tickinfo": np.zeros(2)}, "'5/tickinfo_gauss0' is of shape (2,), allowed are three numbers"),
        ({"tickinfo": np.array([b"a"] * 3)}, "'5/tickinfo_gauss0' is an array of |S1, allowed is [time, tick, tbin]"),
        ({"tickinfo": [np.nan, 500.0, 0.0]}, "time is nan ns, allowed are finite"),
        ({"tickinfo": [0.0, 0.0, 0.0]}, "tick is 0 ns, allowed are 0.001 to 1e+09 ns"),
        ({"tickinfo": [0.0, np.nan, 0.0]}, "tick is nan ns"),
        ({"tickinfo": [0.0, 500.0, 0.5]}, "tbin is 0.5, allowed are whole numbers"),
        ({"tickinfo": [0.0, 500.0, np.inf]}, "tbin is inf, allowed are whole numbers"),
    ],
)
def test_frames_that_are_none(tmp_path, changes, told):
    line = refused(read, other(tmp_path, **changes))
    assert told in line and line.startswith(f"{tmp_path / 'other.h5'}: ")


def test_files_without_frames(tmp_path, store):
    assert "no such file" in refused(read, tmp_path / "nowhere.h5")
    assert "no frames, '/<event>/frame_<tag>', found segments" in refused(read, store(segments=table(NOW)))
    (tmp_path / "text.h5").write_text("frame_raw0")
    assert "not an HDF5 file" in refused(read, tmp_path / "text.h5")
    content = write(tmp_path / "f.h5", frame(channels=400, ticks=400)).read_bytes()
    for part in (0.3, 0.9):
        (tmp_path / "cut.h5").write_bytes(content[: int(part * len(content))])
        assert "truncated" in refused(read, tmp_path / "cut.h5")
    path = other(tmp_path, event="2024-05-01")
    assert "no frames" in refused(read, path) and not has_frames(path)


def test_frames_of_the_same_name(tmp_path):
    path = other(tmp_path, "raw0")
    with h5py.File(path, "a") as file:
        file["5/frame_raw00"] = file["5/frame_raw0"][()]
    assert "found 'frame_raw0' and 'frame_raw00' in '5', allowed is one" in refused(read, path)


def test_samples_that_were_never_written_are_no_zeros(tmp_path):
    path = other(tmp_path, frame=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("5/frame_gauss0", (2, 10**8), "i2", chunks=(1, 1000))[0, 0] = 1
    assert "of which some were never written" in refused(read, path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"channels": np.arange(12) + 2**31}, "found channel 2147483648, allowed are ids up to 2147483647"),
        ({"channels": np.arange(11)}, "found 11 channels and samples (12, 50) of int16"),
        ({"channels": np.zeros(12, int)}, "channel 0 is there 12 times"),
        ({"samples": np.zeros((12, 50))}, "samples (12, 50) of float64, allowed are samples of each channel"),
        ({"samples": np.full((12, 50), np.nan, "f4")}, "has a sample that is not finite"),
    ],
)
def test_nothing_is_left_of_a_frame_that_cannot_be_written(tmp_path, changes, told):
    line = refused(write, tmp_path / "f.h5", frame(), dataclasses.replace(frame(9), **changes))
    assert line.startswith("event 9, anode 0: ") and told in line
    assert not list(tmp_path.iterdir())


def test_memory_is_that_of_one_event(tmp_path):
    """Of eight events of two anodes, written and read."""

    def through(events):
        def made():
            for event in range(events):
                for anode in (0, 1):
                    yield frame(event, anode, channels=500, ticks=2000)

        with hdf5.new_hdf5(tmp_path / "f.h5", overwrite=True) as file:
            for each in made():
                write_frame(file, each)
        total = 0
        for each in FrameFile(tmp_path / "f.h5"):
            total += int(each.samples[0, 0])
        return total

    through(1)  # what is loaded once
    one, many = peak_of(lambda: through(1))[1], peak_of(lambda: through(8))[1]
    assert many < one + 2 * 500 * 2000 * 2  # a frame that is kept while the next one is made


def some_windows(dtype=np.float32):
    return Waveforms(
        event_id=np.array([0, 0, 2**40]),
        channel=np.array([5, 5, 6]),
        start_tick=np.array([-3, 70, 10**10]),
        offset=np.array([0, 2, 5]),
        ticks=np.array([2, 3, 1], dtype=np.int32),
        samples=np.arange(6).astype(dtype),
    )


def truth_of_windows():
    return WindowTruth(np.array([0, 2, 0]), np.array([4, 0, 1]), np.array([1e4, 5.5, -2.0], dtype=np.float32))


def same(one, other):
    for name, column in vars(other).items():
        np.testing.assert_array_equal(getattr(one, name), column, name)
        assert getattr(one, name).dtype == column.dtype, name


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_windows_come_back_with_their_truth_from_parts(tmp_path, store, dtype):
    segments = read_segments(store(segments=table(NOW)))
    windows, truth = some_windows(dtype), truth_of_windows()
    parts = [np.array([0, 1]), np.array([2])]
    with hdf5.new_hdf5(tmp_path / "w.h5") as file:
        writer = WaveformWriter(file, dtype, truth=True)
        for rows in parts:
            of = truth.select(np.isin(truth.window, rows))
            writer.append(windows.select(rows), dataclasses.replace(of, window=of.window - rows[0]))
        file["segments"] = segments.raw
    same(read_waveforms(tmp_path / "w.h5"), windows)
    same(read_truth(tmp_path / "w.h5"), truth.select(np.array([0, 2, 1])))
    assert len(read_waveforms(tmp_path / "w.h5")) == 3 and len(read_truth(tmp_path / "w.h5")) == 3
    with hdf5.new_hdf5(tmp_path / "none.h5") as file:
        WaveformWriter(file, dtype, truth=False).append(windows.select(np.zeros(3, bool)))
    assert len(read_waveforms(tmp_path / "none.h5")) == 0 and read_truth(tmp_path / "none.h5") is None
    assert read_waveforms(store("bare.h5", segments=table(NOW))) is None


def test_windows_that_are_chosen_have_their_samples_alone():
    chosen = some_windows().select(np.array([2, 1]))
    assert chosen.samples.tolist() == [5, 2, 3, 4] and chosen.offset.tolist() == [0, 1]
    assert frame().select(np.array([1])).samples.shape == (1, 50)


def test_waveforms_that_are_none(tmp_path, store):
    segments = read_segments(store(segments=table(NOW)))
    hitfile.write_hits(tmp_path / "h.h5", some_hits(0), segments, {}, waveforms=some_waveforms())
    assert "waveforms/windows have no field 'channel'" in refused(read_waveforms, tmp_path / "h.h5")

    def stored(samples, windows=None, truth=None):
        with h5py.File(tmp_path / "w.h5", "w") as file:
            file["waveforms/windows"] = hitfile.table_of(some_windows(), WINDOWS) if windows is None else windows
            file["waveforms/samples"] = samples
            file["segments"] = table(NOW)
            if truth is not None:
                file["waveforms_segments"] = truth
        return tmp_path / "w.h5"

    assert "pixel_id" in refused(hitfile.read_waveforms, stored(np.zeros(6, "f4")))
    assert "'waveforms/samples' is an array of float64" in refused(read_waveforms, stored(np.zeros(6)))
    assert "allowed are parts of the 5 samples of waveforms/sam" in refused(read_waveforms, stored(np.zeros(5, "i2")))
    assert "not finite" in refused(read_waveforms, stored(np.full(6, np.inf, "f4")))
    kind = [("window", "i8"), ("segment", "i8"), ("charge", "f4")]
    for row, told in (
        ((3, 0, 1.0), "window is 3, allowed are rows of 3"),
        ((0, -1, 1.0), "segment is -1"),
        ((0, 5, 1.0), "segment is 5, allowed are rows of 5"),
        ((0, 0, np.nan), "charge is nan"),
    ):
        path = stored(np.zeros(6, "f4"), truth=np.array([row], kind))
        assert f"waveforms_segments row 0: {told}" in refused(read_truth, path)


def test_commands_know_them(tmp_path):
    path = write(tmp_path / "f.h5", frame(8), frame(3), frame(3, 1))
    assert '"kind": "frames of wires"' in succeeds("info", path)
    assert f"{tmp_path / 'a.png'}: event 3, 24 channels" in succeeds("plot", path, "-o", tmp_path / "a.png")
    assert "event 8, 12 channels" in succeeds("plot", path, "-o", tmp_path / "b.png", "--event", 8)
    done = lartpc_command("plot", path, "-o", tmp_path / "c.png", "--event", 9)
    assert done.exit_code == 2 and f"--event 9: not in {path}, found 3 to 8" in done.stderr
    with pytest.raises(InputError):
        FrameFile(tmp_path / "a.png")
