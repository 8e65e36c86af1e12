"""Files of segments, of every generation of edep-sim's format."""

import dataclasses

import h5py
import numpy as np
import pytest
from segment_tables import BEAM, COORDINATES, NOW, OLD, ROWS, refused, table

from lartpc.data.segments import Segments
from lartpc.formats.edepsim import read_segments, write_segments


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


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(store, fraction):
    path = store(segments=table(NOW, rows=1000))
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
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


@pytest.mark.parametrize(
    ("name", "events", "rows", "length"),
    [("mixed-particles", 100, 73_789, 36_965.0), ("corsika-module0", 25, 1095, 759.19)],
)
def test_real_files(reference, name, events, rows, length):
    segments = read_segments(reference / "data" / f"{name}.edep.h5")
    assert (len(segments), len(segments.events)) == (rows, events)
    ends = [(getattr(segments, f"{axis}_end"), getattr(segments, f"{axis}_start")) for axis in "xyz"]
    distance = np.sqrt(sum((end.astype(np.float64) - start) ** 2 for end, start in ends))
    assert distance.sum() == pytest.approx(length, rel=2e-5)
    # the anodes of module0 are at z = +-30.431 cm, its field cage at x = +-31.039 cm
    assert np.abs(segments.z_start).max() == pytest.approx(30.431, abs=1e-3)
    assert 30.5 < np.abs(segments.x_start).max() < 31.039
    np.testing.assert_array_equal(segments.t0, 0.0)


def test_energy_of_steps_of_no_length(reference):
    segments = read_segments(reference / "data" / "corsika-module0.edep.h5")
    fraction = segments.dE[segments.dEdx == 0.0].sum(dtype="f8") / segments.dE.sum(dtype="f8")
    assert fraction == pytest.approx(2.3e-7, rel=0.02)


@pytest.mark.parametrize("value", [1.1e9, -3e38])
def test_coordinates_that_are_nowhere_are_refused(store, value):
    raw = table(NOW)
    raw["y_end"][1] = 1e9
    read_segments(store(segments=raw))
    raw["y_end"][2] = value
    message = refused(read_segments, store(segments=raw))
    assert f"segments row 2: y_end is {value:g}, allowed is a finite number up to 1e+09 cm" in message
