"""What a target's file says of its simulation, and a fit that takes something else."""

import dataclasses

import pytest
from spoilt_targets import hits_of, one_an_event

from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.fit.agreement import check_agreement
from lartpc.fit.calibrate import calibrate
from lartpc.fit.target import Target
from lartpc.formats.attrs import describe, parameters_of
from lartpc.simulation.simulation import Simulation

FITTED = ("Ab", "lifetime")
MODULE0 = Detector.module0()


def target_of(made, hits, **more):
    """A target whose file says that `made` made it."""
    settings = describe(made.detector, made.parameters) | {
        "recombination": made.recombination,
        "response": "parametric",
    }
    settings |= more
    return Target(hits, settings=settings, truth=parameters_of("target", settings), source="hits.h5")


@pytest.fixture(scope="module")
def hits():
    return hits_of(one_an_event(1))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"recombination": "box"}, "recombination"),
        ({"parameters": Simulation().parameters.replace(temperature=88.0)}, "temperature"),
        ({"parameters": Simulation().parameters.replace(MeVToElectrons=4.3e4)}, "MeVToElectrons"),
        ({"parameters": Simulation().parameters.replace(gain_factor=1.02)}, "gain_factor"),
        ({"parameters": Simulation().parameters.replace(**{"eField.0": 0.51})}, "eField.0"),
        ({"parameters": Simulation().parameters.replace(vdrift=0.16)}, "vdrift"),
        ({"detector": dataclasses.replace(MODULE0, threshold=5000.0)}, "threshold"),
        (
            {"detector": dataclasses.replace(Simulation().detector, z_anode=Simulation().detector.z_anode + 0.1)},
            "z_anode",
        ),
    ],
)
def test_what_differs_is_refused_unless_trusted(options, name, hits):
    target = target_of(Simulation(**options), hits)
    with pytest.raises(InputError, match=rf"^hits.h5: was simulated with {name} .*--trust-me {name}$"):
        check_agreement(target, Simulation(), FITTED)
    check_agreement(dataclasses.replace(target, trusted=(name,)), Simulation(), FITTED)
    check_agreement(target, Simulation(**options), FITTED)


def test_response_is_compared_by_its_kind(hits):
    target = target_of(Simulation(), hits, response="electrostatic")
    with pytest.raises(InputError, match="was simulated with response electrostatic, the fit takes parametric"):
        check_agreement(target, Simulation(), FITTED)


def test_what_is_fitted_or_does_not_act_may_differ(hits):
    made = Simulation(parameters=Simulation().parameters.replace(lifetime=1500.0, alpha=0.95))
    check_agreement(target_of(made, hits), Simulation(), FITTED)
    check_agreement(Target(hits), Simulation(recombination="box"), FITTED)


def test_a_fit_asks(hits):
    with pytest.raises(InputError, match="--trust-me recombination"):
        calibrate(Simulation(), one_an_event(1), target_of(Simulation(recombination="box"), hits), FITTED)
