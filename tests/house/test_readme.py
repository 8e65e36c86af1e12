"""The programs of the README run, in their order, and print what they promise."""

import re
from pathlib import Path

import pytest
from commands import program, succeeds

README = Path(__file__).resolve().parents[2] / "README.md"
LANGUAGES = ("python", "sh")


def blocks(language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), flags=re.MULTILINE | re.DOTALL)


def run(script, folder):
    """What a program prints, run by a new Python in `folder`."""
    done = program(folder, script)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_python_programs_run(tmp_path):
    first, second, third = blocks("python")
    printed = run(first, tmp_path)
    hits = re.findall(r"^pixel \d+: [\d.]+ us, (\d+) e, (\d+) counts$", printed, flags=re.MULTILINE)
    assert len(hits) == 5
    assert min(int(charge) for charge, _ in hits) >= 7000
    assert 0.3 < float(run(second, tmp_path)) < 1.5
    assert (tmp_path / "hits.h5").stat().st_size > 0
    assert "converged" in run(first + third, tmp_path)


def test_every_block_is_looked_at():
    """A block in a language that no test knows would rot."""
    fences = re.findall(r"^```(\w*)$", README.read_text(), flags=re.MULTILINE)
    assert len(fences) == 2 * sum(len(blocks(language)) for language in LANGUAGES)


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines() if "lartpc " in line])
def test_commands_and_options_exist(line):
    name = re.search(r"\blartpc (\w+)", line)[1]
    listed = succeeds(name, "--help")
    for option in re.findall(r"--[\w-]+", line.partition("lartpc ")[2]):
        assert option in listed
