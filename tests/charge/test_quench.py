import numpy as np
import pytest
from checks import RANDOM, assert_agree, check
from helpers import local

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.charge.recombination import RECOMBINATION
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.charge.recombination import BIRKS, BOX, ELLIPSOID
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
    xi = p.beta * np.maximum(DEDX, 1.0) / (p.eField * p.lArDensity)
    expected = 42370 * 0.3 * np.log(p.alpha + xi) / xi
    np.testing.assert_allclose(electrons(0.3, DEDX, BOX, dtype, **values), expected, rtol=2e-5)


def test_box_is_never_negative():
    """Where alpha + xi is below 1 the logarithm is; there nothing escapes."""
    assert electrons(0.3, [1.0, 2.0, 2.3], BOX, alpha=0.3).tolist() == [0.0] * 3
    assert electrons(0.3, 2.4, BOX, alpha=0.3) > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("model", "values"),
    [
        (BIRKS, {}),
        (BIRKS, {"Ab": 0.85}),
        (BOX, {"alpha": 0.93}),
        (BOX, {"alpha": 1.0}),
        (BOX, {"alpha": 1.07}),
    ],
)
def test_little_dEdx_costs_no_charge(model, values, dtype):
    """R is not below that at 1 MeV/cm, down to dE/dx = 0, and does not jump on the way; Birks ends at Ab."""
    dEdx = np.concatenate(([0.0], np.logspace(-12, 0.3, 2000)))
    R = electrons(1.0, dEdx, model, dtype, **values) / 42370
    assert R[dEdx < 1.0].min() >= electrons(1.0, 1.0, model, dtype, **values)[0] / 42370
    assert R.min() > 0.5 and R.max() <= 1.0 and np.abs(np.diff(R)).max() < 0.05
    if model == BIRKS:
        assert R[0] == pytest.approx(values.get("Ab", 0.8), abs=1e-6)


def test_every_electron_escapes_at_most():
    """With alpha above 1 the formula exceeds 1 at low dE/dx: R is 1 there, and below 1 beyond where the two meet."""
    xi = np.array([0.305, 0.36, 0.5])
    R = electrons(1.0, xi * 0.69 / 0.207, BOX, alpha=1.1) / 42370
    formula = np.log(1.1 + xi) / xi
    assert (formula > 1.0).tolist() == [True, True, False]
    np.testing.assert_allclose(R, np.minimum(formula, 1.0), rtol=1e-12)


@pytest.mark.parametrize("model", [BIRKS, BOX, ELLIPSOID])
@pytest.mark.parametrize("alpha", [0.9, 1.1])
def test_gradients_at_low_dEdx(model, alpha):
    """Finite, and equal to the difference, at the floor and at the cap, between them, and at dE/dx = 0 from above."""
    dEdx, h = np.array([0.0, 1e-9, 0.1, 0.7, 5.0]), 1e-7
    n, values = len(dEdx), {"alpha": alpha, "alpha_emb": alpha}
    inputs = {"step_dE": np.ones(n), "step_dEdx": dEdx, **local(n, **values), "model": model}
    names = ("step_dE", "step_dEdx", "step_field", "parameters")
    grads = {f"grad_{name}": np.zeros((n, *inputs[name].shape[1:])) for name in names}
    ADJOINTS[quench].kernel(n, **inputs, grad_electrons=np.ones(n), **grads)
    assert all(np.isfinite(grad).all() for grad in grads.values())
    difference = (electrons(1.0, dEdx + h, model, **values) - electrons(1.0, dEdx, model, **values)) / h
    np.testing.assert_allclose(grads["grad_step_dEdx"], difference, rtol=1e-4, atol=1e-3)


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


@pytest.mark.parametrize("model", [row.number for row in RECOMBINATION.values()], ids=RECOMBINATION)
def test_random_inputs_of_a_model_of_recombination(model):
    assert_agree(check("quench", RANDOM["quench"](np.random.default_rng(3), model)))
