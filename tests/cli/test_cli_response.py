"""The command `lartpc response`, and its tables given to `lartpc simulate`."""

import numpy as np
import pytest
from commands import lartpc_command
from helpers import make_segments

from lartpc.detector.detector import Detector
from lartpc.files.hdf5 import new_hdf5
from lartpc.formats.edepsim import file_table
from lartpc.formats.hitfile import read_attrs, read_hits
from lartpc.pixels.response import Response
from lartpc.wires.fieldresponse import FieldResponse

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
def test_commands(tmp_path):
    """lartpc response, and a simulation with it by name and by file: the same hits, more than without it."""
    table, segments = tmp_path / "response.npz", tmp_path / "segments.h5"
    done = lartpc_command("response", "-o", table)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "45 x 45 bins of 0.04434 cm, 315 samples of 0.1 us from 5 cm on; charge within" in done.stdout
    assert Response.read(table, Detector.module0()).response.shape == (45, 45, 315)
    with new_hdf5(segments) as file:
        file["segments"] = file_table(make_segments((3.0, 5.0, 12.0), (4.2, 5.1, 12.6), dE=6.0))
    hits = []
    for k, response in enumerate((table, "electrostatic", "parametric")):
        output = tmp_path / f"hits{k}.h5"
        done = lartpc_command("simulate", segments, "-o", output, "--no-noise", "--response", response)
        assert done.exit_code == 0, done.stderr
        hits.append(read_hits(output))
        assert read_attrs(output)["response"] == str(response)
    np.testing.assert_array_equal(hits[0].charge, hits[1].charge)
    np.testing.assert_array_equal(hits[0].t, hits[1].t)
    assert not np.array_equal(hits[1].t, hits[2].t)


def test_a_file_is_of_one_pitch(tmp_path):
    done = lartpc_command("response", "-o", tmp_path / "r.npz", "--detector", "2x2")
    assert done.exit_code == 2
    assert "pitches 0.388, 0.4434 [cm] in detector 2x2, a table holds one; allowed is a table" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r.npz").exists()


def test_a_wrong_table_is_one_line(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with new_hdf5(tmp_path / "segments.h5") as file:
        file["segments"] = file_table(make_segments((3.0, 5.0, 12.0), (4.2, 5.1, 12.6), dE=6.0))
    for name, message in (("bad.npz", "not an npy or npz file"), ("none.npz", "no such file; allowed is parametric")):
        output = tmp_path / "hits.h5"
        done = lartpc_command("simulate", tmp_path / "segments.h5", "-o", output, "--response", tmp_path / name)
        assert done.exit_code == 2
        assert message in done.stderr and done.stderr.count("\n") == 1
        assert not output.exists()


def test_wires(tmp_path):
    """The name of a detector of wires: its field response; what is of pixels is refused."""
    path = tmp_path / "field.npz"
    done = lartpc_command("response", "microboone", "-o", path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"{path}: 3 planes, 21 wires of 10 bins, " in done.stdout and "cm/us; all electrons end on" in done.stdout
    assert FieldResponse.read(path).pitch == (0.3, 0.3, 0.3)
    for options in (("--gap", "0.1"), ("--detector", "module0"), ("--set", "eField=0.4")):
        done = lartpc_command("response", "microboone", "-o", tmp_path / "none.npz", *options)
        assert done.exit_code == 2
        assert f"{options[0]}: found with microboone, allowed only for pixels" in done.stderr
    done = lartpc_command("response", "argoneut", "-o", tmp_path / "none.npz")
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert not (tmp_path / "none.npz").exists()
