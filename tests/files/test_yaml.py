"""YAML whose aliases stand for more than there is memory."""

import pytest
from mutations import bomb
from segment_tables import refused

from lartpc.files.yamlfile import read_yaml


@pytest.mark.parametrize("text", [bomb("lifetime"), bomb("fix", 1, "[{{Ab: {}}}]"), "a: &a [*a]", "a: &a {1: [*a]}"])
def test_aliases_of_aliases(tmp_path, text):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    assert "bomb.yaml: stands for more than 1e+06 values by its aliases" in refused(read_yaml, path)


def test_some_aliases_are_fine(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("a: &a [1, 2]\nb: [*a, *a]\nc: {1: *a}\n")
    assert read_yaml(path) == {"a": [1, 2], "b": [[1, 2], [1, 2]], "c": {1: [1, 2]}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("!!bool x", "found 'x', which is no bool"),
        ("!!int zz", "found 'zz', which is no int"),
        ("!!float ''", "found '', which is no float"),
        ("2026-13-45", "found '2026-13-45', which is no timestamp"),
        ("[1, {b: !!int 1:z}]", "found '1:z', which is no int"),
        ("!!int " + "9" * 5000, "..., which is no int"),
        ("!other x", "could not determine a constructor for the tag '!other'"),
    ],
)
def test_values_that_are_not_of_their_tag(tmp_path, text, found):
    path = tmp_path / "tags.yaml"
    path.write_text(f"a: 1\n\nb: {text}\n")
    message = refused(read_yaml, path)
    assert message.startswith(f"{path}: not a YAML file at line 3: ") and message.endswith(found)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"a: \x00\xff")
    assert "Error" not in refused(read_yaml, path)
