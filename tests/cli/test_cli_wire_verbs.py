"""The verbs of pixels with a detector of wires: compare, forecast, scan, gradcheck."""

import json
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest
from commands import lartpc_command, refusal, succeeds
from wire_samples import of

pytestmark = pytest.mark.usefixtures("one_thread")
ONE = ("--events", "1")


def test_compare_tells_whether_parameters_are_those_of_the_frames(made, tmp_path):
    command = ("compare", made["segments"], made["frames"], *of(made), *ONE, "-o")
    told = succeeds(*command, tmp_path / "a")
    assert told.startswith("the model describes the target\n")
    found = json.loads((tmp_path / "a/verdict.json").read_text())
    assert found["describes"] and found["detector"] == "small" and found["recombination"] == "ellipsoid"
    assert found["frames"]["tag"] == "raw" and set(found["frames"]["regions_left_out"].values()) == {0}
    checks = {check["name"]: check for check in found["checks"]}
    assert {"all planes", "plane U", "plane W"} <= {
        name.removeprefix("mean square of the residuals on ") for name in checks
    }
    assert max(abs(check["significance"]) for check in checks.values()) < 4.5
    assert matplotlib.image.imread(tmp_path / "a/residuals.png")[..., :3].std() > 0.01
    done = lartpc_command(*command, tmp_path / "b", "--set", "lifetime=2000")
    assert done.exit_code == 1 and "the model does not describe the target" in done.stdout
    assert "change of lifetime [us] alone that residuals ask for: " in done.stdout
    (row,) = (
        row for row in json.loads((tmp_path / "b/verdict.json").read_text())["checks"] if " lifetime " in row["name"]
    )
    assert row["found"] > 0.0 and row["significance"] > 4.5  # towards 3000


def test_compare_says_how_frames_came_about_otherwise(made, tmp_path):
    done = lartpc_command(
        "compare", made["segments"], made["frames"], *of(made), *ONE, "-o", tmp_path / "c", "--recombination", "birks"
    )
    assert done.exit_code == 1
    assert "was simulated with recombination ellipsoid, compared is birks" in done.stderr


@pytest.mark.slow
def test_a_fit_describes_what_it_was_made_with(made, tmp_path):
    files = (made["segments"], made["frames"])
    succeeds("calibrate", *files, *of(made), "--fit", "alpha_emb,vdrift", "-o", tmp_path / "fit")
    own = ("--detector", made["detector"], "--fit", tmp_path / "fit/fit.json")  # which knows the response
    assert "the model describes" in succeeds("compare", *files, *own, "-o", tmp_path / "c")
    found = json.loads((tmp_path / "c/verdict.json").read_text())
    fit = json.loads((tmp_path / "fit/fit.json").read_text())
    assert found["response"] == str(made["response"])
    assert found["parameters"]["alpha_emb"] == fit["parameters"]["alpha_emb"]["value"]
    sbnd = ("--detector", "sbnd", "--fit", tmp_path / "fit/fit.json")
    assert "fit of detector small, allowed is --detector of that" in refusal("compare", *files, *sbnd, "-o", "x")


def test_forecast_gives_the_errors_of_a_fit(made, tmp_path):
    command = ("forecast", made["segments"], *of(made))
    told = succeeds(*command)
    rows = [line.split() for line in told.splitlines()[1:8]]
    assert [row[1] for row in rows] == "alpha_emb beta_90 R_anisotropy lifetime vdrift tran_diff long_diff".split()
    assert "Cramer-Rao bound" in told
    (row,) = (
        line.split()
        for line in succeeds(*command, "--fit", "lifetime", "--truth", "lifetime=2500").splitlines()
        if "us" in line
    )
    assert float(row[2]) == 2500 and 0.0 < float(row[3]) < 0.5 * float(rows[3][3])  # alone better than with others
    half = succeeds(*command, "--fit", "lifetime", "--truth", "lifetime=2500", *ONE)
    assert float(half.splitlines()[1].split()[3]) > 1.05 * float(row[3])


@pytest.mark.slow
def test_forecast_is_the_error_of_calibrate(made, tmp_path):
    given = (*of(made), "--fit", "alpha_emb,vdrift")
    succeeds("calibrate", made["segments"], made["frames"], *given, "-o", tmp_path / "fit")
    fitted = json.loads((tmp_path / "fit/fit.json").read_text())["parameters"]
    for line in succeeds("forecast", made["segments"], *given).splitlines()[1:3]:
        _, name, _, error = line.split()[:4]
        assert float(error) == pytest.approx(fitted[name]["error"], rel=0.02)


def test_scan_follows_its_gradient(made, tmp_path):
    command = ("scan", made["segments"], made["frames"], *of(made), *ONE, "--over", "alpha_emb=0.88:0.92")
    told = succeeds(*command, "--over", "lifetime=2000:4000", "--points", "5", "-o", tmp_path / "scan")
    assert told.startswith("waveform likelihood\n")
    with h5py.File(tmp_path / "scan/scan.h5") as file:
        values, loss, gradient, along = (file[name][()] for name in ("values", "loss", "gradient", "along"))
        assert file.attrs["detector"] == "small" and file.attrs["kind"] == "waveform likelihood"
    for k, truth in enumerate((0.904, 3000.0)):
        rows = np.flatnonzero(along == k)
        x = values[rows, k]
        assert x[loss[rows].argmin()] == truth
        # The likelihood is smooth: its differences are those of its slopes, by Simpson's rule over neighbours.
        slope = gradient[rows, k]
        simpson = (slope[:-2] + 4.0 * slope[1:-1] + slope[2:]) / 6.0 * (x[2:] - x[:-2])
        even = np.isclose(x[2:] - x[1:-1], x[1:-1] - x[:-2])
        change = loss[rows][2:] - loss[rows][:-2]
        np.testing.assert_allclose(simpson[even], change[even], rtol=0.02, atol=0.02 * np.ptp(loss[rows]))
    assert matplotlib.image.imread(tmp_path / "scan/scan.png")[..., :3].std() > 0.01
    succeeds(*command, "--over", "lifetime=2000:4000", "--points", "5", "-o", tmp_path / "scan", "--resume")
    line = refusal(*command, "--points", "5", "-o", tmp_path / "scan", "--resume")
    assert "over was " in line and "--resume continues the same fit only" in line


@pytest.mark.slow
def test_a_profile_has_the_interval_of_the_error(made, tmp_path):
    command = ("scan", made["segments"], made["frames"], *of(made), *ONE, "--profile", "--fit", "alpha_emb,tran_diff")
    told = succeeds(*command, "--over", "alpha_emb", "--points", "7", "-o", tmp_path / "scan")
    best, low, high = (float(one) for one in told.splitlines()[2].split()[2:5])
    error = (
        succeeds("forecast", made["segments"], *of(made), *ONE, "--fit", "alpha_emb,tran_diff")
        .splitlines()[1]
        .split()[3]
    )
    assert high - low == pytest.approx(2.0 * float(error), rel=0.05) and low < best < high


def test_times_of_events_are_those_of_the_verbs(made, tmp_path):
    """Set for single events: compared as they are, scanned about 0, and their gradients are right."""
    own = ("--set", "t0_offset.event0=0.1")
    done = lartpc_command("compare", made["segments"], made["frames"], *of(made), *own, "-o", tmp_path / "c")
    assert done.exit_code == 1 and "does not describe" in done.stdout
    checks = json.loads((tmp_path / "c/verdict.json").read_text())["checks"]
    asked = {check["name"].split()[2]: check["found"] for check in checks if check["name"].startswith("change of")}
    assert asked["t0_offset.event0"] == pytest.approx(-0.1, rel=0.2) and "t0_offset" not in asked
    scanned = ("scan", made["segments"], made["frames"], *of(made), "--events", "0", "-o", tmp_path / "s")
    told = succeeds(*scanned, "--over", "t0_offset.event0=-0.1:0.1", "--points", "3")
    assert float(told.splitlines()[2].split()[2]) == 0.0
    assert matplotlib.image.imread(tmp_path / "s/scan.png")[..., :3].std() > 0.01
    told = succeeds("gradcheck", made["segments"], *of(made), *own)
    assert "t0_offset.event0" in told and "t0_offset " not in told
    line = refusal("reconstruct", made["frames"], *of(made), *own, "--events", "0", "-o", tmp_path / "r.h5")
    assert "parameter t0_offset.event0: found in a reconstruction" in line and not (tmp_path / "r.h5").exists()


def test_shaping_times_that_tables_do_not_reach_are_no_range(made, tmp_path):
    scanned = ("scan", made["segments"], made["frames"], *of(made), *ONE, "--points", "2", "-o", tmp_path / "s")
    line = refusal(*scanned, "--over", "shaping")
    assert "range of shaping: found 0.5 to 4, allowed is 1.4 to 2.6, near that of the simulation" in line
    assert not (tmp_path / "s").exists()
    succeeds(*scanned, "--over", "shaping=1.4:2.6")


def test_gradcheck_passes(made):
    told = succeeds("gradcheck", made["segments"], *of(made), "--fit", "lifetime,vdrift")
    rows = [line.split() for line in told.splitlines()[2:6]]
    assert [row[:2] for row in rows] == [
        [n, loss] for n in ("lifetime", "vdrift") for loss in ("waveforms", "likelihood")
    ]
    assert all(row[-1] == "ok" for row in rows) and "hits" not in told
    assert told.splitlines()[-1].startswith("4 ok, 0 failed")


def test_a_wrong_gradient_is_found(made, monkeypatch):
    """In the derivatives that a fit takes alone: the adjoints are right."""
    from lartpc.losses import waveforms

    right = waveforms.bare_slopes

    def wrong(*given):
        found, slopes = right(*given)
        return found, 1.001 * slopes

    monkeypatch.setattr(waveforms, "bare_slopes", wrong)
    done = lartpc_command("gradcheck", made["segments"], *of(made), "--fit", "lifetime")
    assert done.exit_code == 1 and [line.split()[-1] for line in done.stdout.splitlines()[2:4]] == ["ok", "FAIL"]


def test_options_of_pixels_are_refused(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = made["segments"], made["frames"]
    commands = {
        ("compare", *files, "-o", "c"): (("--rounded",), ("--t0", "trigger"), ("--gains", "g.npz"), ("--layout", "l")),
        ("scan", *files, "-o", "s"): (("--loss", "mse"), ("--closure",), ("--seed", "2"), ("--dead-time", "3")),
        ("forecast", files[0]): (("--rounded",), ("--per-module", "eField"), ("--max-hits", "4")),
        ("gradcheck", files[0]): (("--layout", "l"),),
    }
    for command, several in commands.items():
        for options in several:
            assert (
                refusal(*command, *of(made), *options)
                == f"lartpc: {options[0]}: found with wires, allowed only with pixels\n"
            )
    assert "TARGET: found none" in refusal("scan", files[0], "-o", "s", *of(made))
    for command in (("compare", *files, "-o", "c"), ("scan", *files, "-o", "s")):
        assert "--tag: found with pixels" in refusal(*command, "--tag", "raw")
    for command in (("compare", *files), ("scan", *files), ("calibrate", *files), ("reconstruct", files[1])):
        assert "has frames of wires, allowed with pixels are hits or packets: see --detector" in refusal(
            *command, "-o", "x"
        )
    for command in (("scan", *files, "-o", "s", "--over"), ("forecast", files[0], "--fit")):
        assert "lifetime.0" in refusal(*command, "lifetime.0", *of(made))
    assert "nothing depends on Ab" in refusal("scan", *files, "-o", "s", "--over", "Ab", *of(made))
    assert not list(Path().iterdir())
