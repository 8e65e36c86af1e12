"""What a fit reads that another one wrote, where it is not what it should be: one line. And what it says of itself."""

import json
import re

import h5py
import numpy as np
import pytest

from lartpc.exceptions import InputError
from lartpc.fit.assumptions import Assumption
from lartpc.fit.fitfile import read_fit
from lartpc.fit.problem import Evaluation
from lartpc.fit.result import asked
from lartpc.fit.store import read_history, write_history

NAMES = ("eField", "kb")


def history(folder):
    one = Evaluation("fit", -1, np.zeros(2), 1.0, np.zeros(2), np.eye(2), np.eye(2), 0, 1, 0, 1.0)
    write_history(folder, [one, one], NAMES, {"loss": "likelihood"}, False)
    return folder / "history.h5"


def replaced(file, name, *content):
    del file[name]
    if content:
        file[name] = content[0]
    else:
        file.create_group(name)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("values", (), "'values' is a group, allowed is an array of the kind that was written"),
        ("phase", (), "'phase' is a group, allowed is an array of the kind that was written"),
        ("phase", (np.zeros(2),), "'phase' is 1-dimensional, of float64, allowed is an array of the kind"),
        ("hits", (3,), "'hits' is 0-dimensional, of int64, allowed is an array of the kind that was written"),
        ("value", (["a", "b"],), "'value' is 1-dimensional, of object, allowed is an array of the kind"),
        ("value", (np.zeros(3),), "'value' has the shape (3,), allowed is (2,)"),
        ("gradient", (np.zeros((2, 3)),), "'gradient' has the shape (2, 3), allowed is (2, 2)"),
        ("information", (np.zeros((2, 2)),), "'information' has the shape (2, 2), allowed is (2, 2, 2)"),
    ],
)
def test_damaged_history_is_one_line(tmp_path, name, content, told):
    path = history(tmp_path)
    assert len(read_history(tmp_path, {"loss": "likelihood"})) == 2
    with h5py.File(path, "r+") as file:
        replaced(file, name, *content)
    with pytest.raises(InputError, match=re.escape(f"{path}: {told}")):
        read_history(tmp_path, {"loss": "likelihood"})


@pytest.mark.parametrize(("attribute", "content"), [("setup", "[1]"), ("names", "3"), ("setup", "{")])
def test_history_with_other_attributes_is_one_line(tmp_path, attribute, content):
    with h5py.File(history(tmp_path), "r+") as file:
        file.attrs[attribute] = content
    with pytest.raises(InputError, match="is not the history of a fit, so there is nothing to --resume"):
        read_history(tmp_path, {"loss": "likelihood"})


def test_missing_dataset_of_a_history_is_named(tmp_path):
    with h5py.File(history(tmp_path), "r+") as file:
        del file["spread"]
    with pytest.raises(InputError, match="no dataset 'spread', found batch, events"):
        read_history(tmp_path, {"loss": "likelihood"})


def test_fit_is_read_in_one_place(tmp_path):
    path = tmp_path / "fit.json"
    path.write_text(json.dumps({"parameters": {"Ab": {"value": 0.8, "error": None}, "kb": {"value": 1, "error": 2}}}))
    rows, content = read_fit(path, "no fit")
    assert rows == {"Ab": (0.8, None), "kb": (1.0, 2.0)} and list(content) == ["parameters"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 10**5,
        "3",
        "{}",
        '{"parameters": 3}',
        '{"parameters": {"Ab": 3}}',
        '{"parameters": {"Ab": {"value": "x"}}}',
    ],
)
def test_what_is_no_fit_is_one_line(tmp_path, text):
    path = tmp_path / "fit.json"
    path.write_text(text)
    with pytest.raises(InputError, match="^no fit$"):
        read_fit(path, "no fit")


def test_what_is_asked_for_are_alternatives():
    """The most significant first, three by name."""

    def one(name, significance):
        return Assumption(name, 1.0, "us", 0.01, {}, 0.5, significance)

    assert asked([one("a", 4.0), one("b", -4.4)]) == ""
    assert (
        asked([one("a", 4.0), one("b", -5.0)]) == "the target asks for b = 1.5 us, -5.0 of its errors from the 1 taken"
    )
    told = asked([one(name, k) for name, k in (("a", 5.0), ("b", -9.0), ("c", 6.0), ("d", 7.0), ("e", 4.6))])
    assert re.findall(r"(\w) = 1.5 us, (\S+) of", told) == [("b", "-9.0"), ("d", "+7.0"), ("c", "+6.0")]
    assert told.count("; or instead for ") == 3 and told.endswith("; or instead for 2 others")
