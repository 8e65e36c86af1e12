"""Fits of wires with what is not known of their electronics and of the charges of tracks."""

import json

import pytest
from commands import refusal, succeeds
from wire_samples import TEXT, small_response

from lartpc.detector.wires import WireDetector


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A detector, its response, generated muons, and frames with another shaping time and gain."""
    folder = tmp_path_factory.mktemp("electronics")
    detector, response = folder / "small.yaml", folder / "response.npz"
    detector.write_text(TEXT.format(rc=[], angle=35.0, of_u=""))
    small_response(WireDetector.load(detector)).write(response)
    segments, frames, given = folder / "segments.h5", folder / "frames.h5", ("--detector", detector)
    succeeds("generate", "cosmics", "-o", segments, *given, "--events", "2")
    given = (*given, "--response", response)
    succeeds("simulate", segments, "-o", frames, *given, "--set", "shaping=2.1", "--set", "gain=14.3")
    return segments, frames, *given


@pytest.mark.slow
def test_gain_and_shaping_time_are_fitted(made, tmp_path):
    line = refusal("calibrate", *made, "-o", tmp_path / "fit", "--fit", "vdrift", "--start", "vdrift=0.16")
    assert "was simulated with gain 14.3, the fit takes 14.0: allowed is the same, or --trust-me gain" in line
    known = ("--fit", "alpha_emb,vdrift,gain,shaping", "--constrain", "gain=14.25+-0.1", "--start", "vdrift=0.159")
    succeeds("calibrate", *made, "-o", tmp_path / "fit", *known)
    rows = json.loads((tmp_path / "fit/fit.json").read_text())["parameters"]
    assert (rows["gain"]["truth"], rows["shaping"]["truth"]) == (14.3, 2.1)
    for row in rows.values():
        assert abs(row["value"] - row["truth"]) < 4 * row["error"]
    far = ("--fit", "vdrift,shaping", "--fix", "gain=14.3", "--start", "shaping=2.9", "--start", "vdrift=0.16")
    succeeds("calibrate", *made, "-o", tmp_path / "far", *far)


@pytest.mark.slow
def test_charges_of_tracks_are_free_or_known_to_a_width(made, tmp_path):
    held = ("--fix", "shaping=2.1", "--fix", "gain=14.3", "--fit", "vdrift,lifetime", "--start", "vdrift=0.16")
    errors = {}
    for width in (None, "1e-5", "free"):
        given = () if width is None else ("--charge-scale", width)
        told = succeeds("calibrate", *made, "-o", tmp_path / f"{width}", *held, *given)
        fit = json.loads((tmp_path / f"{width}/fit.json").read_text())
        errors[width] = fit["parameters"]["lifetime"]["error"]
        tracks = fit.get("charge_scale", {"tracks": 0})["tracks"]
        assert (tracks > 1) == (width is not None) == (f"charges of {tracks} tracks: " in told)
    assert errors["1e-5"] == pytest.approx(errors[None], rel=0.01) and errors["free"] > 1.5 * errors[None]
    line = refusal("calibrate", *made, "-o", tmp_path / "free", *held, "--charge-scale", "0.02", "--resume")
    assert "--resume continues the same fit only" in line


@pytest.mark.slow
def test_events_have_times_of_their_own(made, tmp_path):
    held = ("--fix", "shaping=2.1", "--fix", "gain=14.3", "--fit", "vdrift", "--start", "vdrift=0.16")
    succeeds("calibrate", *made, "-o", tmp_path / "fit", *held, "--per-event", "t0_offset")
    rows = json.loads((tmp_path / "fit/fit.json").read_text())["parameters"]
    assert list(rows) == ["vdrift", "t0_offset.event0", "t0_offset.event1"]
    for name, truth in (("vdrift", 0.16), ("t0_offset.event0", 0.0), ("t0_offset.event1", 0.0)):
        assert abs(rows[name]["value"] - truth) < 4 * rows[name]["error"]
