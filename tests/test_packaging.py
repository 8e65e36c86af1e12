"""What is installed is `lartpc` alone, whole; and imports go down only: cli -> lartpc -> adjoint -> kernels."""

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("kernels", "adjoint", "lartpc", "cli")  # each may import itself and those before it
OUTSIDE = {"numba", "numpy", "math", "typing"}  # what kernels and adjoints may import from elsewhere
LAUNCHER = sys.stdlib_module_names | {"cupy", "numba_cuda"}  # and the launcher besides


def build(tmp_path, *options):
    """The names in the wheel of a copy of the sources, and the wheel."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in LAYERS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", tmp_path, source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.mark.parametrize("options", [("--wheel",), ()], ids=["from the folder", "from the source distribution"])
def test_wheel_holds_lartpc_alone(options, tmp_path):
    wheel = build(tmp_path, *options)
    names = set(wheel.namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lartpc"}
    expected = {f"lartpc/{path.name}" for path in (ROOT / "lartpc").glob("*.py")}
    for layer in ("kernels", "adjoint", "cli"):
        expected |= {f"lartpc/{layer}/{path.name}" for path in (ROOT / layer).glob("*.py")}
    assert {"lartpc/kernels/induce.py", "lartpc/adjoint/__init__.py", "lartpc/cli/main.py"} <= expected
    assert {name for name in names if name.startswith("lartpc/")} == expected
    assert wheel.read("lartpc/kernels/induce.py") == (ROOT / "kernels" / "induce.py").read_bytes()
    assert any(name.endswith("LICENSE") for name in names)
    (scripts,) = (wheel.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "lartpc = lartpc.cli.main:main" in scripts


def imports(path, package):
    """Dotted names that a module of `package` imports; of `from a import b` both a and a.b, as b may be a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def layer_of(name):
    """The layer of a dotted name within lartpc."""
    second = name.split(".")[1:2]
    return second[0] if second and second[0] in LAYERS else "lartpc"


def forbidden(root):
    """'file imports name' for every import that goes up, or out where it must not."""
    found = []
    for layer in LAYERS:
        package = "lartpc" if layer == "lartpc" else f"lartpc.{layer}"
        for path in sorted((root / layer).glob("*.py")):
            for name in imports(path, package):
                top = name.split(".")[0]
                if top == "lartpc":
                    allowed = LAYERS.index(layer_of(name)) <= LAYERS.index(layer)
                else:
                    launcher = layer == "kernels" and path.name in ("launch.py", "cache.py")
                    allowed = layer in ("lartpc", "cli") or top in OUTSIDE or (launcher and top in LAUNCHER)
                if not allowed:
                    found.append(f"{layer}/{path.name} imports {name}")
    return found


def test_imports_go_down_only():
    assert forbidden(ROOT) == []


@pytest.mark.parametrize(
    "layer, line",
    [
        ("kernels", "from lartpc.adjoint import drift"),
        ("kernels", "from ..errors import InputError"),
        ("kernels", "import lartpc.parameters"),
        ("kernels", "from lartpc import adjoint"),
        ("kernels", "import scipy.special"),
        ("kernels", "def f():\n    import os"),
        ("adjoint", "from lartpc.errors import InputError"),
        ("adjoint", "import h5py"),
        ("lartpc", "from .cli.main import main"),
        ("lartpc", "from . import cli"),
    ],
)
def test_import_that_goes_up_is_found(layer, line, tmp_path):
    for name in LAYERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "fine.py").write_text("import math\nimport numpy as np\nfrom lartpc.kernels import slots\n")
    assert forbidden(tmp_path) == []
    (tmp_path / layer / "wrong.py").write_text(line + "\n")
    (found,) = forbidden(tmp_path)
    assert found.startswith(f"{layer}/wrong.py imports ")
