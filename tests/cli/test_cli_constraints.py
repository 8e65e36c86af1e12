"""--bounds and --constrain of `lartpc calibrate`, and `lartpc scan --profile`."""

import json

import h5py
import numpy as np
import pytest
from commands import proton_files, refusal, succeeds

pytestmark = pytest.mark.usefixtures("one_thread")  # batches are small


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Segments of a stopping proton, and hits of a lifetime of 10 ms."""
    return proton_files(tmp_path_factory.mktemp("files"), 1, "--set", "lifetime=10000", "--seed", "4")


def fit(files, folder, *options):
    done = succeeds("calibrate", *files, "-o", folder, "--fit", "lifetime,eField", *options)
    return json.loads((folder / "fit.json").read_text()), done


@pytest.mark.slow
def test_a_constraint_is_told_next_to_the_data(files, tmp_path):
    """1/s^2 is the sum of both, and that of another fit can be handed on with its correlation."""
    found, told = fit(files, tmp_path / "one", "--constrain", "eField=0.5+-0.0001", "--bounds", "lifetime=100:1e5")
    assert found["parameters"]["lifetime"]["bounds"] == [100.0, 1e5]
    entry = found["constraints"]["eField"]
    assert entry["constraint"] == {"value": pytest.approx(0.5), "error": pytest.approx(1e-4)}
    total = 1.0 / entry["constraint"]["error"] ** 2 + 1.0 / entry["data"]["error"] ** 2
    assert found["parameters"]["eField"]["error"] == pytest.approx(total**-0.5, rel=1e-6)
    assert "eField: constraint 0.5 +- 0.0001, data alone 0." in told
    again, _ = fit(files, tmp_path / "two", "--constrain", tmp_path / "one" / "fit.json")
    assert set(again["constraints"]) == {"lifetime", "eField"}
    for name in ("lifetime", "eField"):
        assert again["parameters"][name]["error"] < found["parameters"][name]["error"]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--bounds", "lifetime=500"], "--bounds lifetime: found '500', allowed is LOW:HIGH"),
        (["--bounds", "lifetime=9:x"], "--bounds lifetime: found 'x', allowed is a number"),
        (["--bounds", "lifetime=900:500"], "bounds of lifetime: found 900 to 500, allowed is from a lower to a higher"),
        (["--bounds", "kb=0:1"], "bounds: kb is not fitted, allowed are lifetime, eField"),
        (["--constrain", "lifetime=500"], "--constrain lifetime=500: is no file, allowed is NAME=VALUE+-ERROR"),
        (
            ["--constrain", "lifetime=500+-0"],
            "constraint of lifetime: found an error of 0, allowed is a number above 0",
        ),
        (["--constrain", "lifetime=500+-x"], "--constrain lifetime: found 'x', allowed is a number"),
        (["--constrain", "kb=0.05+-0.01"], "--constrain kb: is not fitted, allowed are lifetime, eField"),
    ],
)
def test_what_calibrate_refuses(files, tmp_path, options, message):
    arguments = ("calibrate", *files, "-o", tmp_path / "fit", "--fit", "lifetime,eField", *options)
    assert message in refusal(*arguments)


@pytest.mark.slow
def test_a_profile(files, tmp_path):
    """Files, contours, and the same when it is resumed."""
    arguments = ("scan", *files, "-o", tmp_path / "scan", "--profile", "--fit", "Ab,eField", "--over", "eField")
    arguments += ("--trust-me", "lifetime")
    told = succeeds(*arguments, "--points", 5)
    assert {path.name for path in (tmp_path / "scan").iterdir()} == {"scan.h5", "scan.png", "history.h5"}
    assert "68% from" in told and "eField" in told
    with h5py.File(tmp_path / "scan" / "scan.h5") as file:
        assert json.loads(file.attrs["fitted"]) == ["Ab", "eField"]
        before = file["loss"][()]
        assert file["profiled"].shape == (len(before), 2) and float(file.attrs["minimum"]) <= before.min()
    assert succeeds(*arguments, "--points", 5, "--resume").splitlines()[:-1] == told.splitlines()[:-1]
    with h5py.File(tmp_path / "scan" / "scan.h5") as file:
        np.testing.assert_array_equal(file["loss"][()], before)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--fit", "Ab"], "--fit: allowed with --profile only"),
        (["--profile", "--loss", "mse"], "--loss: allowed without --profile only"),
        (["--profile", "--fit", "Ab", "--over", "kb"], "profile: kb is not fitted, allowed are Ab"),
    ],
)
def test_what_scan_refuses(files, tmp_path, options, message):
    assert message in refusal("scan", *files, "-o", tmp_path / "scan", *options)
