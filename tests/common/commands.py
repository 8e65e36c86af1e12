"""Commands run in this process or in one of their own, and small files for them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
from click.testing import CliRunner
from samples import protons

import lartpc
from lartpc.cli.main import main
from lartpc.formats.edepsim import write_segments

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
RUN = "from lartpc.cli.main import main\nmain(prog_name='lartpc')"


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
    """Run a command in this process; what goes wrong other than through its exit code is raised."""
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done


def succeeds(*arguments):
    """What a command prints that has nothing to say on stderr."""
    done = lartpc_command(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def refusal(*arguments):
    """The one line on stderr with which a command refuses its input."""
    done = lartpc_command(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("lartpc: ") and done.stderr.count("\n") == 1 and done.stderr.endswith("\n")
    return done.stderr


def refuses(folder, *arguments):
    """The line of a command that must change nothing in `folder`."""
    before = contents(folder)
    line = refusal(*arguments)
    assert contents(folder) == before
    return line


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in Path(folder).rglob("*")}


def environment_with(**changes):
    """That of a process which finds the same lartpc."""
    return {**os.environ, "PYTHONPATH": str(Path(lartpc.__file__).parent.parent), **changes}


def program(folder, script, *arguments, **environment):
    """Run a Python script with the arguments of `lartpc`, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-B", "-c", script, *map(str, arguments)],
        cwd=folder,
        env=environment_with(**environment),
        capture_output=True,
        text=True,
        timeout=300,
    )


def killed_when(done, *arguments):
    """Run a command in a process of its own, and kill -9 it as soon as done() is true."""
    command = [sys.executable, "-m", "lartpc", *map(str, arguments)]
    quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    with subprocess.Popen(command, env=environment_with(NUMBA_NUM_THREADS="1"), **quiet) as process:
        limit = time.monotonic() + 300.0
        while not done():
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def proton_files(folder, number, *options):
    """Segments of so many stopping protons, and the hits that `lartpc simulate` makes of them with `options`."""
    segments, hits = folder / "protons.h5", folder / "hits.h5"
    write_segments(segments, protons(number))
    succeeds("simulate", segments, "-o", hits, *options)
    return segments, hits
