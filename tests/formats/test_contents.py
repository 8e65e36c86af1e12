"""What a file holds, and whether its deposits are where the detector is."""

import dataclasses
import json

import numpy as np
import pytest
from commands import lartpc_command, succeeds
from samples import protons

from lartpc.detector.detector import Detector
from lartpc.formats.contents import contents
from lartpc.formats.edepsim import write_segments

pytestmark = pytest.mark.usefixtures("compiled")
SEGMENTS = protons(3)
PLACES = ("x_start", "y_start", "z_start", "x_end", "y_end", "z_end")


def changed(**columns):
    return dataclasses.replace(SEGMENTS, raw=None, **columns)


def moved(**by):
    return changed(
        **{
            f"{axis}_{end}": getattr(SEGMENTS, f"{axis}_{end}") + d
            for axis, d in by.items()
            for end in ("start", "end")
        }
    )


def exchanged():
    s = SEGMENTS
    return changed(x_start=s.z_start, z_start=s.x_start, x_end=s.z_end, z_end=s.x_end)


def told(path, segments):
    write_segments(path, segments)
    return json.loads(succeeds("info", path))


def test_deposits_of_the_detector(tmp_path):
    found = told(tmp_path / "good.h5", SEGMENTS)
    assert found["kind"] == "energy deposits" and found["generation"] == "present"
    assert found["tables"] == {"segments": len(SEGMENTS)} and found["events"] == len(SEGMENTS.events)
    assert found["inside"] == 1.0 and found["hints"] == [] and found["detector"] == "module0"
    assert found["range"]["x"] == [
        min(SEGMENTS.z_start.min(), SEGMENTS.z_end.min()),
        pytest.approx(max(SEGMENTS.z_start.max(), SEGMENTS.z_end.max())),
    ]
    assert found["energy"] == pytest.approx(SEGMENTS.dE.sum())


@pytest.mark.parametrize(
    ("segments", "hint"),
    [
        (changed(**{name: 10.0 * getattr(SEGMENTS, name) for name in PLACES}), "are they in mm?"),
        (moved(x=500.0), "is it another frame?"),
        (changed(dE=SEGMENTS.dE / 1e3, dEdx=SEGMENTS.dEdx / 1e3), "is the unit of dE MeV?"),
    ],
)
def test_odd_ones_are_named_and_the_result_is_not_wanted(segments, hint, tmp_path):
    """By info, and by simulate with exit code 1."""
    path = tmp_path / "odd.h5"
    found = told(path, segments)
    assert len(found["hints"]) == 1 and hint in found["hints"][0]
    done = lartpc_command("simulate", path, "-o", tmp_path / "hits.h5")
    assert done.exit_code == 1 and hint in done.stderr and done.stderr.count("\n") == 1
    if "frame" in hint:
        assert "the deposits are in TPCs of module0: they extend over x " in done.stderr


def test_exchanged_axes(tmp_path):
    """In a detector that is longer across than along the drift."""
    detector = dataclasses.replace(Detector.module0(), x_lo=np.full(2, 100.0), x_hi=np.full(2, 160.0))
    write_segments(tmp_path / "turned.h5", dataclasses.replace(moved(z=130.0), raw=None))
    (hint,) = contents(tmp_path / "turned.h5", detector)["hints"]
    assert hint.endswith("are x and z exchanged?")


def test_ids_that_occur_twice_are_said(tmp_path):
    path = tmp_path / "joined.h5"
    write_segments(path, changed(segment_id=SEGMENTS.segment_id // 2))
    done = lartpc_command("simulate", path, "-o", tmp_path / "hits.h5")
    assert done.exit_code == 0 and "segment ids are twice in their event" in done.stderr


def test_kinds_and_generations(tmp_path):
    """Hits, and segments of the oldest kind."""
    import h5py

    write_segments(tmp_path / "in.h5", SEGMENTS)
    succeeds("simulate", tmp_path / "in.h5", "-o", tmp_path / "hits.h5")
    assert json.loads(succeeds("info", tmp_path / "hits.h5"))["kind"] == "hits"
    with h5py.File(tmp_path / "in.h5") as file, h5py.File(tmp_path / "old.h5", "w") as old:
        rows = file["segments"][()]
        names = {"event_id": "eventID", "segment_id": "segment_id", "dE": "dE", "dEdx": "dEdx", "t": "t"}
        names |= {f"{axis}_{end}": f"{axis}_{end}" for axis in "xyz" for end in ("start", "end")}
        made = np.zeros(len(rows), [(new, rows.dtype[name]) for name, new in names.items()])
        for name, new in names.items():
            made[new] = rows[name]
        old["segments"] = made
        old.create_group("other")
    found = json.loads(succeeds("info", tmp_path / "old.h5"))
    assert found["generation"] == "oldest" and found["tables"] == {"other": None, "segments": len(rows)}
    with h5py.File(tmp_path / "none.h5", "w"):
        pass
    assert json.loads(succeeds("info", tmp_path / "none.h5"))["kind"] == "unknown"
