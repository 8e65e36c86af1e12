"""Pictures in files."""

from __future__ import annotations

import os

from matplotlib.figure import Figure

from lartpc.files.atomic import new_file


def write_figure(path: str | os.PathLike, figure: Figure, overwrite: bool = True) -> None:
    """Write a PNG. Raises InputError where the path exists (without `overwrite`) or cannot be written."""
    with new_file(path, overwrite) as temporary:
        figure.savefig(temporary, format="png")
