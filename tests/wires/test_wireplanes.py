"""Wires of the built-in detectors and of small ones: how many, where, and which channel reads them."""

import dataclasses
import json

import numpy as np
import pytest
from wire_samples import TEXT, small_wires

from lartpc.detector.wires import BUILT_IN, WireDetector
from lartpc.exceptions import InputError
from lartpc.kernels.wires.pair_wires import count_wires, pair_wires
from lartpc.wires.noise import noise_of

PAIR_COLUMNS = ("pair_step", "pair_wire", "pair_plane", "pair_channel")
# Of all TPCs together: TPCs, channels, and channels of each kind of plane, as the experiments have them.
PUBLISHED = {
    "sbnd": (2, 11264, (3968, 3968, 3328)),
    "microboone": (1, 8256, (2400, 2400, 3456)),
    "icarus": (8, 53248, (8448, 22400, 22400)),
    "dune-fd1": (24, 30720, (9600, 9600, 11520)),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_channels_are_as_many_as_published(name):
    detector = WireDetector.built_in(name)
    of_kinds = np.bincount(detector.channel_kind)
    assert (len(detector.z_anode), detector.n_channels, tuple(of_kinds.tolist())) == PUBLISHED[name]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_wire_has_a_channel_of_its_anode_and_kind(name):
    detector = WireDetector.built_in(name)
    planes = detector.planes
    read = np.zeros(detector.n_channels, dtype=bool)
    for p in range(len(planes.tpc)):
        channel = detector.channels(np.full(planes.wires[p], p), np.arange(planes.wires[p]))
        assert (detector.channel_kind[channel] == planes.kind[p]).all()
        assert (detector.channel_anode[channel] == planes.anode[p]).all()
        read[channel] = True
    assert read.all()


@pytest.mark.parametrize("name", BUILT_IN)
def test_wires_cover_their_planes(name):
    """The length of all wires of a kind times their pitch is the area that they read, but for what is at the edges."""
    detector = WireDetector.built_in(name)
    area = float(np.sum((detector.x_hi - detector.x_lo) * (detector.y_hi - detector.y_lo)))
    for k, kind in enumerate(detector.kinds):
        covered = detector.channel_length[detector.channel_kind == k].sum() * kind.pitch
        assert covered == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("kind", [0, 1])
def test_a_wrapped_wire_goes_on_around_the_edge(kind):
    """Where it leaves the first side of an assembly it enters the second, at the same height."""
    detector = WireDetector.built_in("dune-fd1")
    first, second = kind, detector.planes.per_tpc + kind
    planes = detector.planes
    assert planes.tpc[second] == planes.tpc[first] + 1 and planes.anode[second] == planes.anode[first]
    for edge in (detector.x_lo[0], detector.x_hi[0]):
        heights = []
        for p in (first, second):
            at = planes.origin[p] + np.arange(planes.wires[p]) * planes.pitch[p]
            y = (edge * np.cos(planes.angle[p]) - at) / np.sin(planes.angle[p])
            inside = (y > detector.y_lo[0] + 1.0) & (y < detector.y_hi[0] - 1.0)
            channel = detector.channels(np.full(len(at), p), np.arange(len(at)))
            heights.append(dict(zip(channel[inside].tolist(), y[inside].tolist(), strict=True)))
        both = heights[0].keys() & heights[1].keys()
        assert len(both) > 700
        assert max(abs(heights[0][c] - heights[1][c]) for c in both) < 0.1  # pitch and width are told to that


def test_a_wrapped_channel_is_read_about_three_times():
    detector = WireDetector.built_in("dune-fd1")
    planes = detector.planes
    count = np.zeros(detector.n_channels, dtype=int)
    for p in np.flatnonzero(planes.anode == 0).tolist():
        np.add.at(count, detector.channels(np.full(planes.wires[p], p), np.arange(planes.wires[p])), 1)
    wrapped = count[:1600]
    assert wrapped.min() >= 2 and wrapped.max() == 3
    assert (count[1600:2560] == 1).all()


def test_a_split_anode_has_wires_of_its_own_in_each_part():
    detector = small_wires(of_u=", split: 2")
    planes = detector.planes
    assert len(detector.z_anode) == 4
    first = planes.first_channel[planes.kind == 0]
    assert len(set(first.tolist())) == 4  # of U in each half of each anode
    assert len(set(planes.first_channel[planes.kind == 1].tolist())) == 2  # of W, which runs through both halves


@pytest.mark.parametrize(
    "change, told",
    [
        (("kind: induction", "kind: inductive"), "kind: found 'inductive', allowed is induction or collection"),
        (("pitch: 0.5", "pitch: -1"), "pitch: found -1, allowed is a number from 0.01"),
        (("planes:\n", "plains:\n"), "key 'plains' is not known, nearest is 'planes'"),
        (("bits: 12", "bits: 16"), "adc: bits: found 16, allowed is a whole number from 1 to 15"),
        (("[0.0, 30.0]", "[30.0, 0.0]"), "allowed is a lower edge and a higher one"),
        (("cathode: -0.5", "cathode: -20.0"), "allowed is 1 cm or more"),
        (("shaping: 2.0, rc: [100.0]", "shaping: 2.0, rc: [1, 2, 3]"), "allowed is a list of up to two"),
        (("lifetime: 3000.0", "lifetim: 3000.0"), "parameter lifetim: not known, nearest is lifetime"),
        (
            ("charge:", "spectra: a.json, charge:"),
            "noise: found 'spectra, charge, group', allowed is one of charge, spec",
        ),
        (("charge: [", "spectra: [1, "), "noise: spectra: found "),
        (("lifetime: 3000.0", "eField.1: 0.5"), "parameters: parameter eField.1: the detector has no module 1"),
        (("eField: 0.5", "eField: 0.45"), "eField: found 0.45, allowed is that of field_response: field, 0.5 [kV/cm]"),
        (("eField: 0.5", "shaping: 3.0"), "parameters: shaping: found 3.0, allowed is that of electronics alone"),
        (("name: small", "anodes: []\nname: small"), "key 'anodes' is there twice"),
        (("name: small", "name: [small]"), "name: found ['small'], allowed is a text of 1 to 60 characters"),
        (("name: W", "name: U"), "planes[1]: name: found 'U' of two planes, allowed is a name for each"),
        (("cathode: -0.5", "cathode: 5"), "anodes[1]: found within anodes[0], allowed are TPCs beside each other"),
        (("pitch: 0.5", "pitch: 0.5, wires: 900"), "planes[0]: wires: found 900, allowed are 1 to 85 at this angle"),
        (("pitch: 0.5", "pitch: 0.5, split: 501"), "split: found 501 parts of 2 anodes, allowed are 1000 TPCs"),
        (
            ("pitch: 0.5", "pitch: 0.5, wrap: 97"),
            "planes[0]: wrap: found 97, allowed are the wires around anodes[0]: 98",
        ),
        (("ticks: 600", "ticks: 1"), "readout: ticks: found 1, allowed is a whole number from 2 to"),
        (("first_tick: -20", "first_tick: 900"), "first_tick: found 900, allowed is a whole number from -600 to 600"),
        (("height: 2.0", "height: 20.0"), "field_response: height: found 20, allowed is below the drift, 19.5 [cm]"),
        (("distance: 0.3", "distance: 0.0"), "field_response: distance: found [0.0, 0.0], allowed is a falling order"),
        (
            ("baseline: [880.0", "baseline: [1880.0"),
            "adc: baseline: found [1880.0, 286.0], allowed are numbers from low",
        ),
        (("[40.0, 474.0]", "[0.0, 474.0]"), "noise: charge[0]: found [[0.0, 165.0], [0.0, 474.0]], allowed are rising"),
        ((", 377.0]", "]"), "noise: charge: found [[[0.0, 165.0], [40.0, 474.0]]], allowed is a list of 2"),
        (("group: 8", "coherent: [1, -1]"), "noise: coherent: found [1.0, -1.0], allowed are charges from 0 on [e]"),
    ],
)
def test_a_wrong_yaml_is_told_in_one_line(tmp_path, change, told):
    path = tmp_path / "wires.yaml"
    text = TEXT.format(rc=[100.0], angle=35.0, of_u="")
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    with pytest.raises(InputError) as refused:
        WireDetector.load(path)
    assert told in str(refused.value) and str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)


def test_the_field_is_that_of_the_response(tmp_path):
    path = tmp_path / "wires.yaml"
    path.write_text(
        TEXT.format(rc=[], angle=35.0, of_u="").replace("eField: 0.5, ", "").replace("field: 0.5", "field: 0.4")
    )
    assert WireDetector.load(path).parameters.eField == 0.4


@pytest.mark.parametrize(
    "of_u, told",
    [
        ("", None),
        (", split: 2", "planes[0]: split: found 2 where another plane has 3, allowed are a part of that"),
        (", wrap: 98", "planes[0]: split: found 1 where another plane has 3, allowed are a part of that, and none"),
    ],
)
def test_parts_of_planes_go_into_each_other(tmp_path, of_u, told):
    path = tmp_path / "wires.yaml"
    path.write_text(
        TEXT.format(rc=[], angle=35.0, of_u=of_u).replace("0.0, pitch: 0.5}", "0.0, pitch: 0.5, split: 3}", 1)
    )
    if told is None:
        assert len(WireDetector.load(path).z_anode) == 6
        return
    with pytest.raises(InputError) as refused:
        WireDetector.load(path)
    assert told in str(refused.value)


def test_noise_spectra_are_read_from_a_file_beside_the_yaml(tmp_path):
    row = {"period": 500.0, "nsamples": 600, "gain": 14.0 * 1.602176634e-13, "shaping": 2000.0, "wirelen": 300.0}
    row |= {"const": 1e-9, "freqs": [0.0, 5e-4, 1e-3], "amps": [2e-8, 6e-8, 1e-8]}
    (tmp_path / "noise.json").write_text(json.dumps([row | {"plane": plane} for plane in range(2)]))
    path = tmp_path / "wires.yaml"
    text = TEXT.format(rc=[], angle=35.0, of_u="")
    path.write_text(text.replace("charge: [[[0.0, 165.0], [40.0, 474.0]], 377.0]", "spectra: noise.json"))
    detector = WireDetector.load(path)
    d, channel = detector, np.arange(40)
    of = (d.channel_kind, d.channel_length, d.n_ticks, d.tick, d.electronics)
    found = noise_of(d.noise, channel, np.zeros(40, np.int64), 1, *of)
    f = np.fft.rfftfreq(d.n_ticks, d.tick)
    mean = np.abs(np.fft.rfft(found, axis=1)).mean()
    assert mean == pytest.approx(np.interp(f, [0.0, 0.5, 1.0], [20.0, 60.0, 10.0]).mean(), rel=0.02)


@pytest.mark.parametrize("beyond, last", [(0, []), (1, [(6, 14)])])
def test_pairs_are_of_the_wires_within_reach(beyond, last):
    """A step with charge on wires 1 and 2 of a plane, and on the last of another, whose channels count backwards."""
    planes = np.array([[10, 0, 0, 1, 10], [6, 10, 4, -1, 6]])
    given = {"step_tpc": np.zeros(1, np.int64), "per_tpc": 2, "bins": 4, "reach": 1, "beyond": beyond}
    given |= {"site_r": np.array([6, 20]), "sites_r": np.array([4, 2]), "plane_wires": planes}
    number = np.zeros(1, np.int64)
    count_wires(1, **given, pair_count=number)
    found = np.zeros((4, int(number[0])), np.int64)
    pair_wires(1, **given, first_pair=np.zeros(1, np.int64), **dict(zip(PAIR_COLUMNS, found, strict=True)))
    expected = [(0, 0, wire, wire) for wire in range(4)] + [(0, 1, *pair) for pair in [(4, 10), (5, 15), *last]]
    step, wire, plane, channel = found
    assert list(zip(step, plane, wire, channel, strict=True)) == expected


def test_detectors_do_not_share_what_they_have_found():
    one = small_wires()
    other = dataclasses.replace(one, n_ticks=700)
    assert one.n_ticks == 600 and other.n_channels == one.n_channels
