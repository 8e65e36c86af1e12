"""Files appear whole or not at all."""

import os
import subprocess
import sys

import numpy as np
import pytest
from segment_tables import refused

from lartpc.files import hdf5
from lartpc.files.atomic import new_file


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "out"
    with new_file(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent  # so that renaming cannot fail for another file system
        assert not path.exists()
    assert path.read_text() == "new"
    for interruption in (KeyboardInterrupt, ValueError, SystemExit):
        with pytest.raises(interruption), new_file(path, overwrite=True) as temporary:
            temporary.write_text("half")
            raise interruption
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_an_output_that_cannot_be_is_refused_before_any_work(tmp_path):
    def enter(*arguments):
        with new_file(*arguments):
            raise AssertionError("entered")

    (tmp_path / "there").write_text("old")
    assert "there: exists already" in refused(enter, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "old"
    assert "is a folder" in refused(enter, tmp_path, True)
    assert "nowhere does not exist" in refused(enter, tmp_path / "nowhere" / "out")


def test_an_interrupt_while_writing_hdf5_leaves_nothing(tmp_path):
    path = tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt), hdf5.new_hdf5(path) as file:
        file["a"] = np.arange(10)
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_links_are_written_through(tmp_path):
    """Also where what they point to does not exist yet; a link to a device or in a circle is refused."""
    (tmp_path / "other").mkdir()
    for name in ("there", "new"):
        (tmp_path / name).symlink_to(tmp_path / "other" / name)
    (tmp_path / "other" / "there").write_text("old")
    assert "there: exists already" in refused(write, tmp_path / "there")
    write(tmp_path / "there", True)
    write(tmp_path / "new")
    for name in ("there", "new"):
        assert (tmp_path / name).is_symlink() and (tmp_path / "other" / name).read_text() == "new"
    (tmp_path / "device").symlink_to(os.devnull)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("device", "circle"):
        assert "is a folder or device" in refused(write, tmp_path / name, True)
        assert (tmp_path / name).is_symlink()
    assert sorted(os.listdir(tmp_path / "other")) == ["new", "there"]


def write(path, overwrite=False):
    with new_file(path, overwrite) as temporary:
        temporary.write_text("new")


def test_one_of_two_that_write_the_same_fails(tmp_path):
    """Without overwrite, whoever is first: the other replaces nothing."""
    path = tmp_path / "out"

    def late():
        with new_file(path) as temporary:
            temporary.write_text("late")
            path.write_text("first")

    assert "out: exists already" in refused(late)
    assert path.read_text() == "first" and os.listdir(tmp_path) == ["out"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    """By the next one with this output; not what others still write, also on other machines, nor other files."""
    path = tmp_path / "out.h5"
    with new_file(path, overwrite=True) as temporary:
        name = temporary.name
    path.unlink()
    own = str(os.getpid())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = {name.replace(own, "1"), name.replace(f"-{own}", f"elsewhere-{dead.pid}"), ".other.h5.part"}
    for one in (*kept, name.replace(own, str(dead.pid))):
        (tmp_path / one).write_text("half")
    write(path)
    assert set(os.listdir(tmp_path)) == {"out.h5", *kept}
