"""Calls of `xp` fit the signatures of the real CuPy, which can be imported where there is no driver."""

import ast
import inspect
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.emulated import cupy as stand_in

pytestmark = [
    pytest.mark.skipif(find_spec("cupy") is None, reason="needs cupy"),
    pytest.mark.filterwarnings("default"),  # CuPy may complain that there is no driver
]
ROOT = Path(__file__).resolve().parents[2]


def calls(source):
    """(line, name, number of arguments without a name or None, names of others) of each call of a namespace."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            of = ast.unparse(of.func if isinstance(of, ast.Call) else of)
            if of in ("xp", "namespace") or of.endswith(".xp"):
                several = any(isinstance(one, ast.Starred) for one in node.args)
                number = None if several else len(node.args)
                yield node.lineno, node.func.attr, number, [one.arg for one in node.keywords if one.arg]


def complaint(cupy, name, number, keywords):
    """Why CuPy would not take a call, None where it would."""
    if not hasattr(cupy, name):
        return f"there is no cupy.{name}"
    called = getattr(cupy, name)
    if isinstance(called, type) and issubclass(called, np.generic):
        return None
    if isinstance(called, cupy.ufunc):
        fits = number in (None, called.nin, called.nargs) and {*keywords} <= {"out", "dtype", "casting"}
        return None if fits else f"cupy.{name} takes {called.nin} arrays, out, dtype and casting"
    signature = inspect.signature(called)
    try:
        signature.bind_partial(*[None] * (number or 0), **dict.fromkeys(keywords))
        if number is not None:
            signature.bind(*[None] * number, **dict.fromkeys(keywords))
    except TypeError as failure:
        return f"cupy.{name}: {failure}"
    return None


def test_every_call_is_one_that_cupy_takes():
    import cupy

    paths = sorted(path for path in (ROOT / "lartpc").rglob("*.py") if not path.is_symlink())
    found = [(path, *call) for path in paths for call in calls(path.read_text())]
    assert len(found) > 150
    complaints = [(path.name, line, complaint(cupy, *call)) for path, line, *call in found]
    assert [one for one in complaints if one[-1]] == []


@pytest.mark.parametrize(
    "source",
    ["xp.zeroes(3)", "self.xp.zeros(3, fill=1)", "namespace(a).isin(x)", "xp.diff(x, more=2)", "xp.maximum(x)"],
)
def test_a_call_that_cupy_does_not_take_is_found(source):
    import cupy

    ((_, *call),) = calls(source)
    assert "cupy." in complaint(cupy, *call)


def test_the_stand_in_has_nothing_that_cupy_has_not():
    import cupy

    functions = {*stand_in.FUNCTIONS.split(), *stand_in.WAITING_FUNCTIONS, "asarray", "ascontiguousarray"}
    assert [name for name in sorted(functions) if not callable(getattr(cupy, name, None))] == []
    methods = {*stand_in.METHODS.split(), *stand_in.WAITING, *stand_in.ATTRIBUTES}
    assert [name for name in sorted(methods) if not hasattr(cupy.ndarray, name)] == []
