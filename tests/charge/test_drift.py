import numpy as np
import pytest
from helpers import local

from lartpc.kernels.charge.drift import drift
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.charge.recombination import BIRKS


def drifted(distance, electrons=1e4, time=3.0, dtype=np.float64, **values):
    """charge, arrival, sigma_t, sigma_T of steps at the given distances [cm]."""
    distance = np.atleast_1d(np.asarray(distance, dtype))
    electrons, time = (np.broadcast_to(np.asarray(v, dtype), distance.shape).copy() for v in (electrons, time))
    results = np.zeros((4, len(distance)), dtype)
    clouds = dict(zip(("charge", "arrival", "sigma_t", "sigma_T"), results, strict=True))
    deposits = {"electrons": electrons, "distance": distance, "step_time": time}
    drift(len(distance), **deposits, **local(len(distance), dtype, **values), drift_start=dtype(0.5), **clouds)
    return results


def velocity(**values):
    """[cm/us], from the time between two distances."""
    arrival = drifted([10.5, 0.5], **values)[1]
    return 10 / (arrival[0] - arrival[1])


def test_drift_velocity():
    assert velocity() == pytest.approx(0.1596452, abs=5e-8)
    assert velocity(vdrift=0.1587) == pytest.approx(0.1587, rel=1e-12)
    assert velocity(vdrift=0.1587, eField=0.45) == pytest.approx(0.1587, rel=1e-12)
    assert velocity(temperature=89) == pytest.approx(0.1596452482 * (87.17 / 89) ** 1.5, rel=1e-9)
    E = 0.273
    mobility = 551.6 + 7158.3 * E + 4440.43 * E**1.5 + 4.29 * E**2.5
    mobility /= 1 + 7158.3 / 551.6 * E + 43.63 * E**2 + 0.2053 * E**3
    assert velocity(eField=E, temperature=89) == pytest.approx(mobility * E / 1000, rel=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_charge_time_and_spread(dtype, tolerance):
    """At 0.5 cm the response begins: charge and time are as deposited; one lifetime away 1/e is left."""
    d = np.array([0.5, 0.5 + 0.16 * 40, 30.0, 0.2])
    charge, arrival, sigma_t, sigma_T = drifted(d, dtype=dtype, vdrift=0.16, lifetime=40)
    np.testing.assert_allclose(charge, 1e4 * np.exp(-(d - 0.5) / 0.16 / 40), rtol=5 * tolerance)
    np.testing.assert_allclose(charge[:2], [1e4, 1e4 / np.e], rtol=5 * tolerance)
    np.testing.assert_allclose(arrival, 3 + (d - 0.5) / 0.16, rtol=tolerance)
    np.testing.assert_allclose(sigma_T, np.sqrt(2 * 8.8e-6 * d / 0.16), rtol=tolerance)
    np.testing.assert_allclose(sigma_t, np.sqrt(2 * 4e-6 * d / 0.16) / 0.16, rtol=tolerance)


def test_a_step_at_the_anode_keeps_a_width():
    for column in drifted([0.0, 1e-9]):
        assert np.isfinite(column).all() and (column[0] != 0) and column[0] == pytest.approx(column[1], rel=1e-6)


@pytest.mark.parametrize("sample", ["electron", "proton"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reference_drift(reference, sample, dtype):
    """There one point a segment, at its middle; t_start is the earlier of its two ends."""
    z = np.load(reference / f"reference/larndsim-torch-{sample}.npz")
    s = dict(zip(z["fields"], z["segments"].astype(float).T, strict=True))
    values = dict(zip(z["param_names"], z["params"], strict=True))
    electrons = np.zeros(len(s["dE"]), dtype)
    deposits = {f"step_{k}": s[k].astype(dtype) for k in ("dE", "dEdx")}
    quench(len(electrons), **deposits, **local(len(electrons), dtype, **values), model=BIRKS, electrons=electrons)
    middle, first, last = (30.431 - np.abs(s[k]) for k in ("z", "z_start", "z_end"))
    charge, arrival, sigma_t, sigma_T = drifted(middle, electrons, 0.0, dtype, **values)
    np.testing.assert_allclose(charge, z["n_electrons"], rtol=1e-5)
    np.testing.assert_allclose(arrival, z["t"], rtol=1e-5)
    np.testing.assert_allclose(sigma_T, z["sigma_T"], rtol=1e-5)
    np.testing.assert_allclose(sigma_t * z["vdrift"], z["sigma_L"], rtol=1e-5)
    for k, bound in (("t_start", np.minimum(first, last)), ("t_end", np.maximum(first, last))):
        np.testing.assert_allclose(drifted(bound, 1.0, 0.0, dtype, **values)[1], z[k], rtol=1e-5)
