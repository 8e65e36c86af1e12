"""The zero of time of each event on the command line: --per-event t0_offset."""

import json

import numpy as np
import pytest
from commands import refusal, succeeds
from spoilt_targets import one_an_event

from lartpc.formats.edepsim import write_segments

OWN = {"t0_offset.event0": 0.4, "t0_offset.event2": -0.7, "t0_offset.event6": 0.9}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("events") / "protons.h5"
    write_segments(path, one_an_event(7))
    return path


@pytest.mark.slow
def test_the_offset_of_each_event_is_fitted(file, tmp_path):
    hits, fit = tmp_path / "hits.h5", tmp_path / "fit"
    given = [text for name, value in OWN.items() for text in ("--set", f"{name}={value}")]
    succeeds("simulate", file, "-o", hits, *given)
    told = succeeds("calibrate", file, hits, "-o", fit, "--fit", "eField,lifetime", "--per-event", "t0_offset")
    content = json.loads((fit / "fit.json").read_text())
    rows = content["parameters"]
    assert list(rows) == ["eField", "lifetime", *(f"t0_offset.event{k}" for k in range(7))]
    off = {name: (row["value"] - row["truth"]) / row["error"] for name, row in rows.items()}
    assert rows["t0_offset.event2"]["truth"] == -0.7 and np.abs([*off.values()]).max() < 4.0, off
    assert content["good"] and content["open_events"] == [] and content["message"] == "converged"
    table = told[told.rindex("   name") :]
    assert "t0_offset.event4 " in table and "t0_offset.event5" not in table
    assert "t0_offset of 7 events: mean" in table and "t0_offset.event4 " in told[: told.rindex("   name")]
    assert "and 2 more" in told and (fit / "parameters.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--per-event", "eField"), "per-event eField: allowed are t0_offset"),
        (
            ("--per-event", "t0_offset", "--fix", "t0_offset.event3=0.1"),
            "--fix: names a parameter that --fit names too",
        ),
        (("--fit", "t0_offset.event03"), "fit: parameter t0_offset.event03 is not known, nearest is t0_offset"),
    ],
)
def test_what_cannot_be_is_refused(file, tmp_path, arguments, what):
    assert what in refusal("calibrate", file, "--closure", "-o", tmp_path / "fit", *arguments)


def test_tracks_that_become_events_have_no_offsets(file, tmp_path):
    asked = ("--closure", "--per-event", "t0_offset", "--optimizer", "adam")
    assert "--per-event: with --optimizer adam allowed without --closure only" in refusal(
        "calibrate", file, *asked, "-o", tmp_path / "fit"
    )
