"""Several files of segments in one command."""

import h5py
import numpy as np
import pytest
from commands import lartpc_command, refuses, succeeds
from samples import protons

from lartpc.data.segments import within
from lartpc.formats.edepsim import file_table, read_segments, write_segments
from lartpc.formats.hitfile import read_hits

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two files of the same event ids; the second has vertices, too."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("a.h5", 1), ("b.h5", 2)):
        write_segments(name, protons(2, seed=seed))
    vertex = np.zeros(1, [("event_id", "u4"), ("vertex_id", "u8"), ("x_vert", "f4")])
    vertex["event_id"] = read_segments("b.h5").events[0]
    with h5py.File("b.h5", "a") as file:
        file["vertices"] = vertex
    return tmp_path


def test_ids_are_made_distinct_and_said(files):
    """The hits are those of each file, the noise another as it goes with the event's id."""
    parts = [read_segments(name) for name in ("a.h5", "b.h5")]
    stdout = succeeds("simulate", "a.h5", "b.h5", "-o", "both.h5", "--no-noise")
    first_free = int(parts[0].events[-1]) + 1
    assert f"b.h5: has event ids of files before; in the output event_id + {first_free}" in stdout
    both, source = read_hits("both.h5"), read_segments("both.h5")
    assert source.repeated == 0 and len(source) == sum(map(len, parts))
    assert len(np.unique(source.segment_id)) == len(source)
    for k, (name, shift) in enumerate((("a.h5", 0), ("b.h5", first_free))):
        succeeds("simulate", name, "-o", f"{k}.h5", "--no-noise")
        own = read_hits(f"{k}.h5")
        found = both.select(within(both.event_id, range(shift, shift + first_free)))
        np.testing.assert_array_equal(found.event_id - shift, own.event_id)
        for column in ("pixel_id", "t", "charge"):
            np.testing.assert_array_equal(getattr(found, column), getattr(own, column))
    with h5py.File("both.h5") as file:
        vertex = file["vertices"][0]
        assert vertex["event_id"] == parts[1].events[0] + first_free
        of_segments = file["segments"]["file_vertex_id"][file["segments"]["event_id"] == vertex["event_id"]]
        assert (of_segments == vertex["file_vertex_id"]).all()


def test_distinct_ids_stay(files):
    part = read_segments("b.h5")
    part.event_id, part.raw, part.source = part.event_id + 100, None, None
    write_segments("c.h5", part)
    assert "has event ids" not in succeeds("simulate", "a.h5", "c.h5", "-o", "both.h5")
    assert read_segments("both.h5").events.tolist() == [*read_segments("a.h5").events, *part.events]


def test_refusals(files):
    write_segments("f.h5", read_segments("a.h5"))
    with h5py.File("f.h5", "a") as file:
        rows = file["segments"][()]
        kinds = [(name, rows.dtype[name]) for name in rows.dtype.names] + [("extra", "f4")]
        del file["segments"]
        file["segments"] = np.zeros(len(rows), kinds)
    assert "f.h5: segments differ from those of the files before in extra" in refuses(
        files, "simulate", "a.h5", "f.h5", "-o", "both.h5"
    )
    assert "none.h5: no such file" in refuses(files, "simulate", "a.h5", "none.h5", "-o", "both.h5")
    assert "b.h5: is the input" in refuses(files, "simulate", "a.h5", "b.h5", "-o", "b.h5", "--overwrite")


def test_nothing_is_said_before_a_refusal(files):
    assert "no event in 10000:" in refuses(files, "simulate", "a.h5", "b.h5", "-o", "both.h5", "--events", "10000:")


@pytest.mark.parametrize(
    ("kind", "value"), [("i8", 2**40), ("i8", -3), ("u4", 2**32 - 1), ("u1", 255), ("u8", 2**63 - 1)]
)
@pytest.mark.parametrize("order", [("a.h5", "w.h5"), ("w.h5", "a.h5")])
def test_ids_without_room_are_refused(files, kind, value, order):
    """Never another id than that of the file, or one that two events share."""
    rows = file_table(read_segments("a.h5"))
    kinds = {name: kind if name == "event_id" else rows.dtype[name] for name in rows.dtype.names}
    wide = rows.astype(list(kinds.items()))
    wide["event_id"][-1] = value
    with h5py.File("w.h5", "w") as file:
        file["segments"] = wide
    done = lartpc_command("simulate", *order, "-o", "both.h5", "--no-noise")
    if done.exit_code:
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "allowed beside the files before is" in done.stderr
    else:
        source, parts = read_segments("both.h5"), [read_segments(name) for name in order]
        assert len(source.events) == sum(len(part.events) for part in parts) and source.repeated == 0
