"""Files of NumPy that are damaged, or say that they are larger than they are."""

import zipfile

import pytest
from segment_tables import refused

from lartpc.files.npz import load_arrays

HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1e3,), }",
    "{'descr': '<x9', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<f8', 'fortran_order': None, 'shape': (-3,), }",
    "",
]


def array(header):
    text = header.encode() + b" \n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 40


def load(folder, header, packed):
    path = folder / "values.npz"
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("keys.npy", array(header))
    else:
        path.write_bytes(array(header))
    return refused(load_arrays, path, "an npz file", "one with keys", alone="keys")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("header", HEADERS)
def test_headers_that_are_none(tmp_path, header, packed):
    assert "values.npz: not an npz file of numbers, allowed is one with keys" in load(tmp_path, header, packed)


def test_an_array_larger_than_memory(tmp_path):
    line = load(tmp_path, "{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999999,), }", True)
    assert "values.npz: has an array that does not fit into memory, allowed is one with keys" in line
