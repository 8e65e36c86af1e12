"""The glossary has every word once, and every parameter."""

import re
from pathlib import Path

from lartpc.parameters import TABLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


def tables(page):
    """The first cells of the rows of each table of a page, without their heads."""
    found = re.findall(r"(?:^\|.*\n)+", page.read_text() + "\n", flags=re.MULTILINE)
    return [[row.split("|")[1].strip() for row in table.splitlines()[2:]] for table in found]


def described(page):
    """The names in the table of parameters, of which a row may have several."""
    return [name for cell in tables(page)[1] for name in re.findall(r"`(\w+)`", cell)]


def test_every_parameter_is_described():
    assert sorted(described(PAGE)) == sorted(TABLE)


def test_every_word_has_one_row():
    words = [word for cell in tables(PAGE)[0] for word in cell.split(", ")]
    assert len(words) > 50 and len(set(words)) == len(words)
