"""What is installed is `lartpc` alone, whole."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kernels", "adjoint", "lartpc", "cli")


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
    expected = {f"lartpc/{path.relative_to(ROOT / 'lartpc')}" for path in (ROOT / "lartpc").rglob("*.py")}
    for layer in ("kernels", "adjoint", "cli"):
        expected |= {f"lartpc/{layer}/{path.relative_to(ROOT / layer)}" for path in (ROOT / layer).rglob("*.py")}
    assert {"lartpc/kernels/pixels/induce.py", "lartpc/adjoint/__init__.py", "lartpc/cli/main.py"} <= expected
    assert {name for name in names if name.startswith("lartpc/")} == expected
    assert wheel.read("lartpc/kernels/pixels/induce.py") == (ROOT / "kernels/pixels/induce.py").read_bytes()
    assert any(name.endswith("LICENSE") for name in names)
    (scripts,) = (wheel.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "lartpc = lartpc.cli.main:main" in scripts
