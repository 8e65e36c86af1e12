"""Tables of modules with pixels of several pitches: a file for each pitch, or for each module."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import lartpc_command, refusal
from helpers import PITCH, make_segments
from responses import FINE, TRACK, two_tpcs

from lartpc.exceptions import InputError
from lartpc.formats.edepsim import write_segments
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"reach": 15, "height": 1.0}


def modules(*pitches):
    return dataclasses.replace(two_tpcs(pitches), module=np.arange(len(pitches)))


@pytest.fixture
def files(tmp_path):
    """Tables of wide and fine pixels, and another of wide ones."""
    detector = modules(PITCH, FINE)
    for name, pitch, height in (("wide", PITCH, 1.0), ("fine", FINE, 1.0), ("other", PITCH, 1.2)):
        Response.electrostatic(detector, pitch=pitch, reach=15, height=height).write(tmp_path / f"{name}.npz")
    return {name: tmp_path / f"{name}.npz" for name in ("wide", "fine", "other")}


def hits(detector, response):
    from responses import BESIDE

    start = np.array(TRACK[0]) + np.outer(np.arange(len(detector.module)), BESIDE)
    end = np.array(TRACK[1]) + np.outer(np.arange(len(detector.module)), BESIDE)
    return Simulation(detector, response=response)(make_segments(start, end, dE=8.0)).hits


def test_one_a_pitch_or_one_a_module(files):
    detector = modules(PITCH, FINE, PITCH)
    expected = hits(detector, [Response.electrostatic(detector, pitch=p, **SMALL) for p in (FINE, PITCH)])
    for names in (("wide", "fine"), ("wide", "fine", "wide")):
        found = hits(detector, [files[name] for name in names])
        np.testing.assert_array_equal(found.pixel_id, expected.pixel_id)
        np.testing.assert_array_equal(found.charge, expected.charge)
    assert len(np.unique(expected.tpc)) == 3


def test_in_the_order_of_the_modules(files):
    """Not in that of the pitches: the first module's pixels are the finer ones here."""
    detector = modules(FINE, PITCH)
    np.testing.assert_array_equal(
        hits(detector, [files["fine"], files["wide"]]).charge,
        hits(detector, [Response.electrostatic(detector, pitch=p, **SMALL) for p in (FINE, PITCH)]).charge,
    )


@pytest.mark.parametrize(
    "names, message",
    [
        (("fine", "wide"), "fine.npz: bin_size: found 0.0388, allowed is a whole part of the pixel pitch 0.4434"),
        (
            ("wide", "wide", "wide"),
            "wide.npz: bin_size: found 0.04434, allowed is a whole part of the pixel pitch 0.388",
        ),
        (("wide", "fine", "other"), "other.npz: is another table than .*wide.npz, allowed is one for all modules of a"),
        (("wide", "fine", "wide", "fine"), "response: found 4 tables, allowed are 1 or 2 or 3: one, one a pixel pitch"),
        (("wide", "none"), "none.npz, no such file"),
        (("wide",), "found the pixel pitches 0.388, 0.4434 .* allowed is a table for each"),
    ],
)
def test_tables_that_do_not_fit_are_refused(files, names, message):
    files["none"] = Path("none.npz")
    with pytest.raises(InputError, match=message) as failure:
        Simulation(modules(PITCH, FINE, PITCH), response=[files[name] for name in names])
    assert "\n" not in str(failure.value)


def test_tables_of_zeros_make_no_hit(tmp_path):
    detector, paths = modules(PITCH, FINE), []
    for pitch in (PITCH, FINE):
        paths.append(tmp_path / f"{pitch}.npz")
        fields = {"response": np.zeros((15, 15, 200)), "time_tick": 0.1, "drift_length": 1.0, "bin_size": pitch / 10}
        np.savez(paths[-1], **fields)
    assert len(hits(detector, paths)) == 0


def test_the_sampling_of_a_table_alone_is_the_detectors(files, tmp_path):
    """npy files do not say it; larnd-sim's detector files do."""
    detector = modules(PITCH)
    table = Response.electrostatic(detector, time_tick=0.05, **SMALL)
    np.save(tmp_path / "r.npy", table.response)
    fine = dataclasses.replace(detector, response_sampling=0.05)
    assert Response.read(tmp_path / "r.npy", fine).time_tick == 0.05
    with pytest.raises(InputError, match="found a charge of 2 on an electron's own pixel"):
        Response.read(tmp_path / "r.npy", detector)


def test_the_command_takes_several(tmp_path, monkeypatch, files, compiled):
    """--response repeated; or named by a configuration, as is all else."""
    monkeypatch.chdir(tmp_path)
    layouts = {}
    for name, pitch, n in (("wide", 10.0 * PITCH, 8), ("fine", 10.0 * FINE, 9)):
        layouts[name] = {
            "pixel_pitch": pitch,
            "chip_channel_to_position": {
                11000 + 64 * 0 + n * ix + iy if n == 8 else 1000 * (11 + ix) + iy: [ix, iy]
                for ix in range(n)
                for iy in range(n)
            },
            "tile_positions": {1: [-100.0, 0.0, 0.0]},
            "tile_orientations": {1: [1, 1, 1]},
            "tile_indeces": {1: [1, 1]},
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(layouts[name]))
    detector = {"tpc_offsets": [[0, 0, 0], [0, 0, 10.0]], "drift_length": 10.0, "e_field": 0.5}
    (tmp_path / "det.yaml").write_text(yaml.safe_dump(detector))
    start = np.array([(0.1, 0.2, -5.0), (10.1, 0.2, -5.0)])
    write_segments("in.h5", make_segments(start, start + [1.0, 0.5, 0.5], dE=3.0))
    both = ("--detector", "det.yaml", "--layout", "wide.yaml", "--layout", "fine.yaml", "--no-noise")
    two = ("--response", "wide.npz", "--response", "fine.npz")
    assert lartpc_command("simulate", "in.h5", "-o", "a.h5", *both, *two).exit_code == 0
    assert "bin_size" in refusal("simulate", "in.h5", "-o", "b.h5", *both, *two[2:], *two[:2])
    config = {
        "DET_PROPERTIES": "det.yaml",
        "PIXEL_LAYOUT": ["wide.yaml", "fine.yaml"],
        "PIXEL_LAYOUT_ID": [0, 1],
        "RESPONSE": ["wide.npz", "fine.npz"],
        "RESPONSE_ID": [0, 1],
        "LIGHT_LUT": "none.npz",
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"ours": config}))
    done = lartpc_command("simulate", "in.h5", "-o", "b.h5", "--config", "config.yaml:ours", "--no-noise")
    assert (done.exit_code, done.stderr) == (0, "config.yaml:ours: not used: LIGHT_LUT\n")
    from lartpc import read_hits

    a, b = read_hits("a.h5"), read_hits("b.h5")
    assert len(a) > 2 and len(np.unique(a.tpc)) == 2
    np.testing.assert_array_equal(a.charge, b.charge)
    np.testing.assert_array_equal(a.pixel_id, b.pixel_id)
    Path("wide.npz").unlink()
    line = refusal("simulate", "in.h5", "-o", "c.h5", "--config", "config.yaml:ours")
    assert "wide.npz, no such file; allowed is parametric, electrostatic or a table" in line
    done = lartpc_command("simulate", "in.h5", "-o", "c.h5", "--config", "config.yaml", "--response", "parametric")
    assert done.exit_code == 0
