import numpy as np
import pytest

from lartpc.charge.tables import make_tables
from lartpc.detector.detector import Detector
from lartpc.kernels.charge.split import count_pieces, count_steps, pieces, split
from lartpc.parameters import Parameters
from lartpc.settings import Settings

DETECTOR = Detector.module0()  # x -31.039 to 31.039, y -83.863 to 40.215, z from 0.15875 to 30.431 and mirrored


def steps(start, end, dtype=np.float64, step_length=3.0):
    """Of one segment of 2 MeV at 5 us: counts by TPC, and x, y, distance, dE, dEdx, time of its steps."""
    tables = make_tables(DETECTOR, Parameters(), Settings(), dtype, np)
    start, end = np.array([start], dtype), np.array([end], dtype)
    line = {"start": start, "end": end, "tpcs": tables.tpcs}
    both = np.arange(2)
    n = np.zeros(1, dtype=np.int64)
    count_pieces(1, **line, wanted=both, piece_count=n)
    segment, tpc, of_piece = np.zeros((3, n[0]), dtype=np.int64)
    found = {"piece_segment": segment, "piece_tpc": tpc}
    pieces(1, **line, wanted=both, first_piece=np.array([0, n[0]]), **found)
    count_steps(n[0], **line, step_length=dtype(step_length), **found, step_count=of_piece)
    of_step = {f"step_{name}": np.repeat(array, of_piece) for name, array in (("segment", segment), ("tpc", tpc))}
    of_step["step_number"] = np.concatenate([np.arange(k) for k in of_piece] or [np.zeros(0, dtype=np.int64)])
    pixel, columns = np.zeros((2, of_piece.sum()), dtype=np.int64), np.zeros((6, of_piece.sum()), dtype)
    deposit = {name: np.array([v], dtype) for name, v in (("dE", 2.0), ("dEdx", 3.0), ("time", 5.0))}
    rules = {"step_length": dtype(step_length), "gauss_point": tables.gauss_point, "gauss_weight": tables.gauss_weight}
    of_steps = dict(zip(split.outputs, (*pixel, *columns), strict=True))
    split(of_piece.sum(), **line, **deposit, **rules, **of_step, **of_steps)
    edge = -1e-6 * DETECTOR.pitch[0]
    assert (columns[:2] >= edge).all() and (columns[:2] <= DETECTOR.pitch[0] - edge).all()
    columns[:2] += pixel * DETECTOR.pitch[0]
    return np.bincount(tpc, of_piece, 2).astype(np.int64), columns


LINES = {
    "generic": ((3.0, 5.0, 4.0), (4.0, 3.0, 5.5)),
    "short": ((3.0, 5.0, 4.0), (3.001, 5.001, 4.0)),
    "middling": ((3.0, 5.0, 4.0), (3.02, 5.0, 4.01)),
    "along the drift": ((3.0, 5.0, -4.0), (3.0, 5.0, -29.0)),
    "parallel to the plane": ((-20.0, -80.0, 30.4), (9.0, -80.0, 30.4)),
}


@pytest.mark.parametrize("line", LINES)
def test_steps_are_the_line(line):
    """Energy and the first four moments of the position are those of the uniform line."""
    start, end = (np.array(p) for p in LINES[line])
    count, (x, y, distance, dE, dEdx, time) = steps(start, end)
    tpc = int(start[2] > 0)
    assert count[tpc] == len(x) and count[1 - tpc] == 0
    z = DETECTOR.z_anode[tpc] + distance * (1 if tpc == 0 else -1)
    point = np.stack((x + DETECTOR.x_lo[tpc], y + DETECTOR.y_lo[tpc], z), axis=1)
    assert dE.sum() == pytest.approx(2.0, rel=1e-12)
    np.testing.assert_allclose(dE @ point / 2, (start + end) / 2, rtol=1e-12)
    along = (point - start) @ (end - start) / np.sum((end - start) ** 2)
    np.testing.assert_allclose(point, start + along[:, None] * (end - start), atol=1e-12)
    for n in (2, 3, 4, 5) if len(x) > 2 else (2, 3) if len(x) > 1 else ():
        assert dE @ along**n / 2 == pytest.approx(1 / (n + 1), rel=1e-10)
    assert (dEdx == 3.0).all() and (time == 5.0).all()


def test_no_length_is_one_step():
    count, (x, y, distance, dE, *_) = steps((3.0, 5.0, -4.0), (3.0, 5.0, -4.0))
    assert count.tolist() == [1, 0] and dE[0] == 2.0
    np.testing.assert_allclose((x[0] + DETECTOR.x_lo[0], y[0] + DETECTOR.y_lo[0], distance[0] - 4), (3, 5, 22.431))


def test_steps_are_as_short_as_the_diffusion_asks():
    """Number of steps: with the length, inversely with step_length, fewer far from the anode, where charge spreads."""
    n = {h: len(steps((3.0, 5.0, 4.0), (23.0, 5.0, 4.0), step_length=h)[1][0]) for h in (3.0, 1.5)}
    sigma = np.sqrt(2 * 8.8e-6 * 26.4 / 0.15965)
    assert n[3.0] == pytest.approx(3 * 20 / sigma / 3.0, rel=0.03)
    assert n[1.5] == pytest.approx(2 * n[3.0], rel=0.02)
    near = len(steps((3.0, 5.0, 27.0), (23.0, 5.0, 27.0))[1][0])
    assert near == pytest.approx(n[3.0] * np.sqrt(26.431 / 3.431), rel=0.03)
    assert len(steps((3.0, 5.0, 30.43), (23.0, 5.0, 30.43))[1][0]) < 5000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("start", "end", "fractions"),
    [
        ((0.0, 0.0, -0.84125), (0.0, 0.0, 1.15875), (0.34125, 0.5)),  # 2 cm through the cathode of 0.3175
        ((0.0, 0.0, 40.0), (0.0, 0.0, 0.0), (0.0, 30.27225 / 40)),  # through the anode, into the cathode
        ((30.0, 1.0, 5.0), (34.0, 1.0, 5.0), (0.0, 1.039 / 4)),
        ((31.0, 41.0, 5.0), (32.0, 40.0, 5.0), (0.0, 0.0)),  # past a corner
        ((50.0, 0.0, 5.0), (-50.0, 0.0, 5.0), (0.0, 62.078 / 100)),
        ((40.0, 0.0, 5.0), (40.0, 0.0, 5.0), (0.0, 0.0)),
        ((0.0, 0.0, 0.1), (0.0, 1.0, -0.1), (0.0, 0.0)),  # in the cathode
    ],
)
def test_each_tpc_has_the_part_inside(start, end, fractions, dtype):
    count, (x, y, distance, dE, *_) = steps(start, end, dtype)
    energy = dE[: count[0]].sum(), dE[count[0] :].sum()
    np.testing.assert_allclose(energy, np.multiply(fractions, 2.0), rtol=3e-6 if dtype == np.float32 else 1e-9)
    assert (np.array(fractions) > 0).tolist() == (count > 0).tolist()
    assert (distance > 0).all() and (distance < 30.2723).all()
    assert (x > 0).all() and (x < 62.078).all() and (y > 0).all() and (y < 124.078).all()
