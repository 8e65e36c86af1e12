"""Field responses that some wires have in place of the usual one."""

import dataclasses
import json

import numpy as np
import pytest
from wire_samples import TEXT, assert_differences, joined, small_response, small_wires, track

from lartpc.arrays import owners
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.fit.agreement import differences_of_wires
from lartpc.gradients.waveforms import WireTrace, waveform_slopes
from lartpc.simulation.wires import WireSimulation
from lartpc.wires.fieldresponse import with_charge
from lartpc.wires.readout import ORDERS

USUAL = small_response(small_wires())
TWICE = dataclasses.replace(USUAL, current=(2.0 * USUAL.current[0], USUAL.current[1]))
U_WIRES = 83  # of an anode
HALF = {"file": "other.npz", "plane": "U", "wires": [[0, 40], 42, [U_WIRES, 2 * U_WIRES - 1]]}


def slower():
    """A response of another shape and, as it goes on for longer, longer tables."""
    currents = []
    for current, charge in zip(USUAL.current, USUAL.charge, strict=True):
        late = np.pad(current, ((0, 0), (25, 15)))
        mixed = late + 0.3 * np.roll(late, 9, axis=1) + 0.1 * np.roll(late, 1, axis=0)
        currents.append(with_charge(mixed, charge, USUAL.sampling))
    return dataclasses.replace(USUAL, current=tuple(currents))


def with_others(folder, rows, response=None):
    """The small detector in whose YAML `rows` are; `response` is in the file other.npz."""
    if response is not None:
        response.write(folder / "other.npz", overwrite=True)
    path = folder / "wires.yaml"
    text = TEXT.format(rc=[], angle=35.0, of_u="")
    path.write_text(text.replace("  ground: 3.0\n", f"  ground: 3.0\n  others: {json.dumps(rows)}\n"))
    return WireDetector.load(path)


def simulation_of(detector, response=USUAL, **more):
    return WireSimulation(detector, response=response, dtype=np.float64, **more)


def crossing():
    """A line over the wires 35 to 45 of U and 19 to 32 of W, in both anodes."""
    return joined(*(track(24, start=(9.6, -3.0, z), direction=(0.9, 0.1, -0.3)) for z in (-3.0, 12.0)))


def by_channel(found):
    """Voltages of each channel: {channel: (first tick of each sample, voltages)}."""
    windows = found.windows
    window = owners(windows.first, len(found.voltage))
    channel = windows.pixel[owners(windows.of_pixel, len(windows.tick))[window]]
    tick = windows.tick[window] + np.arange(len(window)) - windows.first[window]
    return {
        int(one): dict(zip(tick[channel == one], found.voltage[channel == one], strict=True)) for one in set(channel)
    }


def assert_same(found, expected, factor=1.0):
    """Voltages of a channel: where one has no window, the other has nothing."""
    largest = max(map(abs, expected.values()))
    for tick in found.keys() | expected.keys():
        assert abs(found.get(tick, 0.0) - factor * expected.get(tick, 0.0)) < 1e-12 * largest


@pytest.mark.parametrize("order", ORDERS)
def test_twice_the_response_is_twice_the_voltage_on_these_wires_alone(order, tmp_path):
    detector = with_others(tmp_path, [HALF], TWICE)
    mixed, usual = (by_channel(simulation_of(d, order=order)(crossing())[0]) for d in (detector, small_wires()))
    assert mixed.keys() == usual.keys()
    other = detector.channel_response[list(mixed)]
    assert 10 < other.sum() < len(other) - 10
    for channel in mixed:
        if detector.channel_response[channel]:
            assert_same(mixed[channel], usual[channel], 2.0)
        else:
            assert mixed[channel] == usual[channel]  # to the bit


@pytest.mark.parametrize("values", [(14.0, 2.0), (12.0, 2.3)])
@pytest.mark.parametrize("order", ORDERS)
def test_the_response_of_the_wire_that_reads_decides(order, values, tmp_path):
    """Each wire has what it has where all have its response, however near the border; also at another shaping time."""
    rows = [HALF, {"file": "other.npz", "plane": "W", "wires": [[23, 26], 28]}]
    detector = with_others(tmp_path, rows, slower())
    assert len(detector.others) == 1
    found = []
    for simulation in (
        simulation_of(detector, order=order),
        simulation_of(small_wires(), order=order),
        simulation_of(small_wires(), response=slower(), order=order),
    ):
        vector = simulation.vector()
        vector[[simulation.parameters.names.index(name) for name in ("gain", "shaping")]] = values
        found.append(by_channel(simulation.waveforms(simulation.batch(crossing()), vector)))
    mixed, *alone = found
    assert set(detector.channel_response[list(mixed)]) == {0, 1}
    for channel, voltages in mixed.items():
        assert_same(voltages, alone[detector.channel_response[channel]][channel])


def test_both_orders_agree(tmp_path):
    detector = with_others(tmp_path, [HALF], slower())
    one, two = (by_channel(simulation_of(detector, order=order)(crossing())[0]) for order in ORDERS)
    assert one.keys() == two.keys()
    for channel in one:
        assert_same(one[channel], two[channel])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ORDERS)
def test_the_same_response_twice_is_the_same_to_the_bit(order, dtype, tmp_path):
    found = []
    for detector in (with_others(tmp_path, [HALF], USUAL), small_wires()):
        simulation = WireSimulation(detector, response=USUAL, dtype=dtype, order=order)
        trace = WireTrace(simulation, simulation.batch(crossing()), shaping=True)
        voltage = trace.waveforms.voltage
        found.append((voltage, *trace.backward(voltage)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    for name, grad in found[0][2].items():
        np.testing.assert_array_equal(grad, found[1][2][name])


@pytest.mark.parametrize("order", ORDERS)
def test_gradients_across_the_border_are_those_of_differences(order, tmp_path):
    rng = np.random.default_rng(5)
    simulation = simulation_of(with_others(tmp_path, [HALF], slower()), order=order)
    line = track(4, start=(13.0, -3.0, -3.0), direction=(0.9, 0.1, -0.3), dEdx=rng.uniform(1.5, 8.0, 4))
    batch, values = simulation.batch(line), simulation.vector()
    trace = WireTrace(simulation, batch, shaping=True)
    windows = trace.waveforms.windows
    seen = simulation.detector.channel_response[windows.pixel[simulation.detector.channel_kind[windows.pixel] == 0]]
    assert set(seen) == {0, 1}
    weight = rng.normal(size=trace.waveforms.voltage.shape)
    by_parameters, by_segments = trace.backward(weight)
    names = ("lifetime", "vdrift", "tran_diff", "long_diff", "shaping")
    slots = [simulation.parameters.names.index(name) for name in names]
    _, slopes = waveform_slopes(simulation, batch, values, slots)

    def loss(vector, of=batch):
        return simulation.waveforms(of, vector).voltage @ weight

    for k, (name, slot) in enumerate(zip(names, slots, strict=True)):
        h = 1e-5 * values[slot]
        low, high = values.copy(), values.copy()
        low[slot], high[slot] = low[slot] - h, high[slot] + h
        assert by_parameters[name] == pytest.approx((loss(high) - loss(low)) / (2.0 * h), rel=1e-6)
        if order == "pairs":  # in which slopes are found
            assert slopes[k] @ weight == pytest.approx(by_parameters[name], rel=1e-9)
    assert_differences(batch, by_segments, lambda of: loss(values, of))


def test_wires_are_counted_through_the_anodes(tmp_path):
    """Of two anodes of 83 wires of U and 60 of W each: channels 0 to 82, 83 to 142, 143 to 225, 226 to 285."""
    rows = [
        {"file": "a.npz", "plane": "U", "wires": [3, [81, 85]]},
        {"file": "b.npz", "plane": "W", "wires": [[59, 60]]},
        {"file": "a.npz", "plane": "U", "wires": [165, 4]},
    ]
    detector = with_others(tmp_path, rows)
    a, b = detector.others
    assert a.file == str(tmp_path / "a.npz")
    assert a.channels.tolist() == [3, 4, 81, 82, 143, 144, 145, 225] and b.channels.tolist() == [142, 226]
    assert np.flatnonzero(detector.channel_response == 2).tolist() == [142, 226]
    told = [[[3, 4], [81, 82], [143, 145], [225, 225]], [[142, 142], [226, 226]]]
    assert detector.describe()["other_responses"] == told


ROW = {"file": "other.npz", "plane": "U", "wires": [1]}


@pytest.mark.parametrize(
    "rows, told",
    [
        ([], "others: found [], allowed is a list of 1 to 1000"),
        ({}, "others: found {}, allowed is a list of 1 to 1000"),
        ([3], "others[0]: found 3, allowed is a mapping of file, plane, wires"),
        ([{"file": "other.npz", "plane": "U"}], "others[0]: wires is missing, found are file, plane"),
        ([ROW | {"wire": 3}], "others[0]: key 'wire' is not known, nearest is 'wires'"),
        ([ROW | {"file": 3}], "others[0]: file: found 3, allowed is the name of a file"),
        ([ROW, ROW | {"plane": "Y"}], "others[1]: plane: found 'Y', allowed is U or W"),
        ([ROW | {"wires": 3}], "others[0]: wires: found 3, allowed is a list of numbers, or [first, last]"),
        ([ROW | {"wires": []}], "others[0]: wires: found [], allowed is a list of numbers, or [first, last]"),
        ([ROW | {"wires": [166]}], "others[0]: wires: found 166, allowed is a whole number from 0 to 165"),
        ([ROW | {"wires": [[0, -1]]}], "others[0]: wires: found -1, allowed is a whole number from 0 to 165"),
        ([ROW | {"wires": [[1, 2, 3]]}], "others[0]: wires: found [1, 2, 3], allowed is a whole number from 0 to 165"),
        ([ROW | {"wires": [[9, 7]]}], "others[0]: wires: found [9, 7], allowed is the first before the last"),
        (
            [ROW, ROW | {"plane": "W"}, ROW | {"wires": [[0, 5]]}],
            "others[2]: wires: found wire 1 in others[0], too, allowed is one response a wire",
        ),
    ],
)
def test_wrong_wires_are_told_in_one_line(rows, told, tmp_path):
    with pytest.raises(InputError) as refused:
        with_others(tmp_path, rows)
    assert str(refused.value) == f"{tmp_path / 'wires.yaml'}: field_response: {told}"


@pytest.mark.parametrize(
    "response, told",
    [
        (None, "cannot be read: No such file or directory"),
        (
            dataclasses.replace(USUAL, pitch=(0.5, 0.3)),
            "plane W: found pitch 0.3 cm, allowed is that of detector small",
        ),
        (dataclasses.replace(USUAL, current=USUAL.current[1:], pitch=(0.5,)), "found 1 planes, allowed are those of"),
        (
            small_response(small_wires(), bins=8),
            "found 8 bins a pitch, 2 wires on each side, allowed are as many as the response of most wires has: 4 and",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_named(response, told, tmp_path):
    detector = with_others(tmp_path, [ROW], response)
    with pytest.raises(InputError) as refused:
        simulation_of(detector)
    assert str(refused.value).startswith(f"{tmp_path / 'other.npz'}: {told}") and "\n" not in str(refused.value)


def test_frames_of_other_responses_are_told_apart(tmp_path):
    """By the channels, and by what is in the files; those of before tell of neither and have one response."""
    usual, mixed = simulation_of(small_wires()), simulation_of(with_others(tmp_path, [HALF], TWICE))
    slow = simulation_of(with_others(tmp_path, [HALF], slower()))
    told = [
        json.loads(json.dumps({"wires": s.detector.describe(), "field_response": s.describe_response()}))
        for s in (usual, mixed)
    ]
    before = {"wires": dict(told[0]["wires"]), "field_response": dict(told[0]["field_response"])}
    del before["wires"]["other_responses"], before["field_response"]["others"]

    def named(settings, simulation):
        return [name for name, *_ in differences_of_wires(settings, simulation)]

    assert named(told[0], usual) == named(told[1], mixed) == named(before, usual) == named({}, mixed) == []
    assert named(told[0], mixed) == named(told[1], usual) == ["other_responses", "response"]
    assert named(told[1], slow) == named(before, mixed) == ["response"]
