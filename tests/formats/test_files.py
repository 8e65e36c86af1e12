import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from lartpc import __version__
from lartpc.data.hits import Hits, WaveformTable
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.files.atomic import new_file
from lartpc.formats.edepsim import read_segments, write_segments
from lartpc.formats.hitfile import read_attrs, read_hits, read_waveforms, write_hits

needs_reference = pytest.mark.skipif("LARTPC_REFERENCE_DATA" not in os.environ, reason="LARTPC_REFERENCE_DATA not set")

COORDINATES = ["x_start", "y_start", "z_start", "x_end", "y_end", "z_end"]
NOW = [("event_id", "u4"), ("segment_id", "u4"), ("traj_id", "u4"), ("pdg_id", "i4"), ("t0", "f8"), ("t", "f4")]
BEAM = [("event_id", "u4"), ("segment_id", "u4"), ("traj_id", "u4"), ("pdg_id", "i4"), ("t0", "f8"), ("t", "f8")]
OLD = [("eventID", "u4"), ("trackID", "u4"), ("pdgId", "i4"), ("t", "f4")]
ROWS = 5


def table(names, width="f4", reverse=False, rows=ROWS):
    """A table of segments; column k of the sorted float columns holds k + row / 10, so that each value is its own."""
    fields = [*names, *((name, width) for name in [*COORDINATES, "dE", "dEdx"])]
    raw = np.zeros(rows, dtype=fields[::-1] if reverse else fields)
    for k, name in enumerate(sorted([*COORDINATES, "dE", "dEdx"])):
        raw[name] = k + np.arange(rows) / 10
    for name in raw.dtype.names:
        if name in ("event_id", "eventID"):
            raw[name] = np.arange(rows) % 2 + 7  # not contiguous
        elif name in ("segment_id", "traj_id", "trackID"):
            raw[name] = np.arange(rows) + 100
        elif name in ("pdg_id", "pdgId"):
            raw[name] = -13
        elif name == "t0":
            raw[name] = 1.2e9 + np.arange(rows)
        elif name == "t":
            raw[name] = np.arange(rows) + 0.5
    return raw


@pytest.fixture
def store(tmp_path):
    """Store datasets by name in a new HDF5 file, and give its path."""

    def store(name="in.h5", **datasets):
        with h5py.File(tmp_path / name, "w") as file:
            for key, value in datasets.items():
                file.create_dataset(key, data=value)
        return tmp_path / name

    return store


def some_hits(n=4):
    rng = np.random.default_rng(1)
    columns = {field.name: rng.integers(0, 100, n) for field in dataclasses.fields(Hits)}
    return Hits(**{**columns, "t": rng.random(n) + 1e9, "charge": rng.random(n, dtype=np.float32) * 1e5})


def some_waveforms():
    return WaveformTable(
        event_id=np.array([0, 2**40]),
        pixel_id=np.array([5, 6]),
        start_tick=np.array([-3, 10**10]),
        offset=np.array([0, 2]),
        ticks=np.array([2, 3]),
        current=np.arange(5.0),
    )


def refused(function, *arguments, **keywords):
    with pytest.raises(InputError) as error:
        function(*arguments, **keywords)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("fields", "width", "dataset"),
    [(NOW, "f4", "segments"), (BEAM, "f8", "segments"), (OLD, "f4", "segments"), (OLD, "f2", "tracks")],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_every_generation_is_read_by_name_into_the_simulation_frame(store, fields, width, dataset, reverse):
    raw = table(fields, width, reverse)
    segments = read_segments(store(**{dataset: raw}))
    for end in ("start", "end"):
        np.testing.assert_array_equal(getattr(segments, f"x_{end}"), raw[f"z_{end}"])
        np.testing.assert_array_equal(getattr(segments, f"y_{end}"), raw[f"y_{end}"])
        np.testing.assert_array_equal(getattr(segments, f"z_{end}"), raw[f"x_{end}"])
    np.testing.assert_array_equal(segments.dE, raw["dE"])
    np.testing.assert_array_equal(segments.dEdx, raw["dEdx"])
    assert segments.dE.dtype == (np.float64 if width == "f8" else np.float32)
    np.testing.assert_array_equal(segments.event_id, [7, 8, 7, 8, 7])
    np.testing.assert_array_equal(segments.events, [7, 8])
    np.testing.assert_array_equal(segments.pdg_id, -13)
    np.testing.assert_array_equal(segments.traj_id, np.arange(ROWS) + 100)
    np.testing.assert_array_equal(segments.segment_id, np.arange(ROWS) + (0 if fields is OLD else 100))
    # t is scratch where there is a t0, and a float32 would lose 1.2e9 us by 60 us
    np.testing.assert_array_equal(segments.t0, np.arange(ROWS) + (0.5 if fields is OLD else 1.2e9))
    assert segments.t0.dtype == np.float64
    np.testing.assert_array_equal(segments.raw, raw)


def test_optional_columns_have_defaults_and_local_numbers_come_first(store):
    raw = table([("eventID", "u4"), ("t", "f4")])
    segments = read_segments(store(segments=raw))
    np.testing.assert_array_equal(segments.segment_id, np.arange(ROWS))
    np.testing.assert_array_equal(segments.traj_id, 0)
    np.testing.assert_array_equal(segments.pdg_id, 0)
    raw = table([("eventID", "u4"), ("t", "f4"), ("trackID", "u4"), ("local_trackID", "u4")])
    raw["local_trackID"] = 3
    np.testing.assert_array_equal(read_segments(store(segments=raw)).traj_id, 3)


def test_no_segments_are_valid_and_event_ids_may_be_large(store):
    empty = read_segments(store(segments=table(NOW, rows=0)))
    assert len(empty) == 0
    assert len(empty.events) == 0
    raw = table([("event_id", "u8"), ("t0", "f8")])
    raw["event_id"] = 2**62 + 5
    assert read_segments(store(segments=raw)).events.tolist() == [2**62 + 5]
    raw["event_id"][3] = 2**63
    assert "segments row 3: event_id is 9223372036854775808" in refused(read_segments, store(segments=raw))


def test_what_is_no_segments_file_is_refused(tmp_path, store):
    assert refused(read_segments, tmp_path / "a.h5") == f"{tmp_path / 'a.h5'}: no such file"
    assert refused(read_segments, tmp_path).endswith("is a folder, allowed is an HDF5 file")
    for content in (b"", b"text", b"\x89HDF\r\n"):
        (tmp_path / "a.h5").write_bytes(content)
        assert refused(read_segments, tmp_path / "a.h5") == f"{tmp_path / 'a.h5'}: not an HDF5 file"
    message = refused(read_segments, store(trajectories=np.zeros(2), vertices=np.zeros(2)))
    assert message.endswith("no dataset 'segments' or 'tracks', found trajectories, vertices")
    assert refused(read_segments, store()).endswith("found nothing")
    assert "'segments' is an array of float64" in refused(read_segments, store(segments=np.zeros(3)))
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file.create_group("segments")
    assert "'segments' is a group" in refused(read_segments, tmp_path / "g.h5")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(store, share):
    path = store(segments=table(NOW, rows=1000))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "HDF5 file is truncated or damaged" in refused(read_segments, path)


def test_a_file_with_damaged_content_is_refused(tmp_path):
    path = tmp_path / "z.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("segments", data=table(NOW, rows=1000), compression="gzip")
        start = file["segments"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)
    assert "HDF5 file is truncated or damaged" in refused(read_segments, path)


@pytest.mark.parametrize("missing", ["event_id", *COORDINATES, "dE", "dEdx"])
def test_a_missing_field_is_named_with_what_was_found(store, missing):
    raw = table(NOW)
    kept = [name for name in raw.dtype.names if name != missing]
    message = refused(read_segments, store(segments=raw[kept]))
    assert f"segments have no field '{missing}'" in message
    assert message.endswith("found " + ", ".join(kept))
    if missing == "event_id":
        assert "(or 'eventID')" in message


def test_a_file_without_any_time_is_refused(store):
    message = refused(read_segments, store(segments=table([("event_id", "u4")])))
    assert "segments have no field 't0' (or 't0_start', 't')" in message


@pytest.mark.parametrize("field", [*COORDINATES, "dE", "dEdx", "t0"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_naming_its_first_row(store, field, value):
    raw = table(NOW)
    raw[field][3:] = value
    message = refused(read_segments, store(segments=raw))
    assert f"segments row 3: {field} is {value:g}, allowed is a finite number" in message


@pytest.mark.parametrize("field", ["dE", "dEdx"])
def test_negative_energy_is_refused_and_zero_is_not(store, field):
    raw = table(NOW)
    raw[field][2] = 0.0
    read_segments(store(segments=raw))
    raw[field][2] = -0.5
    assert f"segments row 2: {field} is -0.5, allowed is a finite number, 0 or above" in refused(
        read_segments, store(segments=raw)
    )


@pytest.mark.parametrize(("field", "dtype"), [("dE", "S3"), ("event_id", "f4"), ("x_start", ("f4", (3,)))])
def test_a_field_of_the_wrong_type_is_refused(store, field, dtype):
    fields = [(name, dtype if name == field else kind) for name, kind in table(NOW).dtype.descr]
    assert f"segments field '{field}' has type" in refused(read_segments, store(segments=np.zeros(2, dtype=fields)))


@pytest.mark.parametrize("width", ["f4", "f8"])
def test_written_segments_are_read_back_unchanged(tmp_path, store, width):
    segments = read_segments(store(segments=table(NOW, width)))
    write_segments(tmp_path / "out.h5", segments)
    again = read_segments(tmp_path / "out.h5")
    for field in dataclasses.fields(Segments):
        if field.name not in ("raw", "source"):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(segments, field.name), field.name)
            assert getattr(again, field.name).dtype == getattr(segments, field.name).dtype
    lengths = np.sqrt(sum((again.raw[f"{axis}_end"] - again.raw[f"{axis}_start"]) ** 2 for axis in "xyz"))
    np.testing.assert_allclose(again.raw["dx"], lengths, rtol=1e-6)
    assert "exists already" in refused(write_segments, tmp_path / "out.h5", segments)
    write_segments(tmp_path / "out.h5", segments.select(segments.event_id == 8), overwrite=True)
    np.testing.assert_array_equal(read_segments(tmp_path / "out.h5").segment_id, [101, 103])


def test_hits_come_back_in_order_with_segments_truth_waveforms_and_attributes(tmp_path, store):
    truth = {"trajectories": np.array([(1, 2.0)], dtype=[("traj_id", "u4"), ("E", "f4")]), "mc_hdr": np.arange(3)}
    segments = read_segments(store(segments=table(OLD), other=np.arange(2), **truth))
    hits = some_hits()
    attrs = {"parameters": {"Ab": 0.8, "vdrift": None}, "detector": "module0", "seed": 0, "noise": True}
    write_hits(tmp_path / "hits.h5", hits, segments, attrs, waveforms=some_waveforms())
    again = read_hits(tmp_path / "hits.h5")
    order = np.lexsort((hits.hit, hits.pixel_id, hits.event_id))
    for field in dataclasses.fields(Hits):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(hits, field.name)[order], field.name)
    assert again.t.dtype == np.float64
    assert read_attrs(tmp_path / "hits.h5") == {**attrs, "lartpc_version": __version__}
    for field in dataclasses.fields(WaveformTable):
        np.testing.assert_array_equal(
            getattr(read_waveforms(tmp_path / "hits.h5"), field.name), getattr(some_waveforms(), field.name)
        )
    with h5py.File(tmp_path / "hits.h5") as file:
        assert sorted(file) == ["hits", "mc_hdr", "segments", "trajectories", "waveforms"]
        np.testing.assert_array_equal(file["segments"][()], segments.raw)
        assert file["segments"].attrs["zbeam"]
        np.testing.assert_array_equal(file["trajectories"][()], truth["trajectories"])
    # a hits file is a segments file too
    np.testing.assert_array_equal(read_segments(tmp_path / "hits.h5").x_start, segments.x_start)


def test_empty_hits_and_segments_without_a_file_are_valid(tmp_path, store):
    none = some_hits(0)
    made = dataclasses.replace(read_segments(store(segments=table(NOW, rows=0))), raw=None, source=None)
    write_hits(tmp_path / "hits.h5", none, made, {})
    assert len(read_hits(tmp_path / "hits.h5")) == 0
    assert read_waveforms(tmp_path / "hits.h5") is None
    assert len(read_segments(tmp_path / "hits.h5")) == 0


def test_the_same_input_gives_the_same_bytes(tmp_path, store):
    source = store(segments=table(NOW), mc_stack=np.arange(4))
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_files import *\n"
        "write_hits(sys.argv[3], some_hits(), read_segments(sys.argv[2]), {'b': [1], 'a': 2}, False, some_waveforms())"
    )
    digests = set()
    for name in ("one.h5", "two.h5"):
        arguments = [sys.executable, "-c", script, str(Path(__file__).parents[1]), str(source), str(tmp_path / name)]
        subprocess.run(arguments, check=True, cwd=Path(__file__).parents[2])
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_files_that_hold_no_hits_are_refused(tmp_path, store):
    assert "no dataset 'hits', found segments" in refused(read_hits, store(segments=table(NOW)))
    assert "hits have no field 'event_id', found a" in refused(read_hits, store(hits=np.zeros(1, dtype=[("a", "f4")])))
    for read in (read_hits, read_attrs, read_waveforms):
        assert "no such file" in refused(read, tmp_path / "nowhere.h5")


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "out"
    with new_file(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent  # so that renaming cannot fail for another file system
        assert not path.exists()
    assert path.read_text() == "new"
    for interruption in (KeyboardInterrupt, ValueError, SystemExit):
        with pytest.raises(interruption), new_file(path, overwrite=True) as temporary:
            temporary.write_text("half")
            raise interruption
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_an_output_that_cannot_be_is_refused_before_any_work(tmp_path):
    def enter(*arguments):
        with new_file(*arguments):
            raise AssertionError("entered")

    (tmp_path / "there").write_text("old")
    assert "there: exists already" in refused(enter, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "old"
    assert "is a folder" in refused(enter, tmp_path, True)
    assert "nowhere does not exist" in refused(enter, tmp_path / "nowhere" / "out")


def test_an_interrupt_while_writing_hdf5_leaves_nothing(tmp_path):
    path = tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt), hdf5.new_hdf5(path) as file:
        file["a"] = np.arange(10)
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("limit", [0, 100, 3000, 20000])
def test_a_write_that_fails_is_one_line_and_leaves_nothing(tmp_path, store, limit):
    # a limit on the size of files stands in for a full disk: writes fail in the same place, with another reason
    source = store(segments=table(NOW, rows=1000))
    output = tmp_path / "out"
    output.mkdir()
    script = (
        "import resource, sys; sys.path.insert(0, sys.argv[1]); from test_files import *\n"
        "segments = read_segments(sys.argv[2]); resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)\n"
        "print(refused(write_hits, sys.argv[3], some_hits(), segments, {}, False, some_waveforms()))"
    )
    arguments = [sys.executable, "-B", "-c", script, str(Path(__file__).parents[1]), str(source), str(output / "h.h5")]
    done = subprocess.run([*arguments, str(limit)], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{output / 'h.h5'}: cannot be written: File too large\n"
    assert os.listdir(output) == []


@needs_reference
@pytest.mark.parametrize(
    ("name", "events", "rows", "length"),
    [("mixed-particles", 100, 73_789, 36_965.0), ("corsika-module0", 25, 1095, 759.19)],
)
def test_real_files(name, events, rows, length):
    segments = read_segments(Path(os.environ["LARTPC_REFERENCE_DATA"]) / "data" / f"{name}.edep.h5")
    assert (len(segments), len(segments.events)) == (rows, events)
    ends = [(getattr(segments, f"{axis}_end"), getattr(segments, f"{axis}_start")) for axis in "xyz"]
    distance = np.sqrt(sum((end.astype(np.float64) - start) ** 2 for end, start in ends))
    assert distance.sum() == pytest.approx(length, rel=2e-5)
    # the anodes of module0 are at z = +-30.431 cm, its field cage at x = +-31.039 cm
    assert np.abs(segments.z_start).max() == pytest.approx(30.431, abs=1e-3)
    assert 30.5 < np.abs(segments.x_start).max() < 31.039
    np.testing.assert_array_equal(segments.t0, 0.0)
