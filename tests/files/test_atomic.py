"""Files appear whole or not at all."""

import os

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
