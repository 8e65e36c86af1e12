"""The recipes of docs/recipes, applied to a copy of the checkout: what they add works."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs" / "recipes").glob("*.md"))}
PAGES.pop("README")
CHECKS = Path(__file__).with_name("recipe_checks.py")
COMMON = ROOT / "tests" / "common"


def blocks(page):
    """(language, file, text) of the fenced blocks of a page."""
    return re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def sides(text):
    """The lines of a diff before and after."""
    lines = [line or " " for line in text.splitlines()]
    assert {line[0] for line in lines} <= set(" +-"), text
    return ["".join(line[1:] + "\n" for line in lines if line[0] in signs) for signs in (" -", " +")]


def apply(page, root):
    """Do what a page says to the files under `root`."""
    for language, name, text in blocks(page):
        path = root / name
        if language == "python":
            assert not path.exists(), name
            path.write_text(text)
            continue
        before, after = sides(text)
        content = path.read_text()
        assert ("\n" + content).count("\n" + before) == 1, f"{name}: not there once:\n{before}"
        path.write_text(("\n" + content).replace("\n" + before, "\n" + after)[1:])


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of the checkout with all recipes."""
    root = tmp_path_factory.mktemp("recipes") / "checkout"
    root.mkdir()
    for name in ("kernels", "adjoint", "lartpc", "cli", "docs"):
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for page in PAGES.values():
        apply(page, root)
    return root


@pytest.fixture(scope="module")
def found(changed):
    """What each check of `recipe_checks` said, by name: '' where all is well. In one process, which compiles once."""
    path = os.pathsep.join((str(changed), str(COMMON)))
    environment = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(changed.parent / "cache")}
    command = [sys.executable, "-W", "error", str(CHECKS)]
    done = subprocess.run(command, cwd=changed.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_pages():
    """Each block has its language and file, and the page's list names it."""
    for name, page in PAGES.items():
        assert page.count("\n```") == 2 * len(blocks(page)) > 0, name
        for language, file, _ in blocks(page):
            assert language in ("python", "diff") and f"`{file}`" in page


def test_they_keep_the_rules_of_style(changed):
    files = sorted({file for page in PAGES.values() for _, file, _ in blocks(page) if file.endswith(".py")})
    for arguments in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
        done = subprocess.run([*command, *files], cwd=changed, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_recipe(name, found):
    assert found[name] == ""
