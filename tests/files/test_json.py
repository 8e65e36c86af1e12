"""JSON files, packed and not."""

import bz2

import pytest

from lartpc.exceptions import InputError
from lartpc.files import jsonfile
from lartpc.files.jsonfile import read_json


@pytest.mark.parametrize("pack", [bytes, bz2.compress])
def test_content(pack, tmp_path):
    path = tmp_path / "any.name"
    path.write_bytes(pack(b'{"a": [1, 2.5, null]}'))
    assert read_json(path) == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"[1,\n2,,]", "not a JSON file: line 2: Expecting value"),
        (b"", "not a JSON file: line 1: Expecting value"),
        (b"\xff\xfe\xfd", "not a JSON file: UnicodeDecodeError"),
        (b"[" * 100_000, "not a JSON file: too many levels of brackets"),
        (b"1" * 10_000, "not a JSON file: ValueError"),
        (b"BZh91 and so on", "not a file of bzip2, which it begins like"),
        (bz2.compress(b"[1, 2]")[:-5], "ends within a block of bzip2, allowed is a whole file"),
        (bz2.compress(b"[1, 2"), "not a JSON file: line 1: Expecting ',' delimiter"),
    ],
)
def test_what_is_no_json_is_told_in_one_line(content, complaint, tmp_path):
    path = tmp_path / "wrong.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as found:
        read_json(path)
    assert str(found.value) == f"{path}: {complaint}"


def test_a_file_that_unpacks_to_too_much(tmp_path, monkeypatch):
    path = tmp_path / "large.json.bz2"
    path.write_bytes(bz2.compress(b" " * 10_000_000))
    monkeypatch.setattr(jsonfile, "MOST", 2**20)
    with pytest.raises(InputError, match="unpacks to more than 1 MB, allowed is less in a file of text"):
        read_json(path)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_json(tmp_path / "none.json")
