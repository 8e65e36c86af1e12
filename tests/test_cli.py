"""The command line: what its commands write and print, and one line and exit code 2 for whatever is wrong."""

import ctypes
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner

import lartpc
from lartpc.cli.main import main
from lartpc.detector import Detector
from lartpc.hits import Hits, read_attrs, read_hits, read_waveforms
from lartpc.kernels.launch import cuda_available
from lartpc.parameters import TABLE
from lartpc.plot import busiest_event, event_display
from lartpc.segments import read_segments

COMMANDS = ("simulate", "calibrate", "gradcheck", "generate", "plot", "info", "demo")
# Events 3, 7, 8 in the file's frame (x is the drift axis); the last row lies outside every TPC.
FIELDS = "event_id segment_id x_start y_start z_start x_end y_end z_end dE dEdx t0".split()
ROWS = [
    (3, 0, 20.0, -20.0, 0.1, 20.5, -19.0, 1.0, 2.5, 2.1, 0.0),
    (3, 1, 20.5, -19.0, 1.0, 21.0, -18.0, 2.0, 2.5, 2.1, 0.0),
    (7, 2, -10.0, 5.0, -3.0, -9.0, 5.0, -3.0, 6.0, 6.0, 2.0),
    (8, 3, -10.0, 5.0, 90.0, -9.0, 5.0, 90.0, 1.0, 1.0, 0.0),
]
DTYPE = np.dtype([(name, "u4" if name.endswith("_id") else "f8" if name == "t0" else "f4") for name in FIELDS])
OUTSIDE = 3


def table(rows=None, **changes):
    """The rows of segments; `changes` sets fields of row 1."""
    raw = np.array(ROWS if rows is None else rows, dtype=DTYPE)
    for name, value in changes.items():
        raw[name][1] = value
    return raw


def store(path, raw, name="segments"):
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=raw)


def lartpc_command(*arguments):
    """Run a command in this process; what goes wrong other than through its exit code is an error."""
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done


def succeeds(*arguments):
    done = lartpc_command(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def refuses(folder, *arguments):
    """The line of a command that must change nothing in `folder`."""
    before = contents(folder)
    done = lartpc_command(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("lartpc: ") and done.stderr.count("\n") == 1 and done.stderr.endswith("\n")
    assert contents(folder) == before
    return done.stderr


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in Path(folder).rglob("*")}


def program(folder, script, *arguments, **environment):
    """Run a Python script with the arguments of `lartpc`, in a process of its own."""
    place = {"PYTHONPATH": str(Path(lartpc.__file__).parent.parent)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-B", "-c", script, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **place, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


RUN = "from lartpc.cli.main import main\nmain(prog_name='lartpc')"


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """A hits file with waveforms; making it compiles the kernels, so that no test finds a note of that."""
    folder = tmp_path_factory.mktemp("compiled")
    store(folder / "in.h5", table())
    assert lartpc_command("simulate", folder / "in.h5", "-o", folder / "hits.h5", "--waveforms").exit_code == 0
    return folder / "hits.h5"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with `in.h5`, `hits.h5` that exists, and `empty.h5`."""
    monkeypatch.chdir(tmp_path)
    store("in.h5", table())
    store("empty.h5", table([]))
    Path("hits.h5").write_bytes(b"there before")
    return tmp_path


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


def test_examples_of_the_help_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("generate", "simulate", "plot", "info"):
        example = re.search(rf"Example: lartpc ({name} .*)", succeeds(name, "-h"))[1].split()
        succeeds(*example, *(["--events", "4"] if name == "generate" else []))
    assert sorted(os.listdir()) == ["event.png", "hits.h5", "muons.h5"]


def test_demo_writes_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = re.search(r"Example: lartpc (demo .*)", succeeds("demo", "-h"))[1].split()
    printed = succeeds(*example)
    names = ["event.png", "hits.h5", "segments.h5"]
    assert sorted(os.listdir("my-demo")) == ["event.png", "fit", "hits.h5", "segments.h5"]
    assert all(f"my-demo/{name}: " in printed for name in names)
    fitted = json.loads(Path("my-demo/fit/fit.json").read_text())["parameters"]
    assert len(fitted) == 6
    assert all(abs(p["value"] - p["truth"]) < 5.0 * p["error"] for p in fitted.values())
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
        **{name: row.nominal for name, row in TABLE.items()},
        "lifetime": 1500,
        "kb": 0.05,
        "vdrift": None,
    }
    chosen = ("detector", "noise", "seed", "recombination", "thresholds", "lartpc_version")
    assert [attrs[name] for name in chosen] == ["module0", False, 0, "birks", "detector", lartpc.__version__]
    assert len(read_segments("new.h5")) == len(ROWS)


def test_options_change_what_they_say(folder):
    def charge(*options):
        succeeds("simulate", "in.h5", "-o", "new.h5", "--overwrite", *options)
        return read_hits("new.h5").charge.sum(dtype="f8")

    quiet = charge("--no-noise")
    assert charge("--no-noise", "--seed", "5") == quiet
    assert charge() == charge("--seed", "0") != quiet
    assert charge("--seed", "1") != charge("--seed", "0")
    assert charge("--no-noise", "--recombination", "box") != quiet
    assert charge("--no-noise", "--set", "lifetime=300") < 0.9 * quiet
    np.savez("high.npz", keys=np.array([0]), values=np.array([5000.0]), default=1e6)
    assert charge("--no-noise", "--thresholds", "high.npz") == 0
    assert read_attrs("new.h5")["thresholds"] == "pixels"
    Path("detector.yaml").write_text("discrimination_threshold: 1.0e+6\nlifetime: 900\n")
    assert charge("--no-noise", "--detector", "detector.yaml") == 0
    assert read_attrs("new.h5")["detector"] == "detector"
    assert read_attrs("new.h5")["parameters"]["lifetime"] == 900


@pytest.mark.parametrize("rows", [[], [ROWS[OUTSIDE]]])
def test_nothing_to_see_gives_valid_empty_hits_and_a_picture(folder, rows):
    store("some.h5", table(rows))
    printed = succeeds("simulate", "some.h5", "-o", "new.h5", "--waveforms")
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
    assert content["parameters"]["eField"] == {"value": 0.45, "unit": "kV/cm", "meaning": "drift field"}
    assert list(content["parameters"]) == list(TABLE)


def bad_files():
    """Name to segments files with a fault each, and what the line must say."""
    without = np.zeros(2, dtype=[field for field in DTYPE.descr if field[0] != "dEdx"])
    return {
        "no dataset": (lambda path: store(path, table(), "other"), "no dataset 'segments' or 'tracks', found other"),
        "a field missing": (lambda path: store(path, without), "no field 'dEdx', found event_id, segment_id, x_start"),
        "NaN": (lambda path: store(path, table(y_end=np.nan)), "segments row 1: y_end is nan"),
        "infinite": (lambda path: store(path, table(x_start=-np.inf)), "segments row 1: x_start is -inf"),
        "negative dE": (lambda path: store(path, table(dE=-2.0)), "segments row 1: dE is -2"),
        "not HDF5": (lambda path: Path(path).write_text("event,x\n"), "not an HDF5 file"),
        "truncated": (truncated, "HDF5 file is truncated or damaged"),
        "missing": (lambda path: None, "no such file"),
        "a folder": (os.mkdir, "is a folder"),
    }


def truncated(path):
    store(path, table())
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("fault", list(bad_files()))
@pytest.mark.parametrize("command", ["simulate", "plot"])
def test_bad_files_are_refused(folder, fault, command):
    make, message = bad_files()[fault]
    make("bad.h5")
    if command == "plot" and fault not in ("not HDF5", "truncated", "missing", "a folder"):
        message = "no dataset 'hits'"
    assert f"bad.h5: {message}" in refuses(folder, command, "bad.h5", "-o", "new").replace("segments have ", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "efeild=0.5"], "parameter efeild: not known, nearest is eField"),
        (["--set", "lifetime"], "--set lifetime: allowed is NAME=VALUE"),
        (["--set", "lifetime=long"], "parameter lifetime: found 'long', allowed is a number above 0"),
        (["--set", "lifetime="], "parameter lifetime: found ''"),
        (["--set", "lifetime=-5"], "parameter lifetime: found '-5'"),
        (["--set", "eField=nan"], "parameter eField: found 'nan'"),
        (["--set", "temperature=20"], "parameter temperature: found '20', allowed is a number above 83"),
        (["--detector", "nowhere.yaml"], "--detector nowhere.yaml: no such file"),
        (["--layout", "layout.yaml"], "--layout layout.yaml: allowed only with the YAML of a detector"),
        (["--detector", "module0", "--thresholds", "nowhere.npz"], "nowhere.npz: cannot be read"),
        (["--thresholds", "in.h5"], "in.h5: not an npz file"),
        (["--thresholds", "short.npz"], "short.npz: field 'default' is missing"),
        (["--thresholds", "negative.npz"], "negative.npz: values: found -1"),
        (["--gains", "far.npz"], "far.npz: keys: found pixel 78400, allowed are 0 to 78399, those of detector module0"),
        (["--set", "eField=1e-9"], "not enough memory: Unable to allocate"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--seed", "one"], "Invalid value for '--seed'"),
        (["--device", "tpu"], "Invalid value for '--device'"),
        (["--bogus"], "No such option '--bogus'"),
        (["more.h5"], "unexpected extra argument"),
    ],
)
def test_bad_options_are_refused(folder, options, message):
    np.savez("short.npz", keys=np.array([1]), values=np.array([5e3]))
    np.savez("negative.npz", keys=np.array([1]), values=np.array([-1.0]), default=5e3)
    np.savez("far.npz", keys=np.array([1, 78400]), values=np.full(2, 4e-3), default=4e-3)
    assert message in refuses(folder, "simulate", "in.h5", "-o", "new.h5", *options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("lifetme: 900", "nearest is 'lifetime'"),
        ("lifetime: -3", "lifetime: found -3"),
        ("lifetime: [a, b", ""),
        ("lifetime: many", "lifetime: found 'many'"),
        ("adc_counts: 1.5", "adc_counts: found 1.5"),
    ],
)
def test_bad_detector_files_are_refused(folder, content, message):
    Path("bad.yaml").write_text(content)
    for command in (["simulate", "in.h5", "-o", "new.h5"], ["generate", "muons", "-o", "new.h5"], ["info"]):
        line = refuses(folder, *command, "--detector", "bad.yaml")
        assert "bad.yaml" in line and message in line


@pytest.mark.parametrize("command", [["simulate", "in.h5"], ["generate", "muons"], ["plot", "in.h5"]])
def test_outputs_that_cannot_be_are_refused_before_the_input_is_looked_at(folder, command):
    os.mkdir("there")
    assert "hits.h5: exists already" in refuses(folder, *command, "-o", "hits.h5")
    assert "nowhere does not exist" in refuses(folder, *command, "-o", "nowhere/new.h5")
    assert "there: is a folder" in refuses(folder, *command, "-o", "there", "--overwrite")
    assert "Missing option '-o'" in refuses(folder, *command)


def test_the_input_is_never_overwritten(folder):
    assert "in.h5: is the input" in refuses(folder, "simulate", "in.h5", "-o", "./in.h5", "--overwrite")


def test_overwrite_replaces_only_with_something_complete(folder):
    store("bad.h5", table(dE=-1.0))
    refuses(folder, "simulate", "bad.h5", "-o", "hits.h5", "--overwrite")
    succeeds("simulate", "in.h5", "-o", "hits.h5", "--overwrite")
    assert len(read_hits("hits.h5")) > 0


def test_other_bad_words_are_refused(folder, compiled):
    assert "No such command 'simulat'" in refuses(folder, "simulat")
    assert "No such option '--bogus'" in refuses(folder, "--bogus")
    assert "did you mean 'muons'" in refuses(folder, "generate", "muon", "-o", "new.h5")
    assert "Invalid value for '--events'" in refuses(folder, "generate", "muons", "-o", "new.h5", "--events", "-1")
    assert "--event 4: not in" in refuses(folder, "plot", compiled, "-o", "new.png", "--event", "4")
    with h5py.File(compiled) as source, h5py.File("bare.h5", "w") as file:
        for name in ("hits", "segments"):
            source.copy(name, file)
    assert "bare.h5: no attribute 'geometry'" in refuses(folder, "plot", "bare.h5", "-o", "new.png")


@pytest.mark.skipif(cuda_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_refused(folder):
    assert "no CUDA device" in refuses(folder, "simulate", "in.h5", "-o", "new.h5", "--device", "cuda")


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize(
    "command", [["simulate", "in.h5", "--waveforms"], ["generate", "muons", "--events", "1"], ["plot", "made.h5"]]
)
@pytest.mark.parametrize("limit", [100, 1000])
def test_a_full_disk_is_one_line_and_leaves_nothing(folder, compiled, command, limit):
    # a limit on the size of files stands in for a full disk: writes fail in the same place, with another reason
    Path("made.h5").write_bytes(compiled.read_bytes())
    before = contents(folder)
    script = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit},) * 2)\n{RUN}"
    done = program(folder, script, *command, "-o", "new")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lartpc: new: cannot be written: File too large\n"
    assert contents(folder) == before


@pytest.mark.parametrize("place", ["lartpc.simulation.Simulation.hits", "h5py.Group.create_dataset"])
def test_an_interrupt_is_one_line_and_leaves_nothing(folder, place):
    """A real SIGINT, in the midst of the simulation or of writing, with what was there before left alone."""
    module, name, method = place.rsplit(".", 2)
    script = f"""
import os, signal, {module} as module
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start what is in its background without
whole = module.{name}.{method}
def interrupted(*arguments, **keywords):
    result = whole(*arguments, **keywords)
    os.kill(os.getpid(), signal.SIGINT)
    return result
module.{name}.{method} = interrupted
{RUN}"""
    before = contents(folder)
    for output in (["new.h5"], ["hits.h5", "--overwrite"]):
        done = program(folder, script, "simulate", "in.h5", "-o", *output)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "lartpc: interrupted\n")
        assert contents(folder) == before


def test_the_same_command_writes_the_same_bytes_on_any_number_of_threads(folder, compiled):
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
    monkeypatch.setattr("lartpc.kernels.cache.cache_directory", lambda: str(folder))
    done = lartpc_command("simulate", "in.h5", "-o", "new.h5")
    assert done.exit_code == 0
    assert done.stderr.startswith("compiling kernels, once") and done.stderr.count("\n") == 1
    assert "compiling" not in lartpc_command("simulate", "in.h5", "-o", "new.h5").stderr  # fails before
    Path("launch_cpu_lartpc_kernels_quench-0.kernel").write_text("")
    succeeds("simulate", "in.h5", "-o", "new.h5", "--overwrite")


def display(path, event=None, **changes):
    """The figure of a hits file."""
    hits, segments = read_hits(path), read_segments(path)
    arguments = {"waveforms": read_waveforms(path), "threshold": 7000.0, **changes}
    event = busiest_event(hits, segments) if event is None else event
    return event_display(event, hits, segments, Detector.module0(), **arguments)


def test_display_shows_segments_by_dedx_and_pixels_by_adc(compiled):
    hits, segments = read_hits(compiled), read_segments(compiled)
    figure = display(compiled, 7)
    space, *planes = [ax for ax in figure.axes if ax.name == "3d" or ax.images]
    boxes, lines = space.collections
    np.testing.assert_allclose(lines.get_array(), segments.dEdx[segments.event_id == 7])
    assert len(planes) == 2
    shown = {}
    for tpc, ax in enumerate(planes):
        image = ax.images[0].get_array()
        assert image.shape == (280, 140)
        shown |= {(tpc, ix, iy): image[iy, ix] for iy, ix in zip(*np.nonzero(~image.mask), strict=True)}
    expected = {}
    for k in np.flatnonzero(hits.event_id == 7):
        pixel = (hits.tpc[k], hits.ix[k], hits.iy[k])
        expected[pixel] = max(expected.get(pixel, 0), hits.adc[k])
    assert shown == expected
    # pixels are drawn where they are: the track runs along the drift axis at x = -3, y = 5
    extent = planes[0].images[0].get_extent()
    np.testing.assert_allclose(extent, [-31.038, 31.038, -83.8626, 40.2154], atol=2e-3)
    for _, ix, iy in shown:
        assert abs(extent[0] + (ix + 0.5) * 0.4434 + 3.0) < 1.5
        assert abs(extent[2] + (iy + 0.5) * 0.4434 - 5.0) < 1.5


def test_display_shows_the_waveform_with_threshold_and_hits(compiled):
    hits = read_hits(compiled)
    hits = Hits(**{name: column[hits.event_id == 7] for name, column in vars(hits).items()})
    best = np.argmax(hits.charge)
    ax = next(ax for ax in display(compiled, 7).axes if ax.get_ylabel() == "charge [ke]")
    lines = {line.get_label(): line for line in ax.lines}
    of_pixel = hits.pixel_id == hits.pixel_id[best]
    np.testing.assert_allclose(lines["threshold 7 ke"].get_ydata(), 7.0)
    np.testing.assert_allclose(lines["hit: threshold crossed"].get_xdata(), hits.t[of_pixel][0])
    time, charge = lines["hit: charge as read"].get_data()
    np.testing.assert_allclose(time, hits.t[of_pixel] + 1.8)
    np.testing.assert_allclose(charge, hits.charge[of_pixel] / 1e3)
    assert f"ADC {hits.adc[best]:g}" in [text.get_text() for text in ax.texts]
    # the curve, which has no noise, meets the reads within a few times their noise of 0.5 and 0.9 ke
    curve_time, curve = lines["charge since last reset, no noise"].get_data()
    before_reset = [curve[np.flatnonzero(np.isclose(curve_time, t))[0]] for t in time]
    np.testing.assert_allclose(before_reset, charge, atol=4.0)
    assert display(compiled, 7, threshold=None).axes
    labels = [line.get_label() for ax in display(compiled, 7, threshold=None).axes for line in ax.lines]
    assert not any("ke" in label for label in labels)


def test_plot_takes_the_event_with_most_hits_and_works_without_waveforms(folder, compiled):
    hits = read_hits(compiled)
    most = int(np.argmax(np.bincount(hits.event_id)))
    assert f"event {most}, {(hits.event_id == most).sum()} hits" in succeeds("plot", compiled, "-o", "a.png")
    assert "event 8, 0 hits" in succeeds("plot", compiled, "-o", "b.png", "--event", "8")
    succeeds("simulate", "in.h5", "-o", "new.h5")
    succeeds("plot", "new.h5", "-o", "c.png")
    for name in ("a.png", "b.png", "c.png"):
        assert matplotlib.image.imread(name)[..., :3].std() > 0.01
    heights = [matplotlib.image.imread(name).shape[0] for name in ("a.png", "b.png", "c.png")]
    assert heights[0] == heights[1] > heights[2]


# Prints how much the C library maps apart for an array of 16 MB.
MAPPED = """
import ctypes
import numpy as np
{0}
names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
Info = type("Info", (ctypes.Structure,), dict(_fields_=[(name, ctypes.c_size_t) for name in names]))
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
before = mallinfo2().hblkhd
array = np.empty(2**24, dtype=np.uint8)
print(mallinfo2().hblkhd - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="of the GNU library")
def test_only_the_command_lets_the_c_library_keep_memory(folder):
    library = program(folder, MAPPED.format("from lartpc.simulation import Simulation; Simulation()"))
    run = "from lartpc.cli.main import main\ntry: main([])\nexcept SystemExit: pass"
    command = program(folder, MAPPED.format(run))
    assert int(library.stdout) >= 2**24
    assert int(command.stdout.splitlines()[-1]) == 0
