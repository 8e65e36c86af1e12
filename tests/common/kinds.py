"""The kinds of input files: how each is mutated, and what reads it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import small_files
from mutated_hdf5 import mutated_file
from mutations import mutated_json, mutated_npz, mutated_yaml
from small_files import DETECTOR, GENERATIONS, SCAN, TABLES

from lartpc.cli.runs import OF_RUN
from lartpc.detector.larndsim_yaml import KNOWN_KEYS
from lartpc.detector.layout import KNOWN_KEYS as LAYOUT_KEYS


class Kind(NamedTuple):
    """A kind of file; all paths are from the folder of the valid files."""

    valid: str
    path: str  # of the mutated file
    write: Callable  # (draw, content, path): writes the mutated one
    commands: list  # that read it, cheaply
    examples: int  # that are tried where nothing else is said

    def mutate(self, draw, folder):
        path = folder / self.path
        path.parent.mkdir(exist_ok=True)
        self.write(draw, (folder / self.valid).read_bytes(), path)

    def copy(self, folder):
        """The valid file in the place of the mutated one."""
        (folder / self.path).parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / self.valid, folder / self.path)


def clean(folder):
    """Remove what commands wrote, and mutated files."""
    for path in [*Path(folder).glob("new*"), *Path(folder).glob("m-*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def of_hdf5(*only):
    return lambda draw, content, path: mutated_file(draw, content, path, only or None)


def of(mutated, *content):
    return lambda draw, _, path: path.write_bytes(mutated(draw, *content))


def simulate(*options, segments="now.h5"):
    return ["simulate", segments, "-o", "new.h5", *options]


def thresholds(target, *options):
    """What reads a target most quickly."""
    return ["thresholds", "now.h5", target, "-o", "new.npz", *DETECTOR, *options]


YAML = ["--detector", "m-detector.yaml", "--layout", "layout.yaml"]
LAYOUT = ["--detector", "detector.yaml", "--layout", "m-layout.yaml"]
FIT = [
    "calibrate",
    "now.h5",
    "hits.h5",
    "-o",
    "new",
    *DETECTOR,
    "--fit",
    "lifetime,eField",
    "--constrain",
    "m-fit.json",
]
PACKETS = ["--packets", "new-p.h5"]
KINDS = {
    **{
        f"segments, {name}": Kind(
            f"{name}.h5",
            "m-in.h5",
            of_hdf5("segments", "tracks"),
            [simulate(*DETECTOR, *PACKETS, segments="m-in.h5"), ["info", "m-in.h5"]],
            40,
        )
        for name in GENERATIONS
    },
    "particles": Kind(
        "now.h5",
        "m-in.h5",
        of_hdf5("trajectories", "vertices", "mc_hdr", "mc_stack"),
        [simulate(*DETECTOR, *PACKETS, *events, segments="m-in.h5") for events in ([], ["--events", "7"])],
        40,
    ),
    "hits": Kind(
        "hits.h5",
        "m-hits.h5",
        of_hdf5(),
        [thresholds("m-hits.h5"), ["plot", "m-hits.h5", "-o", "new.png"], ["info", "m-hits.h5"]],
        40,
    ),
    "frames": Kind(
        "frames.h5", "m-frames.h5", of_hdf5(), [["plot", "m-frames.h5", "-o", "new.png"], ["info", "m-frames.h5"]], 60
    ),
    "packets": Kind(
        "packets.h5", "m-packets.h5", of_hdf5(), [thresholds("m-packets.h5"), ["info", "m-packets.h5"]], 60
    ),
    "detector": Kind(
        "detector.yaml",
        "m-detector.yaml",
        of(mutated_yaml, small_files.detector(), sorted(KNOWN_KEYS)),
        [["info", *YAML], simulate(*YAML, *PACKETS)],
        100,
    ),
    "layout": Kind(
        "layout.yaml",
        "m-layout.yaml",
        of(mutated_yaml, small_files.layout(), LAYOUT_KEYS),
        [["info", *LAYOUT], simulate(*LAYOUT, *PACKETS)],
        100,
    ),
    **{
        name: Kind(
            f"{name}.npz",
            f"m-{name}.npz",
            of(mutated_npz, TABLES[name]),
            [simulate(*DETECTOR, f"--{name}", f"m-{name}.npz")],
            50,
        )
        for name in TABLES
    },
    "bad channels, chips": Kind(
        "chips.json",
        "m-off.json",
        of(mutated_json, small_files.CHIPS),
        [simulate(*DETECTOR, "--bad-channels", "m-off.json")],
        80,
    ),
    "bad channels, pixels": Kind(
        "pixels.json", "m-off.json", of(mutated_json, [1, 5]), [simulate("--bad-channels", "m-off.json")], 50
    ),
    "response": Kind(
        "response.npz",
        "m-response.npz",
        of(mutated_npz, small_files.response()),
        [simulate(*DETECTOR, "--response", "m-response.npz")],
        80,
    ),
    "fit": Kind(
        "fit.json",
        "m-fit.json",
        of(mutated_json, small_files.FIT),
        [thresholds("hits.h5", "--fit", "m-fit.json"), FIT],
        60,
    ),
    "runs": Kind(
        "runs.yaml",
        "m-runs.yaml",
        of(mutated_yaml, small_files.RUNS, OF_RUN),
        [["calibrate", "m-runs.yaml", "-o", "new", "--fit", "lifetime"]],
        60,
    ),
    "history": Kind(
        "scan/history.h5",
        "m-scan/history.h5",
        of_hdf5(),
        [["scan", "now.h5", "hits.h5", "-o", "m-scan", *SCAN, "--resume"]],
        40,
    ),
}
