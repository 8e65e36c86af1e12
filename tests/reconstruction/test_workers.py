"""Processes that share tracks: the same bits, what goes wrong is told, and they end."""

import gc
import multiprocessing
import os
import signal
import sys

import numba
import numpy as np
import pytest

from lartpc.blas import one_blas_thread
from lartpc.reconstruction.workers import Workers, processes_for, shares
from tests.reconstruction.test_likelihood import tracks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")


@pytest.fixture
def two_threads():
    before = numba.get_num_threads()
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two threads")
    numba.set_num_threads(2)
    yield
    numba.set_num_threads(before)


@one_blas_thread
def test_two_processes_find_the_same_bits_and_end_with_the_likelihood(two_threads):
    likelihood, of_tracks, etas, unknowns = tracks(dtype=np.float32)
    vector, rows = unknowns.apply(unknowns.start), range(len(of_tracks))
    assert processes_for(len(of_tracks)) == 2
    there = likelihood.at(vector, of_tracks, etas, rows)
    assert len(likelihood.workers.pipes) == 1
    workers = multiprocessing.active_children()
    for one, other in zip(likelihood.here(vector, of_tracks, etas, rows), there, strict=True):
        for name, value in one._asdict().items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
    del likelihood
    gc.collect()
    assert workers and not any(worker.is_alive() for worker in workers)


def test_few_tracks_and_workers_themselves_have_none(two_threads, monkeypatch):
    assert processes_for(5) == 1 and processes_for(6) == 2
    monkeypatch.setattr(numba.config, "THREADING_LAYER", "omp")
    assert processes_for(6) == 1  # whose threads kill a forked process
    monkeypatch.undo()
    assert Workers(processes_for, 1).answers([(100,), (100,)]) == [1, 1]  # one has a thread, the other is no parent


def test_workers_end_without_a_word(capfd):
    """Where SIGTERM is an interrupt, too, as in a command."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        workers = Workers(fail, 1)
        assert workers.answers([("one",), ("two",)]) == ["one", "two"]
        del workers
        gc.collect()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capfd.readouterr().err == ""


def fail(what):
    """Return it, or go wrong in its way."""
    if what == "error":
        raise ValueError("a wrong number")
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return what


def test_what_goes_wrong_in_a_process_is_told():
    workers = Workers(fail, 2)
    assert workers.answers([("a",), ("b",), ("c",)]) == ["a", "b", "c"]
    assert workers.answers([("a",), ("b",)]) == ["a", "b"]
    with pytest.raises(ValueError, match="a wrong number"):
        workers.answers([("a",), ("error",), ("c",)])
    with pytest.raises(ValueError, match="a wrong number"):
        workers.answers([("error",), ("b",), ("c",)])
    assert workers.answers([("d",), ("e",), ("f",)]) == ["d", "e", "f"]  # what was left of these is not taken for it
    with pytest.raises(MemoryError, match="was killed, as where memory runs out"):
        workers.answers([("a",), ("killed",)])
    with pytest.raises(MemoryError, match="was killed, as where memory runs out"):
        workers.answers([("a",), ("b",)])


def test_shares_are_of_about_the_same_size():
    sizes = np.array([5, 100, 7, 90, 3, 80, 1])
    parts = shares(sizes, 2)
    assert sorted(np.concatenate(parts).tolist()) == list(range(7))
    assert abs(sizes[parts[0]].sum() - sizes[parts[1]].sum()) < 60
