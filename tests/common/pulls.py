"""Statistics of fits, by repetition."""

import numpy as np


def assert_pulls_are_right(fit, repetitions=20):
    """Of `fit(seed)`, each another draw of the noise: means and widths within three of their own errors."""
    pulls = []
    for seed in range(repetitions):
        result = fit(seed)
        assert result.converged, str(result)
        pulls.append((result.values - result.truth) / result.errors)
    mean, width = np.mean(pulls, axis=0), np.std(pulls, axis=0, ddof=1)
    assert (np.abs(mean) < 3.0 / np.sqrt(repetitions)).all(), mean
    assert (np.abs(width - 1.0) < 3.0 / np.sqrt(2 * repetitions)).all(), width
