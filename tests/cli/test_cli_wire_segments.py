"""The command `lartpc reconstruct` with frames of wires."""

import h5py
import numpy as np
import pytest
from commands import lartpc_command, refusal, succeeds
from wire_samples import TEXT, segments_of, small_response

from lartpc.detector.wires import WireDetector
from lartpc.formats.edepsim import read_segments, write_segments
from lartpc.formats.hitfile import attrs_of


def line(n, middle, event=0):
    """Segments of 10 mm in a row."""
    direction = np.array([0.68, 0.66, 0.33]) / np.linalg.norm([0.68, 0.66, 0.33])
    points = np.array(middle) + np.outer(np.arange(n + 1) - 0.5 * n, direction)
    return segments_of(points[:-1], points[1:], event=event)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The options on a small detector, and frames of a line too faint to be seen."""
    folder = tmp_path_factory.mktemp("wires")
    detector, response, frames = folder / "small.yaml", folder / "response.npz", folder / "frames.h5"
    detector.write_text(TEXT.format(rc=[], angle=35.0, of_u=""))
    small_response(WireDetector.load(detector)).write(response)
    faint = line(3, (15.0, 0.0, 11.0), 4)
    faint.dE[:] = 1e-3
    write_segments(folder / "faint.h5", faint)
    options = "--detector", detector, "--response", response
    succeeds("simulate", folder / "faint.h5", "-o", frames, *options)
    return frames, options


def test_events_without_charge_are_told(small, tmp_path):
    frames, options = small
    done = lartpc_command("reconstruct", frames, "-o", tmp_path / "out.h5", *options)
    assert done.exit_code == 1 and "no event is good: there is no charge on wires that cross" in done.stderr
    assert "    4          0   no charge on wires that cross" in done.stdout
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["events"]["event_id"].tolist() == [4] and len(file["segments"]) == 0


def test_an_event_with_too_much_charge_is_told_to_have_it(small, tmp_path, monkeypatch):
    _, options = small
    monkeypatch.setattr("lartpc.reconstruction.wireresult.LARGEST_EVENT", 5)
    write_segments(tmp_path / "many.h5", line(12, (2.0, 0.0, 11.0), 4))
    succeeds("simulate", tmp_path / "many.h5", "-o", tmp_path / "frames.h5", *options)
    done = lartpc_command("reconstruct", tmp_path / "frames.h5", "-o", tmp_path / "out.h5", *options)
    assert done.exit_code == 1 and "there is charge for more than 400 segments" in done.stderr


@pytest.mark.parametrize(
    "wrong, found",
    [
        (("--voxels",), "--voxels: found with wires, allowed only with pixels"),
        (("--particle", "muon"), "--particle: found with wires, allowed only with pixels"),
        (("--events", "7"), "no event in 7:8, found event ids from 4 to 4"),
        (("--dEdx", "0"), "dEdx: found 0 MeV/cm, allowed is above 0"),
        (("--set", "lifetime=-1"), "lifetime"),
    ],
)
def test_options_that_do_not_go_are_refused(small, tmp_path, wrong, found):
    frames, options = small
    assert found in refusal("reconstruct", frames, "-o", tmp_path / "out.h5", *options, *wrong)
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.slow
def test_segments_of_a_line_in_sbnd(tmp_path):
    """What comes out is what went in, within the errors that are told, and can be simulated again."""
    true, frames, found = (tmp_path / f"{name}.h5" for name in ("true", "frames", "found"))
    write_segments(true, line(12, (250.0, 10.0, 102.0), 3))
    sbnd = "--detector", "sbnd"
    succeeds("simulate", true, "-o", frames, *sbnd, "--seed", "2")
    printed = succeeds("reconstruct", frames, "-o", found, *sbnd)
    assert "12 segments of 1 events" in printed and "   good" in printed
    segments, truth = read_segments(found), read_segments(true)
    with h5py.File(found) as file:
        errors, events, attrs = file["segments_errors"][()], file["events"][()], attrs_of(found, file["events"])
    order = np.argsort(segments.x_start + segments.x_end)
    for axis, of in (("x", "z"), ("y", "y"), ("z", "x")):  # of the file's frame, and of the simulation's
        ends = f"{of}_start", f"{of}_end"
        off = sum(getattr(segments, end)[order] - getattr(truth, end) for end in ends) / 2.0
        assert np.abs(off / errors[f"{axis}_error"][order]).max() < 4.5
    assert np.abs((segments.dE[order] - truth.dE) / errors["dE_error"][order]).max() < 4.5
    assert segments.dE.sum() == pytest.approx(truth.dE.sum(), rel=0.02)
    assert events["good"].all() and events["segments"].tolist() == [12]
    assert attrs["dEdx"] == 2.1 and attrs["recombination"] == "ellipsoid"
    succeeds("simulate", found, "-o", tmp_path / "again.h5", *sbnd)
