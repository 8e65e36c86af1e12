import numpy as np
import pytest
from toy_kernels import Plain, copy_adjoint, multiply, rescale

from lartpc.adjoint.pairs import ADJOINTS, Adjoint
from lartpc.autodiff.tape import LARGE, Tape, TapeError, mark
from lartpc.kernels.frontend.digitize import digitize
from lartpc.kernels.runtime.checksum import WORDS, checksum

pytestmark = pytest.mark.usefixtures("ran_adjoints")


def arrays(*values):
    return [np.array(value) for value in values]


def test_last_launch_first(ran_adjoints):
    """d((2 x^2) x)/dx = 6 x^2: x is used three times, and all gradients of an array are there before it is left."""
    tape = Tape()
    x, factor, square, double, cube = arrays([3.0, 4.0], [2.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
    tape.launch(multiply, 2, x=x, y=x, z=square)
    tape.launch(rescale, 2, x=square, factor=factor, z=double, unused=None, row=np.zeros(2))
    tape.launch(multiply, 2, x=double, y=x, z=cube)
    np.testing.assert_array_equal(cube, [54.0, 128.0])
    tape.backward([(cube, np.array([1.0, 10.0]))])
    assert ran_adjoints == ["multiply", "rescale", "multiply"]
    np.testing.assert_array_equal(tape.gradient(x), [54.0, 960.0])
    np.testing.assert_array_equal(tape.gradient(square), [6.0, 80.0])
    np.testing.assert_array_equal(tape.gradient(factor), [27.0 + 10.0 * 64.0])


def test_seeds_are_summed_and_may_lie_in_the_middle():
    tape = Tape()
    x, y, z, factor, out = arrays([3.0], [5.0], [0.0], [2.0], [0.0])
    tape.launch(multiply, 1, x=x, y=y, z=z)
    tape.launch(rescale, 1, x=z, factor=factor, z=out, unused=None, row=np.zeros(1))
    tape.backward([(out, np.ones(1)), (z, np.array([7.0])), (z, np.array([0.5]))])
    np.testing.assert_array_equal(tape.gradient(z), [9.5])
    np.testing.assert_array_equal(tape.gradient(x), [5.0 * 9.5])


def test_adjoints_without_effect_do_not_run(ran_adjoints):
    tape = Tape()
    x, y, z, factor, out = arrays([3.0], [5.0], [0.0], [2.0], [0.0])
    tape.launch(multiply, 1, x=x, y=y, z=z)
    tape.launch(rescale, 1, x=z, factor=factor, z=out, unused=None, row=np.zeros(1))
    tape.backward([(z, np.ones(1))])
    assert ran_adjoints == ["multiply"]
    np.testing.assert_array_equal(tape.gradient(factor), [0.0])
    assert tape.gradient(out).shape == out.shape


def test_backward_stops_at_until(ran_adjoints):
    tape = Tape()
    x, y, z, factor, out = arrays([3.0], [5.0], [0.0], [2.0], [0.0])
    tape.launch(multiply, 1, x=x, y=y, z=z)
    tape.launch(rescale, 1, x=z, factor=factor, z=out, unused=None, row=np.zeros(1))
    tape.backward([(out, np.ones(1))], until=(z,))
    assert ran_adjoints == ["rescale"]
    np.testing.assert_array_equal(tape.gradient(z), [2.0])


def test_shared_inputs_are_summed_over_threads():
    tape = Tape()
    x, factor, z = np.arange(6.0), np.array([2.0]), np.zeros(6)
    tape.launch(rescale, 6, x=x, factor=factor, z=z, adjoint_threads=4, unused=None, row=np.zeros(4))
    tape.backward([(z, np.ones(6))])
    np.testing.assert_array_equal(tape.gradient(factor), [15.0])


def test_the_rows_of_shared_inputs_are_told_apart():
    """Threads 0 to 3, which sum x of (0, 4), (1, 5), 2 and 3, with the third, second and first factor."""
    tape = Tape()
    x, factor, z = np.arange(6.0), np.array([2.0, 2.0, 2.0, 2.0]), np.zeros(6)
    tape.launch(rescale, 6, x=x, factor=factor, z=z, adjoint_threads=4, unused=None, row=np.array([2, 1, 0, 2]))
    tape.backward([(z, np.ones(6))])
    np.testing.assert_array_equal(tape.gradient(factor), [2.0, 6.0, 4.0 + 3.0, 0.0])
    np.testing.assert_array_equal(tape.gradient(x), np.full(6, 2.0))


def test_sums_over_threads_are_of_float64():
    """Ten thousand float32 ones after 2^24, which in float32 would be lost."""
    tape = Tape()
    x, factor, z = np.ones(10_001, dtype=np.float32), np.ones(1, dtype=np.float32), np.zeros(10_001, dtype=np.float32)
    x[0] = 2.0**24
    tape.launch(rescale, len(x), x=x, factor=factor, z=z, unused=None, row=np.zeros(len(x)))
    tape.backward([(z, np.ones_like(z))])
    assert tape.gradient(factor).dtype == np.float32
    np.testing.assert_allclose(tape.gradient(factor), [2.0**24 + 1e4], rtol=1e-7)


def test_backward_again_gives_the_same():
    tape = Tape()
    x, y, z = arrays([3.0], [5.0], [0.0])
    tape.launch(multiply, 1, x=x, y=y, z=z)
    for seed in (1.0, 4.0, 1.0):
        tape.backward([(z, np.array([seed]))])
        np.testing.assert_array_equal(tape.gradient(x), [5.0 * seed])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_what_an_adjoint_writes_is_added_to_what_others_give(order, monkeypatch):
    """x is copied, multiplied by 5, and copied again; a seed of its own comes to that."""
    copy = Plain("copy", ("x", "z"), ("z",), lambda threads, x, z: np.copyto(z, x))
    writes = Adjoint(Plain("copy_adjoint", ("grad_z", "grad_x"), ("grad_x",), copy_adjoint), writes=("x",))
    monkeypatch.setitem(ADJOINTS, copy, writes)
    tape, x, y, outputs = Tape(), np.array([3.0]), np.array([5.0]), [np.zeros(1) for _ in range(3)]
    for k in order:
        if k == 1:
            tape.launch(multiply, 1, x=x, y=y, z=outputs[1])
        else:
            tape.launch(copy, 1, x=x, z=outputs[k])
    seeds = [(outputs[0], np.array([1.0])), (outputs[1], np.array([10.0])), (outputs[2], np.array([100.0]))]
    tape.backward(seeds)
    np.testing.assert_array_equal(tape.gradient(x), [151.0])
    tape.backward([*seeds, (x, np.array([1000.0]))])
    np.testing.assert_array_equal(tape.gradient(x), [1151.0])


def test_a_seed_of_another_shape_or_type():
    tape = Tape()
    x, y, z = (np.array(values, dtype=np.float32) for values in ([3.0, 4.0], [5.0, 6.0], [0.0, 0.0]))
    tape.launch(multiply, 2, x=x, y=y, z=z)
    tape.backward([(z, 2.0)])
    np.testing.assert_array_equal(tape.gradient(x), [10.0, 12.0])
    tape.backward([(z, np.array([1.0, 2.0]))])
    assert tape.gradient(z).dtype == np.float32
    with pytest.raises(ValueError, match="shape"):
        tape.backward([(z, np.ones(3))])


def test_seeds_are_left_alone():
    tape = Tape()
    x, y, z = arrays([3.0], [5.0], [0.0])
    tape.launch(multiply, 1, x=x, y=y, z=z)
    seed = np.ones(1)
    tape.backward([(z, seed), (z, seed)])
    np.testing.assert_array_equal(seed, [1.0])
    np.testing.assert_array_equal(tape.gradient(z), [2.0])


@pytest.mark.parametrize("name", ["x", "y", "z"])
def test_an_array_changed_by_hand_is_refused_by_name(name):
    tape = Tape()
    values = dict(zip("xyz", arrays([3.0, 1.0], [5.0, 1.0], [0.0, 0.0]), strict=True))
    tape.launch(multiply, 2, **values)
    values[name][1] = np.nextafter(values[name][1], np.inf)
    with pytest.raises(TapeError, match=f"multiply, argument {name}: overwritten between forward and backward"):
        tape.backward([(values["z"], np.ones(2))])


def test_a_pass_that_does_not_check_takes_arrays_as_they_are():
    tape = Tape()
    x, y, z = arrays([3.0], [5.0], [0.0])
    tape.launch(multiply, 1, x=x, y=y, z=z)
    y[...] = 7.0
    tape.backward([(z, np.ones(1))], check=False)
    np.testing.assert_array_equal(tape.gradient(x), [7.0])
    with pytest.raises(TapeError, match="argument y"):
        tape.backward([(z, np.ones(1))])


@pytest.mark.parametrize("values", [([1.0, 2.0], [2.0, 1.0]), ([1.0, -1.0], [-1.0, 1.0])])
def test_exchanged_values_are_refused(values):
    tape = Tape()
    x, y, z = arrays(values[0], [5.0, 6.0], [0.0, 0.0])
    tape.launch(multiply, 2, x=x, y=y, z=z)
    x[...] = values[1]
    with pytest.raises(TapeError, match="argument x"):
        tape.backward([(z, np.ones(2))])


@pytest.mark.parametrize("n", [3 * WORDS + 3, 5])
def test_sums_of_many_words_are_those_of_a_loop(n):
    """`checksum`, which sums parts, against all words at once."""
    words = np.random.default_rng(n).integers(0, 2**64, n, dtype=np.uint64)
    total = np.zeros(-(-n // WORDS), dtype=np.uint64)
    checksum(len(total), words=words, total=total)
    expected = sum(int(word) for word in words[::2]) + 3 * sum(int(word) for word in words[1::2])
    assert int(total.sum()) == expected % 2**64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2 * LARGE + 1, LARGE // 8, 7])
def test_a_mark_sees_every_bit(n, dtype):
    array = np.random.default_rng(n).normal(size=n).astype(dtype)
    before = mark(array)
    for k in (0, n // 2, n - 1):
        changed = array.copy()
        changed[k] = np.nextafter(changed[k], dtype(np.inf))
        assert mark(changed) != before
    exchanged, word = array.copy(), 8 // array.itemsize
    exchanged[: 2 * word] = np.roll(array[: 2 * word], word)
    assert mark(exchanged) != before and mark(array.copy()) == before


def test_a_changed_array_for_the_adjoint_alone_is_refused():
    tape = Tape()
    x, factor, z, unused = arrays([3.0], [5.0], [0.0], [7])
    tape.launch(rescale, 1, x=x, factor=factor, z=z, unused=unused, row=np.zeros(1))
    unused[0] = 8
    with pytest.raises(TapeError, match="rescale, argument unused"):
        tape.backward([(z, np.ones(1))])


def test_a_launch_that_would_overwrite_is_refused():
    tape = Tape()
    x, y, z, factor = arrays([3.0], [5.0], [0.0], [2.0])
    tape.launch(multiply, 1, x=x, y=y, z=z)
    with pytest.raises(TapeError, match="rescale: would overwrite its argument z, used by multiply, argument x"):
        tape.launch(rescale, 1, x=z, factor=factor, z=x, unused=None)
    np.testing.assert_array_equal(x, [3.0])
    tape.backward([(z, np.ones(1))])
    np.testing.assert_array_equal(tape.gradient(x), [5.0])


def test_work_arrays_may_be_used_again(working):
    tape = Tape()
    x, y, z, half, twice = arrays([3.0], [0.0], [0.0], [0.0], [0.0])
    tape.launch(working, 1, x=x, half=half, z=y, twice=twice)
    tape.launch(working, 1, x=y, half=half, z=z, twice=twice)
    half[...] = np.nan
    for _ in range(2):
        tape.backward([(z, np.ones(1))])
        np.testing.assert_array_equal(tape.gradient(x), [4.0 * 3.0**3])


@pytest.mark.parametrize("name", ["half", "twice"])
def test_a_launch_that_would_work_in_a_remembered_array_is_refused(name, working):
    tape = Tape()
    x, y, z, w = arrays([3.0], [5.0], [0.0], [0.0])
    tape.launch(multiply, 1, x=x, y=y, z=z)
    own = {"half": np.zeros(1), "twice": np.zeros(1)} | {name: x}
    with pytest.raises(TapeError, match=f"square: would overwrite its argument {name}, used by multiply, argument x"):
        tape.launch(working, 1, x=z, z=w, **own)
    np.testing.assert_array_equal(x, [3.0])


def test_a_real_kernel():
    tape = Tape()
    charge, gain, offset, adc = np.array([[1e4, 2e4]]), np.array([4e-3]), np.array([292.0]), np.zeros((1, 2))
    scale = {"gain": gain, "offset": offset, "full_scale": 1012.0, "adc_counts": 256.0}
    tape.launch(digitize, 1, hit_charge=charge, read_count=np.array([2]), **scale, rounded=False, adc=adc)
    tape.backward([(adc, np.array([[1.0, 2.0]]))])
    np.testing.assert_allclose(tape.gradient(charge), [[4e-3 * 256 / 1012, 8e-3 * 256 / 1012]])
    np.testing.assert_allclose(tape.gradient(gain), [5e4 * 256 / 1012])
