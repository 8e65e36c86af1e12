"""Tables whose rows are not there: named as what they are."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from segment_tables import refused

from lartpc.files import hdf5

ROWS = np.zeros(5, [("a", "f4"), ("b", "i4")])


def read(path):
    with hdf5.open_hdf5(path) as file:
        return hdf5.read_table(file, "rows")


def test_rows_in_other_files(tmp_path):
    """Virtual and external datasets are read where their sources are, and refused where these are missing."""
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["rows"] = ROWS
    layout = h5py.VirtualLayout(5, ROWS.dtype)
    layout[:] = h5py.VirtualSource("source.h5", "rows", 5, ROWS.dtype)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("rows", layout)
    external = [("raw.bin", 0, ROWS.nbytes)]
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("rows", 5, ROWS.dtype, external=external)
    assert len(read(tmp_path / "virtual.h5")) == 5
    os.rename(tmp_path / "source.h5", tmp_path / "moved.h5")
    assert "virtual.h5: 'rows' has its rows in source.h5, which does not exist" in refused(
        read, tmp_path / "virtual.h5"
    )
    assert "external.h5: 'rows' has its rows in raw.bin, which does not" in refused(read, tmp_path / "external.h5")


def test_rows_that_were_never_written(tmp_path):
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file.create_dataset("rows", 5, ROWS.dtype, chunks=(2,))
        file.create_dataset("none", 0, ROWS.dtype)
    assert "'rows' has 5 rows that were never written" in refused(read, tmp_path / "new.h5")
    with hdf5.open_hdf5(tmp_path / "new.h5") as file:
        assert len(hdf5.read_table(file, "none")) == 0


def test_a_filter_that_is_not_there(tmp_path):
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((5,))
        properties.set_filter(32000 + 77, h5py.h5z.FLAG_OPTIONAL, ())
        space, kind = h5py.h5s.create_simple((5,)), h5py.h5t.py_create(ROWS.dtype, logical=True)
        h5py.h5d.create(file.id, b"rows", kind, space, properties).write_direct_chunk((0,), ROWS.tobytes(), 0)
    assert "'rows' is compressed by the HDF5 filter 32077 (without a name), which" in refused(
        read, tmp_path / "packed.h5"
    )


@pytest.mark.skipif(os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() == "FALSE", reason="files are not locked")
def test_a_locked_file(tmp_path):
    with h5py.File(tmp_path / "open.h5", "w") as file:
        file["rows"] = ROWS
    script = "import fcntl, sys; f = open(sys.argv[1], 'rb+'); fcntl.flock(f, fcntl.LOCK_EX); print(); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "open.h5")], **pipes) as other:
        other.stdout.readline()
        line = refused(read, tmp_path / "open.h5")
        other.stdin.close()
    assert "is open in another program" in line and "damaged" not in line
    assert len(read(tmp_path / "open.h5")) == 5


def test_rows_of_which_some_were_never_written(tmp_path):
    """A table may say that it has any number of rows, whatever is in the file."""
    with h5py.File(tmp_path / "sparse.h5", "w") as file:
        made = file.create_dataset("rows", (2**40,), ROWS.dtype, maxshape=(None,), chunks=(1024,))
        made[-1:] = ROWS[:1]
        column = file.create_dataset("column", (2**40,), "f8", chunks=(1024,))
        column[:1] = 1.0
    assert "'rows' has 1099511627776 rows, of which some were never written" in refused(read, tmp_path / "sparse.h5")
    with hdf5.open_hdf5(tmp_path / "sparse.h5") as file:
        assert "'column' has 1099511627776 rows, of which some" in refused(hdf5.read_array, file, "column", "f")


def test_whatever_h5py_raises_is_damage(tmp_path):
    """And what others raise while a file is open is not."""
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["rows"] = ROWS

    def missing(what):
        with hdf5.open_hdf5(tmp_path / "rows.h5") as file:
            return what(file)

    line = refused(missing, lambda file: file["nothing"])
    assert "rows.h5: HDF5 file is truncated or damaged: " in line and "object 'nothing' doesn't exist" in line
    with pytest.raises(KeyError, match="^'nothing'$"):
        missing(lambda file: {}["nothing"])
