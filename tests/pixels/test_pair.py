import numpy as np
import pytest
from helpers import PITCH, VELOCITY, launches, make_segments, one_tpc, sample, waveforms
from slow import slow_current

from lartpc.settings import Settings

TICK = 0.1


def pixels(x, y, z=10.0, width=3.6):
    """Pixels that see a point deposit, and its transverse spread [cm]."""
    arguments, result = launches(make_segments((x, y, z), (x, y, z)), settings=Settings(width=width))
    return {(p % 10, p // 10) for p in result.windows.pixel}, result.steps.sigma_T[0]


def test_pixels_are_those_within_reach():
    sigma = pixels(0.0, 0.0)[1]
    border = 2 * PITCH  # between pixels 6 and 7
    for side in (-1, 1):
        for factor, expected in ((1.05, {6} if side < 0 else {7}), (0.95, {6, 7})):
            position = border + side * factor * 3.6 * sigma
            assert pixels(position, 0.2)[0] == {(ix, 5) for ix in expected}
            assert pixels(0.2, position)[0] == {(5, iy) for iy in expected}
    assert pixels(border, -border)[0] == {(6, 2), (6, 3), (7, 2), (7, 3)}
    assert pixels(0.2217, 0.2217, z=1e-3)[0] == {(5, 5)}
    assert len(pixels(0.2217, 0.2217, width=PITCH / 2 / sigma * 1.01)[0]) == 9


def test_pixels_end_at_the_border_of_the_plane():
    edge = 5 * PITCH
    assert pixels(-edge, -edge)[0] == {(0, 0)}
    assert pixels(edge - 1e-4, edge - 1e-4)[0] == {(9, 9)}
    assert pixels(edge - 1e-4, -edge)[0] == {(9, 0)}


@pytest.mark.slow
@pytest.mark.parametrize("distance", [0.03, 0.5, 5.0, 30.0])
def test_all_current_lies_in_the_windows(distance):
    """The model's charge outside of a pixel's windows: what a lookback of 24 us leaves out, next to nothing for 60."""
    random = np.random.default_rng(int(distance))
    ticks = np.arange(-1000, 300, 5) + int((distance - 0.5) / VELOCITY / TICK)
    long = Settings(lookback=60.0, width=6.0)
    limits = ((Settings(), np.float32, 5.0), (long, np.float32, 0.05), (long, np.float64, 2e-4))  # of 29,500 e
    for x, y in [(0.0, 0.0), (0.2217, 0.2217), random.uniform(0, PITCH, 2)]:
        position = (x, y, distance)
        for column, row in {(5, 5), (5 - (x < 0.2), 5)}:
            expected = 5 * TICK * slow_current(position, position, 1.0, 2.0, column, row, ticks * TICK)
            for settings, dtype, limit in limits:
                result = waveforms(make_segments(position, position), settings=settings, dtype=dtype)
                windowed = sample(result, column + 10 * row, ticks) != 0
                assert expected[~windowed].sum() <= limit


def seen(arguments):
    """For each step, the first tick that sees its charge within its waveforms' lags, and the one after the last."""
    shared, waveforms = arguments["share"], arguments["convolve"]
    per_tick, first, last = (waveforms[name][shared["step_table"]] for name in ("per_tick", "first_lag", "last_lag"))
    begin, end = shared["site_t"], shared["site_t"] + shared["sites_t"]
    return (begin + first) // per_tick, (end - 1 + last) // per_tick + 1


def test_windows_are_ordered_blocks():
    position = np.full((40, 3), (0.2217, 0.0, 10.0))
    t0 = np.sort(np.random.default_rng(3).uniform(0, 1000, 40))
    arguments, result = launches(make_segments(position, position, t0=t0), settings=Settings(block=16))
    windows, pairs = result.windows, result.pairs
    ticks = seen(arguments)
    assert len(windows.pixel) == 2 and np.all(np.diff(windows.pixel) > 0)
    size = np.diff(windows.first)
    assert np.all(windows.tick % 16 == 0) and np.all(size % 16 == 0) and np.all(size > 0)
    for p in range(2):
        own = slice(windows.of_pixel[p], windows.of_pixel[p + 1])
        assert own.stop - own.start > 2
        assert np.all(np.diff(windows.tick[own]) > size[own][:-1])  # a gap between two, else they were one
    for w in range(len(size)):
        own = slice(windows.pair[w], windows.pair[w + 1])
        first, last = (tick[pairs.step[own]] for tick in ticks)
        assert windows.tick[w] <= first.min() - 240 < windows.tick[w] + 16
        assert windows.tick[w] + size[w] - 16 < last.max() <= windows.tick[w] + size[w]


def test_a_late_segment_allocates_no_gap():
    position = np.full((2, 3), (0.2217, 0.2217, 10.0))
    alone = waveforms(make_segments(position[0], position[0]))
    both = waveforms(make_segments(position, position, t0=[0.0, 1e9]))
    assert len(both.windows.pixel) == 1 and len(both.windows.tick) == 2
    assert np.diff(both.windows.tick) == 10**10
    np.testing.assert_array_equal(both.current, np.tile(alone.current, 2))


def test_events_do_not_mix():
    position = np.full((3, 3), (0.2217, 0.2217, 10.0))
    result = waveforms(make_segments(position, position, event_id=[8, 5, 8]))
    assert result.windows.event.tolist() == [0, 1] and result.windows.pixel.tolist() == [55, 55]
    first, second = np.split(result.current, [result.windows.first[1]])
    np.testing.assert_allclose(second, 2 * first, rtol=1e-5)


def test_pixel_ids_go_on_in_the_next_tpc():
    one = one_tpc()
    values = {name: np.repeat(getattr(one, name), 2) for name in "x_lo x_hi y_lo y_hi pitch n_x n_y".split()}
    both = {"z_anode": np.array([0.0, 40.0]), "z_cathode": np.full(2, 20.0), "first_pixel": np.array([0, 100])}
    both["module"] = np.zeros(2, dtype=np.int64)
    detector = one_tpc(**values, **both)
    position = np.array([(0.2217, -0.2217, 10.0), (0.2217, -0.2217, 30.0)])
    result = waveforms(make_segments(position, position), detector)
    assert result.windows.pixel.tolist() == [45, 145]
    np.testing.assert_allclose(*np.split(result.current, 2), rtol=1e-5)
