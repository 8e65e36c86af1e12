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
