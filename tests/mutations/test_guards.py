"""What the guard of mutated files is to find: a hang, memory, a traceback, lines, and files that are left."""

from pathlib import Path

import click
import guards
import pytest

import lartpc.cli.main


def after(monkeypatch, folder, work):
    """What is said of a command that does this `work`."""
    monkeypatch.setattr(lartpc.cli.main.main, "commands", {"work": click.command("work")(work)})
    return guards.orderly(folder, "work")


def refusal(text):
    def work():
        raise lartpc.InputError(text)

    return work


def test_an_orderly_end(monkeypatch, tmp_path):
    assert after(monkeypatch, tmp_path, lambda: click.echo("made")) is None
    assert after(monkeypatch, tmp_path, refusal("a.h5: found 1, allowed is 2")) is None
    assert after(monkeypatch, tmp_path, refusal("a.h5: " + "long " * 1000)) is None


def test_no_orderly_end(monkeypatch, tmp_path):
    def left():
        Path(tmp_path / "half").touch()
        raise lartpc.InputError("a.h5: found 1")

    def lines():
        click.echo("a warning", err=True)
        raise lartpc.InputError("a.h5: found 1")

    def silent():
        raise SystemExit(1)

    assert "half" in after(monkeypatch, tmp_path, left)
    assert "a warning" in after(monkeypatch, tmp_path, lines)
    assert "exit code 1" in after(monkeypatch, tmp_path, silent)
    with pytest.raises(ZeroDivisionError):
        after(monkeypatch, tmp_path, lambda: 1 / 0)


def test_time_and_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(guards, "SECONDS", 0.05)

    def hang():
        while True:
            pass

    assert after(monkeypatch, tmp_path, hang) == "a hang"
    assert "not enough memory" in after(monkeypatch, tmp_path, lambda: bytearray(3 * 2**30))
