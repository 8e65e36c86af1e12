"""What `import lartpc` offers: each name loaded when it is asked for, and known to type checkers and editors."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import lartpc

ROOT = Path(lartpc.__file__).resolve().parent
HEAVY = ("numpy", "numba", "scipy", "h5py", "matplotlib", "click")


def run(script):
    """What a script prints, run by a new Python that finds the same lartpc."""
    command = [sys.executable, "-W", "error", "-c", f"import sys; sys.path.insert(0, {str(ROOT.parent)!r}); {script}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing():
    loaded = f"print([m for m in sys.modules if m.startswith('lartpc.') or m in {HEAVY}])"
    assert run(f"import lartpc; lartpc.__version__; dir(lartpc); {loaded}") == "[]"
    assert run(f"from lartpc import InputError; {loaded}") == "['lartpc.exceptions']"


@pytest.mark.parametrize("name", sorted(lartpc._HOMES))
def test_name_is_what_lives_there(name):
    home = importlib.import_module(f"lartpc.{lartpc._HOMES[name]}")
    assert getattr(lartpc, name) is getattr(home, name)
    assert getattr(lartpc, name).__module__ == home.__name__ and callable(getattr(lartpc, name))
    assert name in dir(lartpc) and name in lartpc.__all__


@pytest.mark.slow
def test_no_module_hides_a_name():
    """Once all modules are imported the names are still those: no module of the top level is called as one of them."""
    top = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert top.isdisjoint(lartpc.__all__)
    script = "import lartpc.fit.calibrate, lartpc.fit.scan, lartpc.generator.generate, lartpc.gradients.gradcheck; "
    names = ("calibrate", "scan", "generate", "gradcheck")
    assert run(script + f"print([type(getattr(lartpc, n)).__name__ for n in {names}])") == str(["function"] * 4)


def test_type_checkers_are_told_the_same():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    told = {alias.name: node.module for node in block.body for alias in node.names}
    assert told == {name: f"lartpc.{home}" for name, home in lartpc._HOMES.items()}
    assert set(lartpc.__all__) == {*told, "__version__"}


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'lartpc' has no attribute 'simulate'"):
        _ = lartpc.simulate
    with pytest.raises(ImportError):
        from lartpc import nothing  # noqa: F401
