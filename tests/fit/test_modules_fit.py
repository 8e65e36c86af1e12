"""Fits of the fields and lifetimes of modules."""

import numpy as np
import pytest
from modules import OWN, TRUTH, TWO_BY_TWO, muons

from lartpc.exceptions import InputError
from lartpc.fit.calibrate import calibrate
from lartpc.fit.forecast import forecast
from lartpc.fit.target import Target
from lartpc.fit.unknowns import check_names
from lartpc.simulation.simulation import Simulation


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("eField.7",), "parameter eField.7: the detector has no module 7, allowed are modules 0 to 3"),
        (("Ab.0",), "fit: parameter Ab.0 is not known, nearest is Ab"),
        (("eField", "eField.1"), "fit: eField is that of all modules, but eField.1 are of single ones: fit these"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(names, what):
    with pytest.raises(InputError) as failure:
        check_names(Simulation(TWO_BY_TWO), names)
    assert str(failure.value) == what
    with pytest.raises(InputError, match=r"fit: lifetime is that of all modules, but lifetime.0, lifetime.1"):
        check_names(Simulation(TWO_BY_TWO, TRUTH), ("lifetime",))


@pytest.mark.slow
def test_parameters_of_all_modules_are_fitted_together():
    """Four fields, four lifetimes and what is common, from few muons with noise: all within three errors."""
    segments = muons(TWO_BY_TWO, 1, seed=5)
    segments = segments.select(np.arange(len(segments)) % 20 < 4)
    hits = Simulation(TWO_BY_TWO, TRUTH, noise=True, seed=5)(segments).hits
    names = ("Ab", "kb", "long_diff", "tran_diff", *OWN)
    result = calibrate(Simulation(TWO_BY_TWO), segments, Target(hits, truth=TRUTH), unknowns=names)
    assert result.converged and result.names == names
    pulls = (result.values - result.truth) / result.errors
    assert np.abs(pulls).max() < 3.0 and 0.3 < np.sqrt(np.mean(pulls**2)) < 1.7, pulls
    assert 0.9 < result.mean_square < 1.1
    of_fields = result.errors[4:8] / result.values[4:8]
    assert of_fields.max() < 1e-3  # the modules differ by some per cent
    np.testing.assert_allclose(result.as_dict()["parameters"]["eField.2"]["value"], 0.515, rtol=1e-3)
    bound = forecast(Simulation(TWO_BY_TWO, TRUTH), segments, names).errors
    np.testing.assert_allclose(result.errors, bound, rtol=0.5)
    # fields of different modules have little to do with each other
    assert np.abs(result.correlation[4:8, 4:8] - np.eye(4)).max() < 0.3
