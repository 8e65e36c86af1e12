"""Segments and their hits, and two sides of a loss between lists of hits."""

import numpy as np
import pytest
from hit_lists import hit_list
from objectives import TRUTH
from samples import protons
from traces import smooth


@pytest.fixture(scope="module")
def segments():
    """102 segments of two stopping protons."""
    return protons(2)


@pytest.fixture(scope="module")
def noiseless(segments):
    return smooth(parameters=TRUTH)(segments).hits


@pytest.fixture(scope="module")
def noisy(segments):
    return smooth(parameters=TRUTH, noise=True, seed=3)(segments).hits


@pytest.fixture
def sides():
    """Events of many sizes; none has an empty side."""
    rng = np.random.default_rng(0)
    return hit_list([7, 1, 12, 5, 3], rng), hit_list([9, 4, 10, 1, 3], rng)
