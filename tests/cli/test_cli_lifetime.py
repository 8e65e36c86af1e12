"""lartpc lifetime and lartpc velocity: what they find, write and refuse."""

import dataclasses
import json

import h5py
import matplotlib.image
import pytest
from commands import lartpc_command, refusal

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import from_table
from lartpc.formats.hitfile import write_hits
from lartpc.generator.generate import generate
from lartpc.simulation.simulation import Simulation

TRUTH = {"Ab": 0.83, "kb": 0.052, "eField": 0.495, "lifetime": 1500.0, "long_diff": 5.5e-6, "tran_diff": 7.5e-6}
GIVEN = [f"--set={name}={TRUTH[name]}" for name in ("kb", "long_diff", "tran_diff")]
VELOCITY = 0.158843  # [cm/us] at that field


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Hits of some muons and, apart, of protons, as data have them."""
    path = tmp_path_factory.mktemp("hits")
    detector = Detector.module0()
    for sample, events in (("muons", 2), ("crossing-muons", 1), ("stopping-protons", 1)):
        segments = dataclasses.replace(from_table(generate(sample, detector, events, 21), sample), source=None)
        simulation = Simulation(detector, detector.parameters.replace(**TRUTH), noise=True, seed=21)
        write_hits(path / f"{sample}.h5", simulation(segments).hits, segments, {"detector": detector.name})
        with h5py.File(path / f"{sample}.h5", "a") as file:
            del file["segments"]  # nobody has them
    return path


@pytest.fixture(autouse=True)
def in_folder(data, monkeypatch):
    monkeypatch.chdir(data)


def picture(path):
    return matplotlib.image.imread(path)[..., :3].std() > 0.01


@pytest.mark.slow
def test_lifetime(tmp_path):
    """Lifetime, factor of all charge and field are far from where it begins."""
    done = lartpc_command("lifetime", "muons.h5", "-o", tmp_path / "a", *GIVEN)
    told = json.loads((tmp_path / "a/lifetime.json").read_text())
    assert done.exit_code == 0 and told["good"], done.output
    assert abs(told["inverse"] - 1 / TRUTH["lifetime"]) < 3 * told["inverse_error"] < 1 / TRUTH["lifetime"]
    low, high = told["interval"]
    assert low < told["lifetime"] < high and high - told["lifetime"] > told["lifetime"] - low
    plain = told["truncated_mean"]
    assert abs(plain["inverse"] - 1 / TRUTH["lifetime"]) < 3 * plain["inverse_error"]
    assert plain["inverse_error"] > told["inverse_error"]
    assert told["tracks"] >= 10 and told["cut_flow"][0][1] >= told["tracks"]
    assert f"{told['tracks']} tracks" in done.stdout and "verdict: good" in done.stdout
    assert picture(tmp_path / "a/lifetime.png")
    again = refusal("lifetime", "muons.h5", "-o", tmp_path / "a")
    assert "exists already; --overwrite replaces it" in again


@pytest.mark.slow
def test_velocity(tmp_path):
    """The field is 1 % off where it begins."""
    done = lartpc_command("velocity", "crossing-muons.h5", "-o", tmp_path / "a", *GIVEN)
    told = json.loads((tmp_path / "a/velocity.json").read_text())
    assert done.exit_code == 0 and told["good"], done.output
    (module,) = told["modules"].values()
    assert abs(module["field"] - TRUTH["eField"]) < 3 * module["field_error"] < 1.5e-3
    assert abs(module["velocity"] - VELOCITY) < 3 * module["error"]
    assert abs(module["quick"]["velocity"] / VELOCITY - 1) < 3 * module["quick"]["error"] / VELOCITY < 0.01
    assert module["tracks"] >= 5 and "verdict: good" in done.stdout
    assert picture(tmp_path / "a/velocity.png")


@pytest.mark.slow
def test_too_few_tracks(tmp_path):
    """One muon of an event crosses the cathode: what it says is not to be used."""
    done = lartpc_command("velocity", "muons.h5", "--events", "1", *GIVEN)
    assert done.exit_code == 1 and "verdict: not to be used" in done.stdout and "are needed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("lifetime", "nowhere.h5"), "nowhere.h5"),
        (("lifetime", "muons.h5", "--detector", "2x2"), "hits of detector module0"),
        (("lifetime", "muons.h5", "--events", "77"), "has no hits in the --events"),
        (("lifetime", "muons.h5", "--constrain", "kb=0.05"), "--constrain"),
        (("lifetime", "muons.h5", "--constrain", "nonsense=1+-0.1"), "nonsense"),
        (("lifetime", "muons.h5", "--track-density", "13.8"), "--track-density"),
        (("lifetime", "muons.h5", "--set", "lifetime=-5"), "lifetime"),
        (("lifetime", "stopping-protons.h5"), "no track that can be used"),
        (("velocity", "stopping-protons.h5"), "no track crosses a cathode"),
        (("velocity", "crossing-muons.h5", "--set", "vdrift=0.16"), "allowed is a velocity that follows from eField"),
        (("velocity", "crossing-muons.h5", "--t0-width", "0"), "--t0-width"),
    ],
)
def test_refusals(arguments, told, tmp_path):
    assert told in refusal(*arguments, "-o", tmp_path / "a")
    assert not (tmp_path / "a").exists()
