"""Wire-Cell's field responses: sign, units, sides of wires, refusals. The files are made here."""

import bz2
import copy
import json

import numpy as np
import pytest

from lartpc.exceptions import InputError
from lartpc.wires.wirecell import read_wirecell

REACH, SAMPLES = 2, 40
IMPACTS = np.arange(6) / 10  # pitches


def tag(plane, wire, impact):
    """A number of each path [e/ns], no two of which are alike."""
    return 1e-5 * (1.0 + plane + 10 * (wire + REACH) + 100 * impact)


def content_of(side=-1.0):
    """Paths on one side of each wire: a pulse of both signs, its size the path's tag, and charge on the wire itself."""
    planes = []
    for plane in range(3):
        paths = []
        for wire in range(-REACH, REACH + 1):
            for k, impact in enumerate(IMPACTS):
                current = np.zeros(SAMPLES)
                current[3:5] = tag(plane, wire, k), -tag(plane, wire, k)
                if (plane, wire) == (2, 0):
                    current[20:25] = -1.02 / 500.0
                place = 3.0 * (wire + side * impact)
                response = {"pitchpos": place, "wirepos": 0.0, "current": {"array": {"elements": current.tolist()}}}
                paths.append({"PathResponse": response})
        shape = {"planeid": plane, "location": 6.0 - 3.0 * plane, "pitch": 3.0, "paths": paths[::-1]}
        planes.append({"PlaneResponse": shape})
    top = {"origin": 100.0, "tstart": 0.0, "period": 100.0, "speed": 0.0016, "planes": planes[::-1]}
    return {"FieldResponse": {"axis": [1.0, 0.0, 0.0], **top}}


def write(path, content):
    text = json.dumps(content).encode()
    path.write_bytes(bz2.compress(text) if path.suffix == ".bz2" else text)
    return path


@pytest.mark.parametrize("name", ["f.json", "f.json.bz2"])
def test_sign_and_units(tmp_path, name):
    read = read_wirecell(write(tmp_path / name, content_of()))
    assert (read.sampling, read.height, read.bins, read.reach) == (0.1, 10.0, 10, REACH)
    assert read.vdrift == pytest.approx(0.16)
    assert read.pitch == pytest.approx((0.3, 0.3, 0.3))
    own = np.abs(read.offsets) < 0.5
    np.testing.assert_allclose(read.charge, [0.0 * own, 0.0 * own, 1.0 * own], atol=1e-12)
    np.testing.assert_allclose(read.current[2][own, 20:25], 2.0)  # 1 e in 0.5 us, positive
    # the first row is that of the wire furthest left, mirrored from the one furthest right or not: see below
    assert read.current[0][0, 3] == pytest.approx(-1e3 * 0.5 * (tag(0, -2, 5) + tag(0, -2, 4)))
    assert read.current[0][0, 4] == -read.current[0][0, 3]


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_bins_are_between_paths_of_one_wire(tmp_path, side):
    """On both sides of half a pitch, and of each wire: the other half is that of the mirrored wire."""
    read = read_wirecell(write(tmp_path / "f.json", content_of(side)))
    for plane, current in enumerate(read.current):
        for row, offset in zip(current, read.offsets, strict=True):
            wire = round(offset)
            within = offset - wire
            of_path = wire if within * side > 0.0 else -wire
            k = int(abs(within) * 10)
            expected = -1e3 * 0.5 * (tag(plane, of_path, k) + tag(plane, of_path, k + 1))
            if (plane, wire) == (2, 0):
                expected /= 1.02
            assert row[3] == pytest.approx(expected)


def test_half_a_pitch_is_not_averaged(tmp_path):
    """The electron that is collected, half a pitch from the wire, and the one that the next wire collects."""
    content = content_of()
    for path in content["FieldResponse"]["planes"][0]["PlaneResponse"]["paths"]:
        path["PathResponse"]["current"]["array"]["elements"][10:12] = (
            [-4e-3, 4e-3] if path["PathResponse"]["pitchpos"] == -1.5 else [0.0, 0.0]
        )
    read = read_wirecell(write(tmp_path / "f.json", content))
    seen = read.offsets[np.abs(read.current[2][:, 10]) > 1e-6]
    np.testing.assert_allclose(seen, [-0.45, 0.45])


def test_what_is_small_is_added_in_all_samples(tmp_path):
    content = content_of()
    for path in content["FieldResponse"]["planes"][2]["PlaneResponse"]["paths"]:
        path["PathResponse"]["current"]["array"]["elements"][7] += 1e-4
    read = read_wirecell(write(tmp_path / "f.json", content))
    np.testing.assert_allclose(read.current[0][:, 7], -0.1 + 0.1 / SAMPLES)
    np.testing.assert_allclose(read.current[0][:, 8], 0.1 / SAMPLES)


def changed(*keys, value):
    """The content with the value at a place of keys, or without it (None)."""
    content = copy.deepcopy(content_of())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    if value is None:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    return content


TOP = ("FieldResponse",)
PLANE = (*TOP, "planes", 0, "PlaneResponse")  # the last, as planes are not in order
PATH = (*PLANE, "paths", 3, "PathResponse")


@pytest.mark.parametrize(
    "content, message",
    [
        ([1, 2], r"found \[1, 2\], allowed is a mapping with FieldResponse"),
        ({"depos": 1}, "FieldResponse is missing, found are depos"),
        (changed(*TOP, "speed", value=None), "FieldResponse: speed is missing, found are axis, origin"),
        (changed(*TOP, "speed", value="fast"), "FieldResponse: speed: found 'fast', allowed is a number"),
        (changed(*TOP, "speed", value=-1.0), "origin, speed: found 100 mm and -1 mm/ns"),
        (changed(*TOP, "origin", value=0.0), "origin, speed: found 0 mm"),
        (changed(*TOP, "period", value=500.0), r"period: found 500, allowed is 100 \[ns\]"),
        (changed(*TOP, "tstart", value=-5.0), r"tstart: found -5, allowed is 0 \[ns\]"),
        (changed(*TOP, "planes", 1, value=None), r"planeid: found \[0, 2\], allowed are \[0, 1, 2\], each once"),
        (changed(*TOP, "planes", value={}), "FieldResponse: planes: found {}, allowed is a list"),
        (changed(*PLANE, "planeid", value=1), r"planeid: found \[0, 1, 1\]"),
        (changed(*PLANE, "planeid", value=1.5), r"planes\[0\]: planeid: found 1.5, allowed is a whole number"),
        (changed(*PLANE, "pitch", value=0.0), "plane 2: pitch: found 0, allowed is a number above 0"),
        (changed(*PLANE, "pitch", value=1e-300), "plane 2: pitchpos: found a path 7.5 mm from the wire"),
        (changed(*PLANE, "paths", 3, value=None), "plane 2: paths: found 29, .* allowed are the same from 0 to 0.5"),
        (changed(*PATH, "pitchpos", value=0.1), "plane 2: paths: found 30"),
        (changed(*PATH, "pitchpos", value=None), r"plane 2: paths\[3\]: pitchpos is missing"),
        (changed(*PATH, "current", value=3), r"plane 2: paths\[3\]: array is missing, found are 3"),
        (changed(*PATH, "current", "array", "elements", value=[1.0]), r"paths\[3\]: elements: found \[1.0\], allowed"),
        (changed(*PATH, "current", "array", "elements", value=["a"] * SAMPLES), r"paths\[3\]: elements: found \['a'"),
        (changed(*PATH, "current", "array", "elements", value=[1e300] * SAMPLES), "up to 1000 in size"),
        (changed(*PATH, "current", "array", "elements", value=[0.01] * SAMPLES), "plane 2: found a charge of -20 for"),
    ],
)
def test_files_that_are_refused(tmp_path, content, message):
    path = write(tmp_path / "f.json", content)
    with pytest.raises(InputError, match=message) as refused:
        read_wirecell(path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


def test_what_is_no_json_is_refused(tmp_path):
    (tmp_path / "f.json.bz2").write_bytes(b"{")
    with pytest.raises(InputError, match="not a JSON file: line 1: Expecting"):
        read_wirecell(tmp_path / "f.json.bz2")
