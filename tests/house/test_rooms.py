"""Every room is tested, and has tests that are quick: those without the mark `slow`."""

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
LARTPC = TESTS.parent / "lartpc"
LONGEST = 350  # lines of a file


def rooms(folder):
    """The folders of code in a folder."""
    return {path.name for path in folder.iterdir() if len(list(path.rglob("*.py"))) > 1}


def is_slow(node):
    return any("mark.slow" in ast.unparse(decorator) for decorator in node.decorator_list)


def quick_tests(path):
    """Names of the tests of a file that are not marked slow, nor all of them."""
    body = ast.parse(path.read_text()).body
    if any(isinstance(node, ast.Assign) and "mark.slow" in ast.unparse(node) for node in body):
        return []
    tests = (node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))
    return [node.name for node in tests if not is_slow(node)]


def test_every_room_has_quick_tests():
    found = {path.parent.name for path in TESTS.rglob("test_*.py") if quick_tests(path)}
    folders = {path.parent.name for path in TESTS.rglob("test_*.py")}
    assert folders - found == set()
    assert {"charge", "losses", "cli", "plots"} < rooms(LARTPC)
    assert rooms(LARTPC) - {"adjoint", "kernels"} - found == set()
    assert (rooms(TESTS.parent / "kernels") | rooms(TESTS.parent / "adjoint")) - found == set()


def test_a_room_of_slow_tests_is_seen(tmp_path):
    path = tmp_path / "test_a.py"
    path.write_text("@pytest.mark.slow\n@pytest.mark.parametrize('a', [1])\ndef test_a(a):\n    pass\n")
    assert quick_tests(path) == []
    path.write_text("pytestmark = [pytest.mark.slow]\n\n\ndef test_a():\n    pass\n")
    assert quick_tests(path) == []
    path.write_text("def test_a():\n    pass\n\n\ndef helper():\n    pass\n")
    assert quick_tests(path) == ["test_a"]


def test_no_file_of_tests_is_long():
    lines = {path: len(path.read_text().splitlines()) for path in TESTS.rglob("*.py")}
    assert {str(path): n for path, n in lines.items() if n > LONGEST} == {}
