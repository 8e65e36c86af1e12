"""No launch gives arrays without their names: two exchanged ones would be a silent wrong number."""

import ast
from pathlib import Path

from enumeration import all_kernels

ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = {"launch": 2, "plain": 2, "kernel": 1}  # names of what launches, and how much it takes without a name


def imported(tree):
    """Dotted names by the names that a module gives them."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return {a.asname or a.name: f"{node.module}.{a.name}" for node in found for a in node.names}


def unnamed(source):
    """Lines of the launches of a module that give more than kernel and threads without a name."""
    tree = ast.parse(source)
    names, kernels = imported(tree), {".".join(key) for key in all_kernels()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, *rest = ast.unparse(node.func).split(".")
            dotted = ".".join((names.get(first, first), *rest))
            most = 1 if dotted in kernels else LAUNCHERS.get(dotted.split(".")[-1])
            if most is not None and len(node.args) > most:
                yield node.lineno


def test_every_launch_is_by_name():
    of_kernels = {ROOT / "lartpc" / link for link in ("kernels", "adjoint", "cli")}
    paths = [path for top in ("lartpc", "bench") for path in sorted((ROOT / top).rglob("*.py"))]
    paths = [path for path in paths if not of_kernels & {*path.parents}]
    assert len(paths) > 80
    found = [f"{path.relative_to(ROOT)}:{line}" for path in paths for line in unnamed(path.read_text())]
    assert found == []


def test_a_launch_without_names_is_found():
    source = """
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.losses import mse as mse_kernel
launch(quench, n, x)
tape.launch(quench, n, *arrays, electrons=y)
quench(n, x)
mse_kernel.mse(n, *arrays)
adjoint.kernel(n, x)
launch(quench, n, electrons=y)
quench(n, **arrays)
somewhere.mse(n, x)
"""
    assert list(unnamed(source)) == [4, 5, 6, 7, 8]
