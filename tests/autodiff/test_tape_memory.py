"""What a tape holds: no array that no adjoint reads."""

import weakref

import numpy as np
import pytest
from toy_kernels import Plain, copy_adjoint, rescale

from lartpc.adjoint.pairs import ADJOINTS, Adjoint
from lartpc.autodiff.tape import Tape, TapeError

pytestmark = pytest.mark.usefixtures("ran_adjoints")


def test_arrays_that_no_adjoint_reads_are_not_kept(working):
    """What a launch works in, and its output where no later adjoint reads it; the input of one that does is kept."""
    tape, x, factor, out = Tape(), np.array([3.0]), np.array([2.0]), np.zeros(1)
    y, z, half = np.zeros(1), np.zeros(1), np.zeros(1)
    gone = [weakref.ref(array) for array in (half, z)]
    tape.launch(working, 1, x=x, half=half, z=y, twice=np.zeros(1))
    tape.launch(working, 1, x=y, half=half, z=z, twice=np.zeros(1))
    del half, z
    assert [reference() for reference in gone] == [None, None]
    tape.launch(rescale, 1, x=y, factor=factor, z=out, unused=None, row=np.zeros(1))
    kept = weakref.ref(y)
    del y
    assert kept() is not None
    for seed in (1.0, 3.0):
        tape.backward([(out, np.array([seed]))])
        np.testing.assert_array_equal(tape.gradient(x), [seed * 2.0 * 2.0 * 3.0])


def test_gradients_go_through_arrays_that_are_gone(working, monkeypatch):
    """z = copy(x^2), twice: the square is read by two launches whose adjoints do not need it, and is gone by then."""
    copy = Plain("copy", ("x", "z"), ("z",), lambda threads, x, z: np.copyto(z, x))
    writes = Adjoint(Plain("copy_adjoint", ("grad_z", "grad_x"), ("grad_x",), copy_adjoint), writes=("x",))
    monkeypatch.setitem(ADJOINTS, copy, writes)
    tape, x, one, two = Tape(), np.array([3.0]), np.zeros(1), np.zeros(1)
    y = np.zeros(1)
    tape.launch(working, 1, x=x, half=np.zeros(1), z=y, twice=np.zeros(1))
    for z in (one, two):
        tape.launch(copy, 1, x=y, z=z)
    with pytest.raises(TapeError, match="copy: would overwrite its argument z, used by square, argument z"):
        tape.launch(copy, 1, x=one, z=y)
    gone = weakref.ref(y)
    del y
    assert gone() is None
    for seed in (1.0, 3.0):
        tape.backward([(one, np.array([seed])), (two, np.array([10.0]))])
        np.testing.assert_array_equal(tape.gradient(x), [6.0 * (seed + 10.0)])
    assert len(tape.gradients) == 3  # of x, one and two: none of what nobody can ask for
