import dataclasses
import math

import numpy as np
import pytest

from lartpc.exceptions import InputError
from lartpc.kernels.runtime import slots
from lartpc.parameters import TABLE, Parameters


def test_fields_table_and_vector_have_the_same_names_in_the_same_order():
    names = [field.name for field in dataclasses.fields(Parameters) if field.name != "modules"]
    order = [*slots.PARAMETERS, *slots.ELECTRONICS, *slots.AMPLIFIER]
    assert names == order == list(TABLE) == list(Parameters().as_dict())


def test_nominal_values_are_the_published_ones():
    p = Parameters()
    assert (p.Ab, p.kb, p.eField, p.lifetime) == (0.8, 0.0486, 0.5, 2200.0)
    assert (p.long_diff, p.tran_diff) == (4.0e-6, 8.8e-6)
    assert (p.alpha, p.beta, p.lArDensity, p.temperature) == (0.93, 0.207, 1.38, 87.17)
    # one electron a 23.6 eV
    assert p.MeVToElectrons == pytest.approx(1e6 / 23.6, rel=1e-4)
    assert p.vdrift is None
    for parameter in TABLE.values():
        assert parameter.range[0] < parameter.nominal < parameter.range[1]


def test_vector_puts_each_value_in_its_slot():
    values = {name: value.range[0] for name, value in TABLE.items()}
    vector = Parameters(**values).vector(np.float64)
    assert vector.dtype == np.float64
    assert vector[slots.LIFETIME] == values["lifetime"]
    assert vector[slots.VDRIFT] == values["vdrift"]
    assert vector[slots.TEMPERATURE] == values["temperature"]
    np.testing.assert_array_equal(vector, list(values.values()))


def test_linked_drift_velocity_is_zero_in_the_vector():
    vector = Parameters().vector(np.float32)
    assert vector.dtype == np.float32
    assert vector[slots.VDRIFT] == 0.0
    assert vector[slots.T0_OFFSET] == 0.0
    assert np.all(np.delete(vector[: len(slots.PARAMETERS)], [slots.VDRIFT, slots.T0_OFFSET]) > 0.0)
    as_it_is = {"buffer_risetime": 0.0, "threshold_offset": 0.0, "gain_factor": 1.0, "pedestal_offset": 0.0}
    as_it_is |= {"gain": 0.0, "shaping": 0.0}  # None: those of the electronics' responses
    names = (*slots.ELECTRONICS, *slots.AMPLIFIER)
    assert dict(zip(names, vector[len(slots.PARAMETERS) :], strict=True)) == as_it_is


def test_replace_changes_only_what_is_named_and_validates():
    p = Parameters().replace(lifetime=1000, vdrift=0.16)
    assert p == Parameters(lifetime=1000.0, vdrift=0.16)
    assert isinstance(p.lifetime, float)
    assert p.replace(vdrift=None).vdrift is None
    with pytest.raises(InputError, match="lifetime"):
        p.replace(lifetime=-1.0)


def test_numeric_text_counts_as_a_number():
    # YAML 1.1 reads 5.0e3, without a sign in its exponent, as text
    assert Parameters(lifetime="2.2e3").lifetime == 2200.0


@pytest.mark.parametrize("name", [name for name in slots.PARAMETERS if name != "t0_offset"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e12, "much", True, [0.5], 1j])
def test_what_is_no_physical_number_is_refused_in_one_line(name, value):
    with pytest.raises(InputError) as failure:
        Parameters(**{name: value})
    message = str(failure.value)
    assert f"parameter {name}: found {value!r}, allowed is a number" in message
    assert "\n" not in message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1e12, 1e12, "much", True, [0.5], 1j])
def test_what_is_no_offset_of_times_is_refused_in_one_line(value):
    with pytest.raises(InputError) as failure:
        Parameters(t0_offset=value)
    assert f"parameter t0_offset: found {value!r}, allowed is a number" in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("name", [name for name in slots.PARAMETERS if name != "vdrift"])
def test_only_the_drift_velocity_may_be_left_to_follow(name):
    with pytest.raises(InputError, match=f"parameter {name}: found None"):
        Parameters(**{name: None})


@pytest.mark.parametrize(
    ("given", "meant"),
    [("efield", "eField"), ("life_time", "lifetime"), ("AB", "Ab"), ("mevtoelectron", "MeVToElectrons")],
)
def test_an_unknown_name_is_refused_naming_the_nearest(given, meant):
    with pytest.raises(InputError, match=f"parameter {given}: not known, nearest is {meant};"):
        Parameters().replace(**{given: 1.0})
