"""Detectors of files."""

import pytest
import yaml

from lartpc.detector.detector import Detector


@pytest.fixture
def load(tmp_path):
    """Load a detector from the given contents of its files; contents that are text are written as they are."""

    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    def load(detector, layout=None, **keywords):
        return Detector.load(
            write("detector.yaml", detector), () if layout is None else write("layout.yaml", layout), **keywords
        )

    return load
