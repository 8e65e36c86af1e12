"""Files of hits: what is written is read, the same bytes from the same input, nothing of a write that fails."""

import dataclasses
import hashlib
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import segment_tables
from commands import program
from segment_tables import NOW, OLD, refused, some_hits, some_waveforms, table

from lartpc import __version__
from lartpc.data.hits import Hits, WaveformTable
from lartpc.detector.detector import Detector
from lartpc.formats.attrs import check_pixels, describe, read_detector
from lartpc.formats.edepsim import read_segments
from lartpc.formats.hitfile import read_attrs, read_hits, read_waveforms, write_hits
from lartpc.parameters import Parameters

COMMON = str(Path(segment_tables.__file__).parent)


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
        stored = file["segments"][()]
        for name, old in {
            "event_id": "eventID",
            "file_traj_id": "trackID",
            "pdg_id": "pdgId",
            "x_end": "x_end",
        }.items():
            np.testing.assert_array_equal(stored[name], segments.raw[old])
        assert not {"eventID", "trackID", "pdgId"} & set(stored.dtype.names)
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


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(tmp_path, store):
    source = store(segments=table(NOW), mc_stack=np.arange(4))
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from segment_tables import *\n"
        "from lartpc.formats.edepsim import read_segments\nfrom lartpc.formats.hitfile import write_hits\n"
        "write_hits(sys.argv[3], some_hits(), read_segments(sys.argv[2]), {'b': [1], 'a': 2}, False, some_waveforms())"
    )
    digests = set()
    for name in ("one.h5", "two.h5"):
        done = program(tmp_path, script, COMMON, source, tmp_path / name)
        assert done.returncode == 0, done.stderr
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_files_that_hold_no_hits_are_refused(tmp_path, store):
    assert "no dataset 'hits', found segments" in refused(read_hits, store(segments=table(NOW)))
    assert "hits have no field 'event_id', found a" in refused(read_hits, store(hits=np.zeros(1, dtype=[("a", "f4")])))
    windows = np.zeros(1, dtype=[(name, "i8") for name in ("event_id", "pixel_id", "start_tick", "offset", "ticks")])
    path = store("bare.h5", **{"waveforms/windows": windows})
    assert "no dataset 'waveforms/current', found waveforms" in refused(read_waveforms, path)
    path = store("group.h5", **{"waveforms/windows": windows, "waveforms/current/a": np.arange(2)})
    assert "'waveforms/current' is a group, allowed is a column of numbers" in refused(read_waveforms, path)
    for read in (read_hits, read_attrs, read_waveforms):
        assert "no such file" in refused(read, tmp_path / "nowhere.h5")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("limit", [0, 100, 3000, 20000])
def test_a_write_that_fails_is_one_line_and_leaves_nothing(tmp_path, store, limit):
    # a limit on the size of files stands in for a full disk: writes fail in the same place, with another reason
    source = store(segments=table(NOW, rows=1000))
    output = tmp_path / "out"
    output.mkdir()
    script = (
        "import resource, sys; sys.path.insert(0, sys.argv[1]); from segment_tables import *\n"
        "from lartpc.formats.edepsim import read_segments\nfrom lartpc.formats.hitfile import write_hits\n"
        "segments = read_segments(sys.argv[2]); resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)\n"
        "print(refused(write_hits, sys.argv[3], some_hits(), segments, {}, False, some_waveforms()))"
    )
    done = program(tmp_path, script, COMMON, source, output / "h.h5", limit)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{output / 'h.h5'}: cannot be written: File too large\n"
    assert os.listdir(output) == []


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("event_id", np.nan, "event_id is nan, allowed are whole numbers from -9223372036854775808"),
        ("pixel_id", 1.5, "pixel_id is 1.5, allowed are whole numbers"),
        ("tpc", 40_000.0, "tpc is 40000, allowed are whole numbers from -32768 to 32767"),
        ("t", np.inf, "t is inf, allowed are finite numbers"),
        ("charge", 1e300, "charge is 1e+300, allowed are finite numbers"),
    ],
)
def test_hits_with_numbers_that_cannot_be(store, field, value, found):
    names = [each.name for each in dataclasses.fields(Hits)]
    hits = np.zeros(3, dtype=[(name, "f8") for name in names])
    hits[field][1] = value
    assert f"hits row 1: {found}" in refused(read_hits, store(hits=hits))


def test_hits_of_half_precision(store):
    """Limits of the columns are beyond those of the numbers."""
    names = [each.name for each in dataclasses.fields(Hits)]
    hits = np.ones(3, dtype=[(name, "f2") for name in names])
    assert len(read_hits(store(hits=hits))) == 3
    hits["t"][1] = np.inf
    assert "hits row 1: t is inf" in refused(read_hits, store("inf.h5", hits=hits))


@pytest.mark.parametrize(("offset", "ticks"), [(-1, 2), (0, 0), (0, 6), (6, 1), (2**62, 2**31 - 1)])
def test_waveforms_that_are_no_part_of_the_samples(store, offset, ticks):
    windows = np.zeros(1, dtype=[(name, "i8") for name in ("event_id", "pixel_id", "start_tick", "offset", "ticks")])
    windows["offset"], windows["ticks"] = offset, ticks
    path = store("w.h5", **{"waveforms/windows": windows, "waveforms/current": np.zeros(5)})
    told = f"waveforms/windows row 0: found offset {offset} and ticks {ticks}, allowed are parts of the 5 samples"
    assert told in refused(read_waveforms, path)
    path = store("nan.h5", **{"waveforms/windows": windows, "waveforms/current": np.full(5, np.nan)})
    assert "waveforms/current: found a number that is not finite" in refused(read_waveforms, path)


@pytest.mark.parametrize(
    ("part", "key", "value", "found"),
    [
        ("geometry", "n_x", [140], "'n_x' of the geometry"),
        ("geometry", "n_x", [140, 1e12], "'n_x' of the geometry"),
        ("geometry", "n_y", [140.5, 280], "'n_y' of the geometry"),
        ("geometry", "x_lo", [[0, 1]], "'x_lo' of the geometry"),
        ("geometry", "x_lo", ["a", "b"], "'x_lo' of the geometry"),
        ("geometry", "x_lo", [[0], [1, 2]], "geometry or readout"),
        ("geometry", "pitch", [0.0, 0.4], "n_x, n_y, pitch or tick"),
        ("readout", "tick", "1", "'tick' of the readout"),
        ("readout", "gain", float("nan"), "'gain' of the readout"),
        ("readout", "hold_ticks", -1, "'hold_ticks' of the readout"),
        ("readout", "colour", 1, "geometry or readout"),
    ],
)
def test_detectors_in_attributes_that_are_none(tmp_path, store, part, key, value, found):
    attrs = describe(Detector.module0(), Parameters())
    attrs[part][key] = value
    segments = read_segments(store(segments=table(NOW)))
    write_hits(tmp_path / "hits.h5", some_hits(), segments, attrs)
    assert f"attributes of the detector, {found}, are not those" in refused(read_detector, tmp_path / "hits.h5")


def test_hits_on_pixels_that_the_detector_has_not():
    hits = some_hits()
    hits.tpc[:], hits.ix[:], hits.iy[:] = 1, 139, 279
    check_pixels("hits.h5", hits, Detector.module0())
    for column, value in ((hits.tpc, 2), (hits.ix, 140), (hits.iy, -1)):
        before, column[2] = column[2], value
        assert "hits.h5: hits row 2: found tpc" in refused(check_pixels, "hits.h5", hits, Detector.module0())
        column[2] = before
