import numpy as np
import pytest

from lartpc.kernels.frontend.digitize import digitize

GAIN, OFFSET, FULL_SCALE = 4e-3, 580.0 - 288.0, 1300.0 - 288.0


def counts(charge, gain=GAIN, offset=OFFSET, rounded=True, dtype=np.float64, used=None):
    """ADC counts of the charges (n_pixels, max_hits); -1 where nothing was written."""
    charge = np.atleast_2d(np.asarray(charge, dtype))
    n = len(charge)
    used = np.full(n, charge.shape[1]) if used is None else np.array(used)
    gain, offset = (np.broadcast_to(np.asarray(v, dtype), n).copy() for v in (gain, offset))
    adc = np.full(charge.shape, -1, dtype)
    scale = {"gain": gain, "offset": offset, "full_scale": dtype(FULL_SCALE), "adc_counts": dtype(256)}
    digitize(n, hit_charge=charge, read_count=used, **scale, rounded=rounded, adc=adc)
    return adc


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts(dtype):
    """Pedestal 74; one count is 988.28 e; the range is 0 to 255."""
    charge = [0.0, 7000.0, 988.28125, 100_000.0, 179_000.0, 1e9, -1e5]
    assert counts(charge, dtype=dtype).tolist() == [[74, 81, 75, 175, 255, 255, 0]]


def test_counts_are_the_nearest():
    count = 988.28125
    edge = (74.5 - OFFSET * 256 / FULL_SCALE) * count
    assert counts([edge - 1e-3, edge + 1e-3, edge + count + 1e-3]).tolist() == [[74, 75, 76]]
    smooth = counts(np.linspace(-5e4, 1.5e5, 1001), rounded=False)
    assert np.abs(smooth - counts(np.linspace(-5e4, 1.5e5, 1001))).max() <= 0.5
    np.testing.assert_allclose(np.diff(smooth), 200 / count, rtol=1e-9)


def test_each_pixel_has_its_gain_and_pedestal():
    found = counts([[1e4, 2e4], [1e4, 2e4]], gain=[4e-3, 8e-3], offset=[300.0, 100.0], rounded=False, used=[2, 1])
    expected = np.array([[340.0, 380.0], [180.0, 0.0]]) * 256 / FULL_SCALE
    np.testing.assert_allclose(found, expected)
