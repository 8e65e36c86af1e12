"""One line and exit code 2 for whatever is wrong, and nothing written."""

import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import DTYPE, RUN, contents, program, refuses, store, succeeds, table

from lartpc.formats.hitfile import read_hits
from lartpc.kernels.runtime.launch import cuda_available


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
    line = refuses(folder, command, "bad.h5", "-o", "new").replace("segments have ", "")
    assert line.startswith(f"lartpc: bad.h5: {message}") and line.count("bad.h5") == 1


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
        (["more.h5"], "more.h5: no such file"),
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
        ("lifetime: [a, b", "not a YAML file"),
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("place", ["lartpc.simulation.simulation.Simulation.simulate", "h5py.Group.create_dataset"])
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
