import numpy as np
import pytest
from checks import RANDOM, assert_agree, check
from helpers import local

from lartpc.kernels.charge.models import BIRKS, BOX
from lartpc.kernels.charge.quench import quench
from lartpc.parameters import Parameters

DEDX = np.array([0.0, 0.5, 2.1, 10.0, 1e3, 1e6])


def electrons(dE, dEdx, model, dtype=np.float64, **values):
    dE, dEdx = np.broadcast_arrays(*np.atleast_1d(np.asarray(dE, dtype), np.asarray(dEdx, dtype)))
    result = np.zeros(dE.size, dtype)
    quench(
        dE.size,
        step_dE=dE.copy(),
        step_dEdx=dEdx.copy(),
        **local(dE.size, dtype, **values),
        model=model,
        electrons=result,
    )
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", [{}, {"Ab": 0.85, "kb": 0.06, "eField": 0.46, "lArDensity": 1.4}])
def test_birks(dtype, values):
    p = Parameters(**values)
    expected = 42370 * 0.3 * p.Ab / (1 + p.kb * DEDX / (p.eField * p.lArDensity))
    np.testing.assert_allclose(electrons(0.3, DEDX, BIRKS, dtype, **values), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", [{}, {"alpha": 0.9, "beta": 0.19, "eField": 0.46, "lArDensity": 1.4}])
def test_box(dtype, values):
    p = Parameters(**values)
    xi = p.beta * DEDX[1:] / (p.eField * p.lArDensity)
    expected = 42370 * 0.3 * np.log(p.alpha + xi) / xi
    np.testing.assert_allclose(electrons(0.3, DEDX[1:], BOX, dtype, **values), expected, rtol=2e-5)


def test_box_is_never_negative():
    """Where alpha + xi is below 1 the logarithm is; there nothing escapes."""
    assert electrons(0.3, [0.0, 1e-6, 0.1, 0.2333], BOX).tolist() == [0.0] * 4
    assert electrons(0.3, 0.2334, BOX) > 0
    assert electrons(0.3, 1e-6, BOX, alpha=1.1) > 0


def test_minimum_ionizing_particle():
    """At 2.1 MeV/cm and 0.5 kV/cm both models leave 70 % (Amoruso et al. 2004, Acciarri et al. 2013)."""
    for model in (BIRKS, BOX):
        assert electrons(1.0, 2.1, model)[0] / 42370 == pytest.approx(0.70, abs=0.01)


@pytest.mark.parametrize("sample", ["electron", "proton"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reference_electrons(reference, sample, dtype):
    z = np.load(reference / f"reference/larndsim-torch-{sample}.npz")
    s = dict(zip(z["fields"], z["segments"].T, strict=True))
    parameters = dict(zip(z["param_names"], z["params"], strict=True))
    np.testing.assert_allclose(electrons(s["dE"], s["dEdx"], BIRKS, dtype, **parameters), z["n_quench"], rtol=1e-5)


def test_random_inputs_of_birks():
    assert_agree(check("quench", RANDOM["quench"](np.random.default_rng(3), model=0)))
