"""Who may import whom: rooms import downwards only, and each library has its room."""

import ast
import sys
from pathlib import Path

import pytest

import lartpc

ROOT = Path(__file__).resolve().parents[2]
# The rooms of lartpc from the ground up: each may import itself and those before it.
ROOMS = (
    "__init__ blas exceptions checks arrays parameters settings contracts data files autodiff detector charge "
    "response pixels wires frontend formats generator simulation gradients losses goodness fit reconstruction plots"
).split()
STAGES = ("charge", "response", "pixels", "wires", "frontend", "losses")  # rooms that have kernels
WHOLE = ("simulation", "gradients", "losses")  # rooms that know all stages
OUTSIDE = {"numba", "numpy", "math", "typing"}  # what kernels and adjoints may import from elsewhere
LAUNCHER = sys.stdlib_module_names | {"cupy", "numba_cuda"}  # and the launcher besides
PUBLIC = {f"lartpc.{home}.{name}" for name, home in lartpc._HOMES.items()}  # imported as lartpc.NAME by who is outside
HOMES = {
    "matplotlib": ("plots",),
    "h5py": ("files", "formats"),
    "yaml": ("files",),
    "click": ("cli",),
    "tqdm": ("cli",),
}


def files_of(root):
    """Every file of the project with its package, top folder and room."""
    for top in ("kernels", "adjoint", "lartpc", "cli"):
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root / top).parts
            if top == "lartpc" and parts[0] in ("kernels", "adjoint", "cli"):
                continue  # links to the other folders
            package = ".".join(["lartpc"] * (top != "lartpc") + [top, *parts[:-1]])
            yield path, package, (top, parts[0].removesuffix(".py"))


def imports(path, package):
    """Dotted names that a module of `package` imports; of `from a import b` both a and a.b, as b may be a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def home_of(name):
    """(top folder, room) of a dotted name within lartpc."""
    first, second = (*name.split(".")[1:3], "", "")[:2]
    return (first, second) if first in ("kernels", "adjoint", "cli") else ("lartpc", first)


def allowed(home, name, path):
    """Whether a file at `home` may import `name`."""
    (top, room), library = home, name.split(".")[0]
    if library != "lartpc":
        if top in ("kernels", "adjoint"):
            launcher = (top, room) == ("kernels", "runtime") and path.name in ("launch.py", "cache.py", "counted.py")
            return library in OUTSIDE or (launcher and library in LAUNCHER)
        return library not in HOMES or top in HOMES[library] or room in HOMES[library]
    to_top, to_room = home_of(name)
    if top == "kernels":
        return to_top == "kernels"
    if top == "adjoint":
        return to_top in ("kernels", "adjoint")
    if top == "cli":
        return name not in PUBLIC and (to_top in ("cli", "lartpc") or to_room == "runtime")
    if to_top == "cli":
        return room == "__main__"
    if room == "__init__":  # where the public names live; they are imported when asked for
        return to_room in ROOMS
    if to_top == "lartpc":
        return name == "lartpc.__version__" or (to_room in ROOMS and ROOMS.index(to_room) <= ROOMS.index(room))
    if to_room == "runtime" or (room, to_top, to_room) == ("autodiff", "adjoint", "pairs"):
        return True
    return room in WHOLE or (room == to_room and room in STAGES)


def forbidden(root):
    """'file imports name' for every import that goes up, sideways, or out where it must not."""
    return [
        f"{path.relative_to(root)} imports {name}"
        for path, package, home in files_of(root)
        for name in imports(path, package)
        if not allowed(home, name, path)
    ]


def test_imports_go_down_only():
    assert forbidden(ROOT) == []


def test_every_room_is_known():
    assert {home[1] for _, _, home in files_of(ROOT) if home[0] == "lartpc"} <= {*ROOMS, "__main__"}


@pytest.mark.parametrize(
    "folder, line",
    [
        ("kernels/a/b", "from lartpc.adjoint.charge import drift"),
        ("kernels/a/b", "from ....exceptions import InputError"),
        ("kernels/a/b", "import lartpc.parameters"),
        ("kernels/a/b", "from lartpc import adjoint"),
        ("kernels/a/b", "import scipy.special"),
        ("kernels/a/b", "def f():\n    import os"),
        ("adjoint/a/b", "from lartpc.exceptions import InputError"),
        ("adjoint/a/b", "import h5py"),
        ("lartpc/fit/a", "from lartpc.cli.main import main"),
        ("lartpc/fit/a", "from ... import cli"),
        ("lartpc/fit/a", "import matplotlib.figure"),
        ("lartpc/fit/a", "import h5py"),
        ("lartpc/fit/a", "from lartpc.kernels.pixels.pair import pair"),
        ("lartpc/data/a", "from lartpc.kernels.charge.drift import drift"),
        ("lartpc/files/a", "from lartpc.detector.detector import Detector"),
        ("lartpc/autodiff/a", "from lartpc.kernels.charge.drift import drift"),
        ("lartpc/autodiff/a", "from lartpc.adjoint.charge.drift import drift_adjoint"),
        ("lartpc/charge/a", "from lartpc.kernels.pixels.pair import pair"),
        ("lartpc/charge/a", "from ...pixels.parametric import memory"),
        ("lartpc/detector/a", "import yaml"),
        ("lartpc/formats/a", "from lartpc.simulation.simulation import Simulation"),
        ("lartpc/formats/a", "from lartpc.fit.calibrate import calibrate"),
        ("lartpc/formats/a", "import click"),
        ("lartpc/simulation/a", "from lartpc.gradients.trace import Trace"),
        ("lartpc/simulation/a", "from tqdm import tqdm"),
        ("lartpc/losses/a", "from lartpc.fit.problem import Problem"),
        ("lartpc/losses/a", "from lartpc.goodness.verdict import judge"),
        ("lartpc/goodness/a", "from lartpc.fit.target import Target"),
        ("lartpc/goodness/a", "from lartpc.kernels.pixels.pair import pair"),
        ("cli/a", "from lartpc.kernels.charge.drift import drift"),
        ("cli/a", "import yaml"),
        ("cli/a", "from lartpc.simulation.simulation import Simulation"),
        ("lartpc/detector/a", "from lartpc import Simulation"),
        ("lartpc/fit/a", "import lartpc"),
    ],
)
def test_import_that_must_not_be_is_found(folder, line, tmp_path):
    fine = tmp_path / "kernels/charge/fine.py"
    fine.parent.mkdir(parents=True)
    fine.write_text("import math\nimport numpy as np\nfrom lartpc.kernels.runtime import slots\n")
    assert forbidden(tmp_path) == []
    wrong = tmp_path / folder / "wrong.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text(line + "\n")
    (found,) = forbidden(tmp_path)
    assert found.startswith(f"{folder}/wrong.py imports ")
