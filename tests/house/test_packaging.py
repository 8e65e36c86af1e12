"""What is installed is `lartpc` alone, whole."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from build import ProjectBuilder

import lartpc

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kernels", "adjoint", "lartpc", "cli")
INSIDE = ("kernels", "adjoint", "cli")  # lie beside `lartpc`, and are installed inside it


@pytest.fixture
def checkout(tmp_path):
    """A copy of what is built, with a package planted two levels deep in every layer."""
    source = tmp_path / "checkout"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    for name in LAYERS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        for package in (source / name / "planted", source / name / "planted" / "deeper"):
            package.mkdir()
            (package / "__init__.py").write_text(f"WHERE = {name!r}\n")
    return source


def build(source, *kinds):
    """Build each kind of distribution from the one before it; the names in the last, a wheel, and the wheel."""
    for kind in kinds:
        output = source.parent / f"{source.name}-{kind}"
        made = Path(ProjectBuilder(source).build(kind, output))
        if kind == "sdist":
            shutil.unpack_archive(made, output, filter="data")
            source = output / made.name.removesuffix(".tar.gz")
    wheel = zipfile.ZipFile(made)
    return set(wheel.namelist()), wheel


def without_links(source):
    """Make of the links what a checkout or an archive without symbolic links has: text files."""
    for name in INSIDE:
        link = source / "lartpc" / name
        target = link.readlink()
        link.unlink()
        link.write_text(str(target))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("kinds", [("wheel",), ("sdist", "wheel")], ids=["wheel", "sdist"])
def test_wheel_holds_lartpc_alone(kinds, links, checkout):
    if not links:
        without_links(checkout)
    names, wheel = build(checkout, *kinds)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lartpc"}
    expected = {f"lartpc/{path.relative_to(checkout / 'lartpc')}" for path in (checkout / "lartpc").rglob("*.py")}
    described = {f"lartpc/detector/yaml/{path.name}" for path in (checkout / "lartpc/detector/yaml").glob("*.yaml")}
    assert len(described) == 4
    expected |= described | {"lartpc/py.typed"}
    for layer in INSIDE:
        expected |= {f"lartpc/{path.relative_to(checkout)}" for path in (checkout / layer).rglob("*.py")}
    assert {f"lartpc/{layer}/planted/deeper/__init__.py" for layer in INSIDE} < expected
    assert {"lartpc/planted/deeper/__init__.py", "lartpc/adjoint/__init__.py", "lartpc/cli/main.py"} < expected
    assert {name for name in names if name.startswith("lartpc/")} == expected
    assert wheel.read("lartpc/kernels/planted/deeper/__init__.py") == b"WHERE = 'kernels'\n"
    assert any(name.endswith("LICENSE") for name in names)
    (scripts,) = (wheel.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "lartpc = lartpc.cli.main:main" in scripts


@pytest.mark.slow
def test_builds_leave_nothing_behind(checkout):
    before = contents(checkout)
    for kinds in (("editable",), ("sdist", "wheel"), ("wheel",)):
        names, _ = build(checkout, *kinds)
        assert contents(checkout) == before, kinds
    removed = "lartpc/kernels/planted/deeper/__init__.py"
    assert removed in names
    (checkout / "kernels" / "planted" / "deeper" / "__init__.py").unlink()
    again, _ = build(checkout, "wheel")
    assert again == names - {removed}


def test_editable_install_finds_every_package(checkout):
    names, wheel = build(checkout, "editable")
    (folder,) = (wheel.read(name).decode() for name in names if name.endswith(".pth"))
    script = "import {0}.planted.deeper as d; print(d.WHERE)"
    for layer in LAYERS:
        package = "lartpc" if layer == "lartpc" else f"lartpc.{layer}"
        arguments = [sys.executable, "-B", "-c", script.format(package)]
        environment = {**os.environ, "PYTHONPATH": folder.strip()}
        done = subprocess.run(arguments, env=environment, cwd=checkout.parent, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (f"{layer}\n", "")


@pytest.mark.parametrize("layer", INSIDE)
def test_checkout_has_the_installed_names(layer):
    """So that it runs where nothing is installed, and tools that only read find every import."""
    assert (ROOT / "lartpc" / layer).resolve() == ROOT / layer


@pytest.mark.slow
@pytest.mark.parametrize("arguments, code", [(["--version"], 0), ([], 0), (["simulate", "no.h5"], 2), (["wrong"], 2)])
def test_module_is_the_command(arguments, code, tmp_path):
    """`python -m lartpc` prints and returns what the entry point of the command `lartpc` does."""
    command = ["-c", "import sys; from lartpc.cli.main import main; sys.argv[0] = 'lartpc'; sys.exit(main())"]
    environment = {**os.environ, "PYTHONPATH": str(Path(lartpc.__file__).parent.parent)}
    module, script = (
        subprocess.run(
            [sys.executable, "-B", *how, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        for how in (["-m", "lartpc"], command)
    )
    assert module.returncode == script.returncode == code
    assert (module.stdout, module.stderr) == (script.stdout, script.stderr)
    assert "lartpc" in module.stdout + module.stderr
