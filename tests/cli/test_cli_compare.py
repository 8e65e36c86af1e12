"""The command `lartpc compare`."""

import json

import pytest
from commands import lartpc_command, proton_files, refusal, succeeds

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Segments of two protons, and hits of them with a lifetime of 700 us."""
    return proton_files(tmp_path_factory.mktemp("files"), 2, "--set", "lifetime=700", "--seed", "4")


@pytest.mark.slow
def test_right_parameters(files, tmp_path):
    folder = tmp_path / "out"
    stdout = succeeds("compare", *files, "-o", folder, "--set", "lifetime=700")
    assert stdout.startswith("the model describes the target\n")
    assert {path.name for path in folder.iterdir()} == {"verdict.json", "residuals.png"}
    assert (folder / "residuals.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    told = json.loads((folder / "verdict.json").read_text())
    assert told["describes"] and told["reasons"] == [] and told["parameters"]["lifetime"] == 700.0
    assert told["left_out"]["events"] == [] and told["recombination"] == "birks"


@pytest.mark.slow
def test_wrong_parameters(files, tmp_path):
    done = lartpc_command("compare", *files, "-o", tmp_path / "out")
    assert done.exit_code == 1
    told = json.loads((tmp_path / "out/verdict.json").read_text())
    assert not told["describes"] and "mean of the charges" in " ".join(told["reasons"])
    assert all(reason in done.stdout for reason in told["reasons"])


@pytest.mark.slow
def test_parameters_of_a_fit(files, tmp_path):
    """Those fitted and those fixed; --set goes before, and --recombination."""
    fit = tmp_path / "fit"
    succeeds("calibrate", *files, "-o", fit, "--fit", "Ab,lifetime", "--fix", "kb=0.0486")
    assert (fit / "residuals.png").exists()
    succeeds("compare", *files, "-o", tmp_path / "a", "--fit", fit / "fit.json")
    told, fitted = (json.loads(p.read_text()) for p in (tmp_path / "a/verdict.json", fit / "fit.json"))
    assert told["parameters"]["lifetime"] == fitted["parameters"]["lifetime"]["value"]
    assert told["parameters"]["kb"] == 0.0486
    for check, before in zip(told["checks"], fitted["verdict"]["checks"], strict=True):
        assert check["name"] == before["name"] and check["found"] == pytest.approx(before["found"], rel=1e-4)
    options = ("--fit", fit / "fit.json", "--set", "lifetime=2200", "--recombination", "box")
    done = lartpc_command("compare", *files, "-o", tmp_path / "b", *options)
    assert done.exit_code == 1
    assert done.stderr == f"{files[1]}: was simulated with recombination birks, compared is box\n"
    told = json.loads((tmp_path / "b/verdict.json").read_text())
    assert (told["parameters"]["lifetime"], told["recombination"]) == (2200.0, "box")


def test_refusals(files, tmp_path):
    (tmp_path / "no.json").write_text('{"parameters": {}}')
    line = refusal("compare", *files, "-o", tmp_path / "out", "--fit", tmp_path / "no.json")
    assert line == f"lartpc: --fit {tmp_path / 'no.json'}: is no fit.json that lartpc calibrate writes\n"
    fit = {"parameters": {}, "fixed": {}, "detector": "module0", "recombination": [], "response": "parametric"}
    (tmp_path / "no.json").write_text(json.dumps(fit))
    assert "no.json: is no fit.json" in refusal(
        "compare", *files, "-o", tmp_path / "out", "--fit", tmp_path / "no.json"
    )
    (tmp_path / "verdict.json").write_text("")
    assert "exists already; --overwrite replaces it" in refusal("compare", *files, "-o", tmp_path)
    assert "nowhere.json" in refusal("compare", *files, "-o", tmp_path / "out", "--fit", tmp_path / "nowhere.json")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_takes_what_is_of_its_own_modules(files, tmp_path):
    told = {"fixed": {}, "detector": "module0", "recombination": "birks", "response": "parametric"}
    rows = {name: {"value": value} for name, value in (("lifetime.0", 700.0), ("lifetime.3", 900.0))}
    (tmp_path / "fit.json").write_text(json.dumps({"parameters": rows, "runs": [told, told | {"detector": "2x2"}]}))
    succeeds("compare", *files, "-o", tmp_path / "out", "--fit", tmp_path / "fit.json", "--run", "0")
    found = json.loads((tmp_path / "out/verdict.json").read_text())["parameters"]
    assert found["lifetime.0"] == 700.0 and "lifetime.3" not in found
