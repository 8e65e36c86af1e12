"""The command line: what its commands write and print, and that they do so again."""

import json
import os
import re
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest
from commands import (
    OUTSIDE,
    ROWS,
    RUN,
    contents,
    lartpc_command,
    program,
    refuses,
    store,
    succeeds,
    table,
)

import lartpc
from lartpc.cli.main import main
from lartpc.formats.edepsim import read_segments
from lartpc.formats.hitfile import read_attrs, read_hits, read_waveforms
from lartpc.kernels.runtime.launch import cuda_available
from lartpc.kernels.runtime.slots import AMPLIFIER
from lartpc.parameters import TABLE

COMMANDS = tuple(main.commands)


@pytest.mark.slow
def test_help_and_early_refusals_import_nothing_heavy(folder):
    script = (
        "import sys\nfrom lartpc.cli.main import main\n"
        "try:\n    main(prog_name='lartpc')\n"
        "finally:\n    print([m for m in ('numba', 'matplotlib', 'scipy') if m in sys.modules], file=sys.stderr)"
    )
    for arguments in (
        ["--help"],
        *([name, "-h"] for name in COMMANDS),
        ["simulate", "in.h5", "-o", "hits.h5"],
        ["simulate", "in.h5", "-o", "new.h5", "--set", "Ab=-1"],
        ["simulate", "nowhere.h5", "-o", "new.h5"],
        ["plot", "in.h5", "-o", "hits.h5"],
    ):
        assert program(folder, script, *arguments).stderr.splitlines()[-1] == "[]", arguments


def test_help_and_version():
    assert succeeds("--version") == f"lartpc, version {lartpc.__version__}\n"
    assert succeeds() == succeeds("-h") == succeeds("--help")
    for name in COMMANDS:
        assert name in succeeds("-h")


@pytest.mark.slow
def test_examples_of_the_help_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("generate", "simulate", "plot", "info"):
        example = re.search(rf"Example: lartpc ({name} .*)", succeeds(name, "-h"))[1].split()
        succeeds(*example, *(["--events", "4"] if name == "generate" else []))
    assert sorted(os.listdir()) == ["event.png", "hits.h5", "muons.h5"]


@pytest.mark.slow
def test_demo_writes_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = re.search(r"Example: lartpc (demo .*)", succeeds("demo", "-h"))[1].split()
    printed = succeeds(*example)
    names = ["event.png", "hits.h5", "segments.h5"]
    written = ["data.h5", "event.png", "fit", "fit-data", "hits.h5", "protons.h5", "segments.h5"]
    assert sorted(os.listdir("my-demo")) == written
    assert all(f"my-demo/{name}: " in printed for name in names)
    fitted = json.loads(Path("my-demo/fit/fit.json").read_text())["parameters"]
    assert len(fitted) == 6
    alone = json.loads(Path("my-demo/fit-data/fit.json").read_text())["parameters"]
    assert len(alone) == 5
    for told in (fitted, alone):
        assert all(abs(p["value"] - p["truth"]) < 5.0 * p["error"] for p in told.values())
    assert len(read_hits("my-demo/hits.h5")) > 500
    assert read_waveforms("my-demo/hits.h5") is not None
    # the commands that it prints do the same
    before = contents("my-demo")
    for line in re.findall(r"^\$ lartpc (.*)$", printed, flags=re.MULTILINE):
        succeeds(*line.split(), "--overwrite")
    assert contents("my-demo") == before
    assert "exists already" in refuses(tmp_path, *example)
    Path("file").write_text("")
    assert "file: File exists" in refuses(tmp_path, "demo", "-o", "file")


def test_simulate_reports_and_records_what_it_did(folder):
    printed = succeeds("simulate", "in.h5", "-o", "new.h5", "--no-noise", "--set", "lifetime=1500", "--set", "kb=0.05")
    assert printed.count("\n") == 1
    assert "new.h5: 4 segments read, 3 kept, 1 dropped (outside every TPC); 12.0 MeV deposited" in printed
    hits = read_hits("new.h5")
    assert f"{len(hits)} hits with {hits.charge.sum(dtype='f8'):.4g} e" in printed
    freed, anodes, pixels = (float(re.search(rf"([\d.e+]+) e {what}", printed)[1]) for what in ("freed", "at", "on"))
    # Birks for 11 MeV at 2.1 (5 MeV) and 6 MeV/cm: 0.05 dE/dx / (0.5 x 1.38)
    birks = 0.8 * 4.237e4 * (5 / (1 + 0.05 * 2.1 / 0.69) + 6 / (1 + 0.05 * 6 / 0.69))
    assert freed == pytest.approx(birks, rel=1e-3)
    assert pixels == pytest.approx(anodes, rel=1e-3)
    # drifts of 9.4 to 21.4 cm at 0.16 cm/us
    assert np.exp(-21.4 / 0.1596 / 1500) < anodes / freed < np.exp(-9.4 / 0.1596 / 1500)
    assert sorted(np.unique(hits.event_id)) == [3, 7]
    attrs = read_attrs("new.h5")
    assert attrs["parameters"] == {
        **{name: row.nominal for name, row in TABLE.items() if name not in AMPLIFIER},
        "lifetime": 1500,
        "kb": 0.05,
        "vdrift": None,
        "buffer_risetime": 0.0,
    }
    chosen = ("detector", "noise", "seed", "recombination", "thresholds", "lartpc_version")
    assert [attrs[name] for name in chosen] == ["module0", False, 0, "birks", "detector", lartpc.__version__]
    assert len(read_segments("new.h5")) == len(ROWS)


def test_options_change_what_they_say(folder):
    def charge(*options):
        succeeds("simulate", "in.h5", "-o", "new.h5", "--overwrite", *options)
        return read_hits("new.h5").charge.sum(dtype="f8")

    def assert_no_hit(*options):
        """A result that nobody wants."""
        done = lartpc_command("simulate", "in.h5", "-o", "new.h5", "--overwrite", "--no-noise", *options)
        assert done.exit_code == 1 and "in.h5: there is no hit" in done.stderr
        assert len(read_hits("new.h5")) == 0

    quiet = charge("--no-noise")
    assert charge("--no-noise", "--seed", "5") == quiet
    assert charge() == charge("--seed", "0") != quiet
    assert charge("--seed", "1") != charge("--seed", "0")
    assert charge("--no-noise", "--recombination", "box") != quiet
    assert charge("--no-noise", "--set", "lifetime=300") < 0.9 * quiet
    np.savez("high.npz", keys=np.array([0]), values=np.array([5000.0]), default=1e6)
    assert_no_hit("--thresholds", "high.npz")
    assert read_attrs("new.h5")["thresholds"] == "pixels"
    np.savez("none.npz", keys=np.zeros(0, dtype=np.int64), values=np.zeros(0), default=1e6)
    assert_no_hit("--thresholds", "none.npz")
    Path("detector.yaml").write_text("discrimination_threshold: 1.0e+6\nlifetime: 900\n")
    assert_no_hit("--detector", "detector.yaml")
    assert read_attrs("new.h5")["detector"] == "detector"
    assert read_attrs("new.h5")["parameters"]["lifetime"] == 900


@pytest.mark.slow
@pytest.mark.parametrize("rows", [[], [ROWS[OUTSIDE]]])
def test_nothing_to_see_gives_valid_empty_hits_and_a_picture(folder, rows):
    store("some.h5", table(rows))
    done = lartpc_command("simulate", "some.h5", "-o", "new.h5", "--waveforms")
    printed = done.stdout
    assert done.exit_code == (1 if rows else 0) and ("0% of the deposits are in TPCs" in done.stderr) == bool(rows)
    assert f"new.h5: {len(rows)} segments read, 0 kept" in printed
    assert "0 hits with 0 e" in printed
    assert len(read_hits("new.h5")) == 0
    assert len(read_waveforms("new.h5")) == 0
    assert len(read_segments("new.h5")) == len(rows)
    succeeds("plot", "new.h5", "-o", "new.png")
    assert matplotlib.image.imread("new.png").shape[2] == 4


def test_generated_segments_are_a_segments_file(folder):
    printed = succeeds("generate", "stopping-protons", "-o", "new.h5", "--events", "2", "--seed", "4")
    segments = read_segments("new.h5")
    assert printed == f"new.h5: 2 events, {len(segments)} segments, {segments.dE.sum(dtype='f8'):.1f} MeV\n"
    assert segments.events.tolist() == [0, 1]
    before = Path("new.h5").read_bytes()
    succeeds("generate", "stopping-protons", "-o", "new.h5", "--events", "2", "--seed", "4", "--overwrite")
    assert Path("new.h5").read_bytes() == before
    succeeds("generate", "stopping-protons", "-o", "new.h5", "--events", "2", "--overwrite")
    assert Path("new.h5").read_bytes() != before
    assert "0 events, 0 segments" in succeeds("generate", "muons", "-o", "none.h5", "--events", "0")
    assert len(read_segments("none.h5")) == 0


def test_info_is_json():
    content = json.loads(succeeds("info", "--set", "eField=0.45"))
    assert content["versions"]["lartpc"] == lartpc.__version__
    assert content["versions"]["numpy"] == np.__version__
    assert content["device"]["cpu_threads"] >= 1
    assert content["device"]["cuda"] == cuda_available()
    assert content["detector"]["name"] == "module0"
    assert (content["detector"]["tpcs"], content["detector"]["pixels"]) == (2, 2 * 140 * 280)
    expected = {"value": 0.45, "unit": "kV/cm", "range": [0.45, 0.55], "meaning": "drift field"}
    assert content["parameters"]["eField"] == expected
    assert list(content["parameters"]) == [name for name in TABLE if name not in AMPLIFIER]


@pytest.mark.slow
def test_the_same_command_writes_the_same_bytes_on_any_number_of_threads(folder):
    with h5py.File("in.h5", "a") as file:
        file["mc_hdr"] = np.arange(3)
    os.mkdir("elsewhere")
    os.rename("in.h5", "elsewhere/renamed.h5")
    written = set()
    for name, threads in (("one", 1), ("two", 2), ("again", 2)):
        arguments = ["simulate", "elsewhere/renamed.h5", "-o", name, "--waveforms", "--seed", "3"]
        done = program(folder, RUN, *arguments, NUMBA_NUM_THREADS=str(threads))
        assert (done.returncode, done.stderr) == (0, "")
        written.add(Path(name).read_bytes())
    assert len(written) == 1
    assert len(read_hits("one")) > 0
    content = written.pop()
    assert b"renamed" not in content and b"elsewhere" not in content and bytes(folder) not in content


def test_compilation_is_announced_once(folder, monkeypatch):
    monkeypatch.setattr("lartpc.kernels.runtime.cache.cache_directory", lambda: str(folder))
    done = lartpc_command("simulate", "in.h5", "-o", "new.h5")
    assert done.exit_code == 0
    assert done.stderr.startswith("compiling kernels, once") and done.stderr.count("\n") == 1
    assert "compiling" not in lartpc_command("simulate", "in.h5", "-o", "new.h5").stderr  # fails before
    Path("launch_cpu_lartpc_kernels_charge_quench_quench-0.kernel").write_text("")
    succeeds("simulate", "in.h5", "-o", "new.h5", "--overwrite")


def test_choices_are_what_there_is():
    """They are written out in the options, so that help and refusals need not load what has them."""
    from lartpc.cli import fitting, options
    from lartpc.data.selection import Cuts
    from lartpc.detector import pixelvalues
    from lartpc.detector.builtin import BUILT_IN
    from lartpc.detector.wires import BUILT_IN as WIRES
    from lartpc.fit import store
    from lartpc.fit.calibrate import ERRORS, LOSSES
    from lartpc.fit.optimizers import OPTIMIZERS
    from lartpc.simulation.batching import DEVICES

    option = {option.name: option for option in main.commands["calibrate"].params}
    for name, known in (("loss", LOSSES), ("optimizer", OPTIMIZERS), ("errors", ERRORS), ("device", DEVICES)):
        assert list(option[name].type.choices) == list(known), name
    assert all(name in option["detector"].help for name in (*BUILT_IN, *WIRES))
    assert options.PIXEL_VALUES == pixelvalues.PIXEL_VALUES
    assert options.CUTS == Cuts._fields and all(name in option["cut"].help for name in Cuts._fields)
    assert set(fitting.RESULTS) == {store.HISTORY, *store.RESULTS}


def test_generated_samples_may_be_impure_and_late(folder):
    succeeds("generate", "stopping-protons", "-o", "pure.h5", "--events", "2")
    succeeds("generate", "stopping-protons", "-o", "new.h5", "--events", "2", "--purity", "0.5", "--t0-spread", "2")
    pure, mixed = read_segments("pure.h5"), read_segments("new.h5")
    assert set(pure.pdg_id.tolist()) == {2212} and {2212, 211} <= set(np.abs(mixed.pdg_id).tolist())
    assert np.ptp(pure.t0) < 0.01 < np.ptp(mixed.t0)
    for options in (
        ["muons", "--purity", "0.9"],
        ["stopping-protons", "--purity", "0"],
        ["muons", "--t0-spread", "-1"],
    ):
        refuses(folder, "generate", *options, "-o", "none.h5", "--events", "1")
