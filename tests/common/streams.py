"""Simulations by the command of files of six events in any order."""

import re

import h5py
from commands import lartpc_command

EVENTS = [40, 3, 7, 8, 5, 2**31]  # not ascending, with gaps
ORDERS = ("together", "ascending", "mixed up")


def simulate(folder, name, output, *options):
    """Simulate a file with noise, waveforms and packets; all datasets of both outputs, and what was printed."""
    files = output / "h.h5", output / "p.h5"
    detector = ["--detector", folder / "now-detector.yaml", "--layout", folder / "now-layout.yaml"]
    outputs = ["-o", files[0], "--packets", files[1], "--waveforms", "--overwrite"]
    done = lartpc_command("simulate", folder / f"{name}.h5", *outputs, *detector, "--seed", 3, *options)
    assert done.exit_code == 0, done.output
    found = {}
    for path in files:
        with h5py.File(path) as file:
            keep = found.setdefault(path.name, {})
            file.visititems(lambda n, o, keep=keep: keep.update({n: o[()]}) if isinstance(o, h5py.Dataset) else None)
    return found, re.sub(r"[\d.]+ s$", "", done.stdout, flags=re.MULTILINE)
