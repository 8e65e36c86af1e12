"""Files of tabulated responses: what is written is read, larnd-sim's are read, wrong ones are refused."""

import numpy as np
import pytest
from helpers import PITCH, make_segments, one_tpc
from responses import TRACK, small

from lartpc.exceptions import InputError
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_written_table_reads_the_same(tmp_path):
    path, response = tmp_path / "response.npz", small()
    response.write(path)
    found = Response.read(path, one_tpc())
    np.testing.assert_array_equal(found.response, response.response)
    for name in ("time_tick", "drift_length", "bin_size", "vdrift"):
        assert getattr(found, name) == getattr(response, name)
    with pytest.raises(InputError, match="exists already"):
        response.write(path)
    again = tmp_path / "again.npz"
    response.write(again)
    assert again.read_bytes() == path.read_bytes()


def test_larnd_sim_files(tmp_path):
    """npz without a velocity, and npy, where the arrival is where the charge is collected: the same hits."""
    detector, response = one_tpc(), Response.electrostatic(one_tpc(), reach=15, height=1.0)
    segments = make_segments(*TRACK, dE=8.0)
    expected = Simulation(detector, response=response)(segments).hits
    np.savez(
        tmp_path / "r.npz",
        response=response.response.astype(np.float32),
        time_tick=0.1,
        drift_length=1.0,
        bin_size=0.04434,
    )
    np.save(tmp_path / "r.npy", response.response)
    for name, atol in (("r.npz", 0.01), ("r.npy", 0.3)):
        hits = Simulation(detector, response=Response.read(tmp_path / name, detector))(segments).hits
        np.testing.assert_array_equal(hits.pixel_id, expected.pixel_id)
        np.testing.assert_allclose(hits.t, expected.t, atol=atol)


GOOD = {"response": small().response, "time_tick": 0.1, "drift_length": 1.5, "bin_size": PITCH / 4}
NAN = GOOD["response"].copy()
NAN[1, 2, 3] = np.nan
FAR = GOOD["response"].copy()
FAR[-1, -1, 0] = 1e16


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"response": None}, "field 'response' is missing, found are time_tick, drift_length, bin_size"),
        ({"response": GOOD["response"][0]}, "response: found shape \\(10, 9\\d\\), allowed are three axes"),
        ({"response": GOOD["response"].astype(str)}, "response: found type <U32, allowed are numbers"),
        ({"response": NAN}, "response: found nan at \\[1, 2, 3\\], allowed are finite numbers"),
        ({"response": GOOD["response"][:1]}, "response: found 1 x 10 bins, allowed are 2 x 2 at least"),
        ({"response": FAR}, "found currents that move a charge of 1e\\+15 for one electron in a bin, allowed is"),
        ({"response": np.full((4, 4, 9), 1e300), "time_tick": 1e300}, "that move a charge of inf for one electron"),
        ({"response": 1e-4 * GOOD["response"]}, "found a charge of 0.0001 on an electron's own pixel, allowed is 0.5"),
        ({"time_tick": None}, "field 'time_tick' is missing"),
        ({"time_tick": 0.0}, "time_tick: found 0, allowed is a number above 0"),
        ({"bin_size": [0.1, 0.1]}, "bin_size: found 2 values of type float64, allowed is one number"),
        ({"bin_size": 0.1}, "bin_size: found 0.1, allowed is a whole part of the pixel pitch 0.4434 \\[cm\\]"),
        ({"drift_length": 30.0}, "drift_length: found 30, allowed is up to 1.5"),
        ({"vdrift": np.nan}, "vdrift: found nan, allowed is a number above 0"),
    ],
)
def test_wrong_fields(tmp_path, changes, message):
    path = tmp_path / "response.npz"
    np.savez(path, **{name: value for name, value in {**GOOD, **changes}.items() if value is not None})
    with pytest.raises(InputError, match=f"response.npz: .*{message}") as failure:
        Response.read(path, one_tpc())
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("content", [b"", b"not a table", b"PK\x03\x04 cut off", b"\x93NUMPY\x01\x00"])
def test_no_table_at_all(tmp_path, content):
    path = tmp_path / "response.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not an npy or npz file"):
        Response.read(path, one_tpc())
    with pytest.raises(InputError, match="cannot be read"):
        Response.read(tmp_path, one_tpc())
