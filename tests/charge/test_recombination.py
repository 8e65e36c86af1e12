"""The table of the models of recombination, and what reads it."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import succeeds
from helpers import local

import lartpc.cli.options as options
from lartpc.adjoint.pairs import ADJOINTS
from lartpc.charge.recombination import RECOMBINATION
from lartpc.kernels.charge import recombination as models
from lartpc.kernels.charge.quench import quench
from lartpc.parameters import TABLE
from lartpc.simulation.simulation import Simulation

NUMBERS = {name.lower(): value for name, value in vars(models).items() if name.isupper()}
DEDX = np.array([0.0, 0.3, 2.1, 40.0])
ACTING = {"step_dE", "step_dEdx", "step_field"}


def charge_and_gradients(model, dtype):
    """Electrons of four steps, and the gradient of their sum by every input: {name: array}."""
    n, one = len(DEDX), np.ones(len(DEDX), dtype)
    inputs = {"step_dE": one, "step_dEdx": DEDX.astype(dtype), **local(n, dtype), "model": model}
    electrons = np.zeros(n, dtype)
    quench(n, **inputs, electrons=electrons)
    grads = {f"grad_{name}": np.zeros(n, dtype) for name in ACTING}
    grads["grad_parameters"] = np.zeros((n, inputs["parameters"].shape[1]), dtype)
    adjoint = ADJOINTS[quench].kernel
    adjoint(n, **inputs, grad_electrons=one, **grads)
    return electrons, grads


def test_a_row_for_every_number_of_the_kernel():
    assert {name: row.number for name, row in RECOMBINATION.items()} == NUMBERS
    for name, row in RECOMBINATION.items():
        assert row.name == name and set(row.parameters) <= set(TABLE)
        assert all(parameter in row.formula for parameter in row.parameters) and row.source


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", NUMBERS.values())
def test_a_model_gives_numbers(model, dtype):
    electrons, grads = charge_and_gradients(model, dtype)
    assert np.isfinite(electrons).all() and (electrons[2:] > 0.0).all()
    assert all(np.isfinite(grad).all() for grad in grads.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", [-1, max(NUMBERS.values()) + 1, 99])
def test_a_number_that_is_no_model_gives_nan(model, dtype):
    """Charge and gradients; never those of another model."""
    electrons, grads = charge_and_gradients(model, dtype)
    assert np.isnan(electrons).all()
    for name in ACTING:
        assert np.isnan(grads[f"grad_{name}"]).all(), name
    assert np.isnan(grads["grad_parameters"]).any(axis=1).all()


@pytest.mark.parametrize("name", RECOMBINATION)
def test_parameters_of_other_models_do_not_act(name):
    """`acting` says so, and the adjoint: of the parameters of all models, it reaches those of this one."""
    every = {parameter for row in RECOMBINATION.values() for parameter in row.parameters}
    own = set(RECOMBINATION[name].parameters)
    assert set(Simulation(recombination=name).acting()) & every == own


def test_choices_of_the_command_line_and_documentation():
    assert list(options.recombination_option(lambda: None).__click_params__[0].type.choices) == list(RECOMBINATION)
    told = json.loads(succeeds("info"))["recombination"]
    assert {name: row["formula"] for name, row in told.items()} == {n: r.formula for n, r in RECOMBINATION.items()}
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in RECOMBINATION)
