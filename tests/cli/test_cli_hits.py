"""lartpc calibrate HITS: what it finds, continues and refuses."""

import dataclasses
import json
import shutil

import h5py
import numpy as np
import pytest
import yaml
from commands import lartpc_command, refusal

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import from_table
from lartpc.formats.hitfile import write_hits
from lartpc.generator.generate import generate
from lartpc.reconstruction import calibrate
from lartpc.simulation.simulation import Simulation

TRUTH = {"Ab": 0.83, "kb": 0.052, "lifetime": 1500.0, "long_diff": 5.5e-6, "tran_diff": 7.5e-6}
FAR_OFF = {"Ab": 0.9, "kb": 0.06, "lifetime": 700.0, "long_diff": 8e-6, "tran_diff": 6e-6}
FIT = ("--fit", ",".join(TRUTH))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Hits of a few protons and, apart, of muons that leave and of showers."""
    path = tmp_path_factory.mktemp("hits")
    detector = Detector.module0()
    for sample, events in (("stopping-protons", 1), ("muons", 1), ("electrons", 1)):
        segments = dataclasses.replace(from_table(generate(sample, detector, events, 4), sample), source=None)
        simulation = Simulation(detector, detector.parameters.replace(**TRUTH), noise=True, seed=4)
        hits = simulation(segments).hits
        settings = {"parameters": simulation.parameters.as_dict(), "noise": True, "detector": detector.name}
        write_hits(path / f"{sample}.h5", hits, segments, settings)
        with h5py.File(path / f"{sample}.h5", "a") as file:
            del file["segments"]  # nobody has them
    return path


@pytest.fixture(autouse=True)
def in_folder(data, monkeypatch):
    monkeypatch.chdir(data)


@pytest.fixture(scope="module", autouse=True)
def always_anew():
    """Tracks are found anew as often as they may be, as where fits end far from the start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "FAR", 0.0)
        yield


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    """The folder of a fit, and what it printed."""
    folder = tmp_path_factory.mktemp("fitted") / "fit"
    done = lartpc_command("calibrate", data / "stopping-protons.h5", "-o", folder, *FIT)
    return folder, done


@pytest.mark.slow
def test_parameters_from_hits_alone(fitted):
    folder, done = fitted
    told = json.loads((folder / "fit.json").read_text())
    assert done.exit_code == 0 and told["good"], done.output
    for name, value in TRUTH.items():
        row = told["parameters"][name]
        assert abs(row["value"] - value) < 3.5 * row["error"]
        assert row["truth"] == pytest.approx(value) and len(row["halves"]) in (0, 2)
    assert told["tracks"] >= 5 and told["cut_flow"][0][1] >= told["tracks"]
    assert 0.7 < told["mean_square"] < 1.3
    assert "MAP" in done.stdout and "tracks marginalised" in done.stdout


@pytest.mark.slow
def test_a_fit_goes_on_to_the_same_bits(fitted, tmp_path, monkeypatch):
    """Killed as it goes, and again with the tracks that it found the last time."""
    folder, _ = fitted
    from lartpc.reconstruction.checkpoint import Checkpoint

    saves = []
    save = Checkpoint.save

    def stops(self, saved):
        save(self, saved)
        saves.append(saved)
        if len(saves) == 3 or [one.turn for one in saves].count(calibrate.AGAIN) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", stops)
    killed = tmp_path / "fit"
    again = ("calibrate", "stopping-protons.h5", "-o", killed, *FIT)
    assert lartpc_command(*again).exit_code == 130
    assert not (killed / "fit.json").exists()
    assert "--resume" in refusal(*again)
    other = refusal(*again, "--start", "Ab=0.81", "--resume")
    assert "start was" in other
    assert lartpc_command(*again, "--resume").exit_code == 130
    monkeypatch.setattr(Checkpoint, "save", save)
    assert lartpc_command(*again, "--resume").exit_code == 0
    one, two = (json.loads((path / "fit.json").read_text()) for path in (folder, killed))
    assert one["parameters"] == two["parameters"] and one["value"] == two["value"]
    with h5py.File(folder / "joint.h5") as a, h5py.File(killed / "joint.h5") as b:
        np.testing.assert_array_equal(a["eta"][()], b["eta"][()])


@pytest.mark.slow
def test_from_another_start_the_same_tracks_are_used(fitted, tmp_path):
    """From so far off the first search leaves four of the nine."""
    folder, _ = fitted
    other = tmp_path / "fit"
    start = [word for name, value in FAR_OFF.items() for word in ("--start", f"{name}={value}")]
    lartpc_command("calibrate", "stopping-protons.h5", "-o", other, *FIT, *start)
    one, two = (json.loads((path / "fit.json").read_text()) for path in (folder, other))
    with h5py.File(folder / "joint.h5") as a, h5py.File(other / "joint.h5") as b:
        assert a.attrs["tracks"] == b.attrs["tracks"]
    for name, row in one["parameters"].items():
        assert abs(row["value"] - two["parameters"][name]["value"]) < 0.5 * row["error"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--loss", "likelihood"), "--loss: needs SEGMENTS"),
        (("--optimizer", "adam"), "--optimizer: needs SEGMENTS"),
        (("--per-event", "t0_offset"), "--per-event: needs SEGMENTS"),
        (("--particle", "kaon"), "--particle kaon: allowed are proton, muon, pion+"),
        (("--track-density", "13.8"), "--track-density"),
        (("--t0-width", "0"), "--t0-width"),
        (("--fit", "Ab,nonsense"), "nonsense"),
        (("--constrain", "eField=0.5"), "--constrain"),
        (("--detector", "2x2"), "hits of detector module0"),
    ],
)
def test_refusals(arguments, told, tmp_path):
    assert told in refusal("calibrate", "stopping-protons.h5", "-o", tmp_path / "fit", *arguments)
    assert not (tmp_path / "fit").exists()


def test_no_track_that_can_be_used(tmp_path):
    told = refusal("calibrate", "electrons.h5", "-o", tmp_path / "fit", *FIT)
    assert "no track that can be used" in told and not (tmp_path / "fit").exists()


def test_options_of_hits_alone_are_refused_with_segments(tmp_path):
    told = refusal("calibrate", "stopping-protons.h5", "muons.h5", "-o", tmp_path / "fit", "--track-density", "1.39")
    assert "--track-density: is for HITS alone" in told


def test_runs_with_and_without_segments_are_refused(tmp_path):
    shutil.copy("muons.h5", tmp_path / "a.h5")
    runs = [{"target": "a.h5"}, {"target": "a.h5", "segments": "a.h5"}]
    (tmp_path / "runs.yaml").write_text(yaml.safe_dump(runs))
    assert "run 0: has no segments" in refusal("calibrate", tmp_path / "runs.yaml", "-o", tmp_path / "fit")
