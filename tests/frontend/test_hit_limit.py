"""How many hits a pixel may have: as many as there are, unless a detector says otherwise."""

import dataclasses

import numpy as np
import pytest
from front_ends import end_on
from helpers import one_tpc

from lartpc.data.hits import Hits
from lartpc.fit.calibrate import calibrate
from lartpc.fit.target import Target
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def without_limit():
    return Simulation(one_tpc(), noise=True, seed=1)(end_on())


def test_all_hits_come_and_the_first_ones_are_those_of_a_limit(without_limit):
    hits = without_limit.hits
    assert hits.hit.max() > 20 and without_limit.summary.limited == 0
    limited = Simulation(one_tpc(max_hits=10), noise=True, seed=1)(end_on())
    assert 5 < limited.hits.hit.max() < 10 and limited.summary.limited > 0
    for pixel in np.unique(limited.hits.pixel_id):
        rows, all_rows = (table.pixel_id == pixel for table in (limited.hits, hits))
        for name in ("t", "charge", "adc"):
            values = getattr(limited.hits, name)[rows]
            np.testing.assert_array_equal(getattr(hits, name)[all_rows][: len(values)], values)


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_a_fit_takes_more_hits_than_there_is_room_for_at_first(without_limit, rounded):
    target = Target(without_limit.hits, rounded=rounded, truth=one_tpc().parameters)
    result = calibrate(Simulation(one_tpc()), end_on(), target, ["eField"])
    assert abs(result.values[0] - result.truth[0]) < 4.0 * result.errors[0]
    assert result.hits == len(target.hits)


@pytest.mark.slow
def test_a_fit_leaves_out_a_hot_pixel_without_charge(without_limit):
    hits = without_limit.hits
    hot = hits.select(np.zeros(14, dtype=np.int64))
    free = np.setdiff1d(np.arange(one_tpc().n_pixels), hits.pixel_id)[0]
    hot = dataclasses.replace(hot, pixel_id=np.full(14, free), t=20.0 + 10.0 * np.arange(14), hit=np.arange(14))
    columns = {f.name: np.concatenate((getattr(hits, f.name), getattr(hot, f.name))) for f in dataclasses.fields(hits)}
    result = calibrate(Simulation(one_tpc()), end_on(), Hits(**columns), ["eField"])
    np.testing.assert_array_equal(result.verdicts[0].cleaning.noisy, [free])
    assert "1 noisy pixels" in str(result)
