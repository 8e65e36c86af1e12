"""Detectors of several modules, with a field and a lifetime of their own."""

import dataclasses
import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from helpers import make_segments
from layouts import layout, properties

from lartpc.charge.velocity import drift_velocities
from lartpc.cli.main import main
from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.files.hdf5 import new_hdf5
from lartpc.fit.calibrate import calibrate, check_names
from lartpc.fit.forecast import expected_errors
from lartpc.formats.edepsim import from_table
from lartpc.formats.larndsim_columns import filled_segments
from lartpc.generator.generate import generate
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.kernels.charge.drift import drift_velocity
from lartpc.kernels.runtime import slots
from lartpc.losses.objective import Objective
from lartpc.losses.target import Target
from lartpc.parameters import Parameters
from lartpc.settings import Settings
from lartpc.simulation.simulation import Simulation

OWN = {"eField.0": 0.5, "eField.1": 0.48, "eField.2": 0.515, "eField.3": 0.49}
OWN |= {"lifetime.0": 1500.0, "lifetime.1": 2600.0, "lifetime.2": 1100.0, "lifetime.3": 1900.0}
TRUTH = Parameters(Ab=0.82, kb=0.055, long_diff=5e-6, tran_diff=9.5e-6, modules=OWN)
TWO_BY_TWO = Detector.built_in("2x2")


def tracks(detector, tpcs=None, seed=3, events=1, length=6):
    """In each event a straight track of segments of 0.4 cm in each TPC, or in those given."""
    rng = np.random.default_rng(seed)
    tpcs = np.arange(len(detector.z_anode)) if tpcs is None else np.asarray(tpcs)
    tpcs = np.tile(tpcs, events)
    z = detector.z_anode[tpcs] + rng.uniform(0.2, 0.8, len(tpcs)) * (detector.z_cathode - detector.z_anode)[tpcs]
    low, high = detector.x_lo[tpcs] + 5.0, detector.x_hi[tpcs] - 5.0
    at = np.stack((rng.uniform(low, high), rng.uniform(-50.0, 50.0, len(tpcs)), z), axis=1)
    step = rng.normal(size=(len(tpcs), 3))
    step *= 0.4 / np.linalg.norm(step, axis=1, keepdims=True)
    k = np.arange(length)[:, None]
    start = (at[:, None] + k * step[:, None]).reshape(-1, 3)
    end = (at[:, None] + (k + 1) * step[:, None]).reshape(-1, 3)
    event = np.repeat(np.arange(len(tpcs)) // (len(tpcs) // events), length)
    return make_segments(start, end, dE=1.0, dEdx=2.5, event_id=event)


def muons(detector, events, seed=0):
    return from_table(generate("muons", detector, events, seed), "generated")


def of_module(hits, detector, m):
    """The columns of the hits in one module."""
    here = detector.module[hits.tpc] == m
    return {name: column[here] for name, column in vars(hits).items()}


# --- built-in detectors


def test_2x2_has_four_modules_of_which_the_third_has_smaller_pixels():
    d = TWO_BY_TWO
    assert (d.name, d.n_modules, len(d.z_anode)) == ("2x2", 4, 8)
    np.testing.assert_array_equal(d.module, [0, 0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_allclose(d.pitch, [0.4434] * 4 + [0.388] * 2 + [0.4434] * 2)
    np.testing.assert_array_equal(d.n_x, [140] * 4 + [160] * 2 + [140] * 2)
    np.testing.assert_array_equal(d.n_y, [280] * 4 + [320] * 2 + [280] * 2)
    np.testing.assert_array_equal(d.first_pixel[4:7], 39200 * 4 + 51200 * np.arange(3))
    assert (d.threshold, d.gain, d.v_cm, d.v_ref) == (5000.0, 4.522e-3, 478.1, 1568.0)
    np.testing.assert_allclose(np.abs(d.z_anode - d.z_cathode), 30.27225)


def test_ndlar_has_14_million_pixels():
    d = Detector.built_in("ndlar")
    assert (d.n_modules, len(d.z_anode), int((d.n_x * d.n_y).sum())) == (35, 70, 14_336_000)
    assert set(zip(d.n_x.tolist(), d.n_y.tolist(), d.pitch.round(9).tolist(), strict=True)) == {(256, 800, 0.38)}
    np.testing.assert_allclose(np.abs(d.z_anode - d.z_cathode), 50.4)
    # seven modules along the drift, five along the beam
    assert (len(np.unique(d.z_cathode.round(6))), len(np.unique(d.x_lo.round(6)))) == (7, 5)
    assert d.threshold == 5000.0


@pytest.mark.parametrize("name", ["module0", "2x2", "ndlar"])
def test_volumes_do_not_overlap_and_are_as_wide_as_their_pixels(name):
    d = Detector.built_in(name)
    low = np.stack((d.x_lo, d.y_lo, np.minimum(d.z_anode, d.z_cathode)), axis=1)
    high = np.stack((d.x_hi, d.y_hi, np.maximum(d.z_anode, d.z_cathode)), axis=1)
    common = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    np.testing.assert_array_equal((common > 1e-6).all(axis=2), np.eye(len(low), dtype=bool))
    assert np.all(np.abs(d.n_x * d.pitch - (d.x_hi - d.x_lo)) < 0.1)
    assert np.all(np.abs(d.n_y * d.pitch - (d.y_hi - d.y_lo)) < 0.1)


def test_2x2_is_what_the_files_of_larnd_sim_describe(reference):
    d = Detector.load(reference / "data/2x2.yaml", reference / "data/multi_tile_layout-2.4.16.yaml")
    for name in ("x_lo", "x_hi", "y_lo", "y_hi", "z_anode", "z_cathode", "pitch", "n_x", "n_y", "module"):
        found, expected = (getattr(detector, name)[[0, 1, 2, 3, 6, 7]] for detector in (d, TWO_BY_TWO))
        np.testing.assert_allclose(found, expected, atol=1e-9, err_msg=name)
    electronics = ("threshold", "gain", "v_cm", "v_ref", "v_pedestal", "adc_counts", "hold_ticks", "tick")
    assert [getattr(d, name) for name in electronics] == [getattr(TWO_BY_TWO, name) for name in electronics]


@pytest.mark.parametrize("name", ["2x2", "ndlar"])
def test_muons_reach_every_tpc(name):
    d = Detector.built_in(name)
    segments = muons(d, 8)
    middle = [0.5 * (getattr(segments, f"{axis}_start") + getattr(segments, f"{axis}_end")) for axis in "xyz"]
    x, y, z = (at[:, None] for at in middle)
    inside = (d.x_lo < x) & (x < d.x_hi) & (d.y_lo < y) & (y < d.y_hi)
    inside &= (np.minimum(d.z_anode, d.z_cathode) < z) & (z < np.maximum(d.z_anode, d.z_cathode))
    assert (inside.sum(axis=0) > 0).all() and inside.sum(axis=1).max() == 1


def test_an_unknown_detector_is_refused():
    with pytest.raises(InputError, match="detector: found 'nd', allowed is module0, 2x2, ndlar"):
        Detector.built_in("nd")


# --- pieces


def test_a_segment_through_all_modules_is_cut_at_their_borders():
    """Along the drift axis through two modules of two TPCs: each has the share of the energy that is inside."""
    start, end = (33.5, 10.0, -80.0), (33.5, 10.0, 80.0)
    segments = make_segments(start, end, dE=160.0, dEdx=1.0)
    simulation = Simulation(TWO_BY_TWO, dtype=np.float64)
    steps = simulation.waveforms(simulation.batch(segments), simulation.vector()).steps
    electrons = np.bincount(steps.volume, steps.electrons, 8)
    crossed = [0, 1, 4, 5]
    assert np.flatnonzero(electrons).tolist() == crossed
    np.testing.assert_allclose(electrons[crossed] / electrons.sum(), 0.25, rtol=1e-12)
    p, dE = Parameters(), 30.27225
    escaped = p.Ab / (1.0 + p.kb * 1.0 / (p.eField * p.lArDensity)) * dE * p.MeVToElectrons
    np.testing.assert_allclose(electrons[crossed], escaped, rtol=1e-12)


def test_parts_of_an_event_are_the_same_bits_as_the_whole():
    segments = muons(TWO_BY_TWO, 1)
    segments = segments.select(np.arange(len(segments)) % 8 == 0)
    whole, parts = (
        Simulation(TWO_BY_TWO, TRUTH, noise=True, seed=2, settings=Settings(steps_per_batch=n)) for n in (10**9, 1000)
    )
    chosen = parts.parts(parts.batch(segments))
    assert len(chosen) > 3
    assert sorted(v for _, part in chosen for v in part.volumes) == list(range(8))
    a, b = (simulation(segments, waveforms=True, truth=True) for simulation in (whole, parts))
    for name in vars(a.hits):
        np.testing.assert_array_equal(getattr(a.hits, name), getattr(b.hits, name), err_msg=name)
    for name in vars(a.waveforms):
        np.testing.assert_array_equal(getattr(a.waveforms, name), getattr(b.waveforms, name), err_msg=name)
    for name, one, other in zip(a.truth._fields, a.truth, b.truth, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    np.testing.assert_allclose(a.summary, b.summary, rtol=1e-12)
    assert a.summary[:3] == b.summary[:3] and 0 < a.summary.kept < len(segments)


def test_a_likelihood_in_parts_is_that_of_the_whole():
    segments = tracks(TWO_BY_TWO)
    hits = Simulation(TWO_BY_TWO, TRUTH, noise=True, seed=1)(segments).hits
    stray = hits.pixel_id.max() + 1000  # of a pixel that sees nothing
    hits = type(hits)(**{name: np.append(column, column[-1]) for name, column in vars(hits).items()})
    hits.pixel_id[-1] = stray
    names = ("Ab", "eField.2", "lifetime.2")
    found = []
    for most in (10**9, 60):
        simulation = Simulation(TWO_BY_TWO, TRUTH, dtype=np.float64)
        batches = simulation.batches(segments, most, whole=False)
        objective = Objective("likelihood", simulation, batches, Target(hits, TWO_BY_TWO), names)
        found.append((len(batches), objective(TRUTH.vector(np.float64))))
    (one, whole), (several, parts) = found
    assert one == 1 and several > 3
    assert (whole.hits, whole.unmatched) == (parts.hits, parts.unmatched) == (len(hits) - 1, 1)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    np.testing.assert_allclose(parts.gradient, whole.gradient, rtol=1e-9)


# --- fields and lifetimes of modules


def test_each_module_is_simulated_with_its_own_values():
    """As a detector is that has them everywhere, to the bit."""
    segments = tracks(TWO_BY_TWO)
    hits = Simulation(TWO_BY_TWO, TRUTH, noise=True, seed=4)(segments).hits
    for m in range(4):
        alike = TRUTH.replace(eField=OWN[f"eField.{m}"], lifetime=OWN[f"lifetime.{m}"])
        assert alike.modules == {}
        expected = Simulation(TWO_BY_TWO, alike, noise=True, seed=4)(segments).hits
        found, expected = of_module(hits, TWO_BY_TWO, m), of_module(expected, TWO_BY_TWO, m)
        assert len(found["t"]) > 10
        for name in found:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{name} of module {m}")


def test_filled_columns_are_by_the_velocity_of_the_module():
    segments = tracks(TWO_BY_TWO)
    result = Simulation(TWO_BY_TWO, TRUTH)(segments, truth=True)
    table = filled_segments(segments, result.truth, TWO_BY_TWO, TRUTH)
    middle = 0.5 * (segments.z_start + segments.z_end)
    distance = np.abs(middle - TWO_BY_TWO.z_anode[table["pixel_plane"]])
    v = np.array([drift_velocity(OWN[f"eField.{m}"], Parameters().table(1), 0) for m in range(4)])
    np.testing.assert_allclose(drift_velocities(TWO_BY_TWO, TRUTH), v, rtol=1e-12)
    np.testing.assert_allclose(table["t"], distance / v[TWO_BY_TWO.module[table["pixel_plane"]]], rtol=1e-5)


def test_modules_without_a_value_of_their_own_have_the_common_one():
    p = Parameters(lifetime=2000.0).replace(**{"lifetime.3": 1000.0, "eField.1": 0.48})
    assert p.names[len(slots.PARAMETERS) :] == ("eField.1", "lifetime.3")
    assert (p.value("lifetime.0"), p.value("lifetime.3"), p.value("eField.1")) == (2000.0, 1000.0, 0.48)
    table = p.table(4)
    np.testing.assert_array_equal(table[:, 3], [2000.0, 2000.0, 2000.0, 1000.0])
    np.testing.assert_array_equal(table[:, 2], [0.5, 0.48, 0.5, 0.5])
    assert p.replace(lifetime=1500.0).modules == {"eField.1": 0.48}
    assert p.replace(**p.as_dict()) == p
    assert p.apart(("lifetime.0", "Ab")).modules == {"eField.1": 0.48, "lifetime.0": 2000.0, "lifetime.3": 1000.0}
    acting = Simulation(TWO_BY_TWO, TRUTH).acting()
    assert "eField" not in acting and acting[-8:] == list(OWN)
    assert "eField" in Simulation(TWO_BY_TWO, p).acting()


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"eField.4": 0.5}, "parameter eField.4: the detector has no module 4, allowed are modules 0 to 3"),
        ({"lifetime.-1": 1e3}, "parameter lifetime.-1: not known, nearest is lifetime;"),
        ({"lifetime.x": 1e3}, "parameter lifetime.x: not known"),
        ({"lifetime.1": 1e3, "lifetime.01": 2e3}, "parameter lifetime.01: not known"),
        ({"lifetime." + 5000 * "9": 1e3}, "parameter lifetime.99999"),
        ({"kb.0": 0.05}, "parameter kb.0: not known, nearest is kb;"),
        ({"eField.0": 50.0}, "parameter eField.0: found 50.0, allowed is a number above 0 and up to 10 [kV/cm]"),
        ({"eField.0": None}, "parameter eField.0: found None"),
    ],
)
def test_wrong_values_of_modules_are_refused_in_one_line(values, what):
    with pytest.raises(InputError) as error:
        Simulation(TWO_BY_TWO, Parameters().replace(**values))
    assert str(error.value).startswith(what) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("eField.7",), "parameter eField.7: the detector has no module 7, allowed are modules 0 to 3"),
        (("Ab.0",), "fit: parameter Ab.0 is not known, nearest is Ab"),
        (("eField", "eField.1"), "fit: eField is that of all modules, but eField.1 are of single ones: fit these"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(names, what):
    with pytest.raises(InputError) as error:
        check_names(Simulation(TWO_BY_TWO), names)
    assert str(error.value) == what
    with pytest.raises(InputError, match=r"fit: lifetime is that of all modules, but lifetime.0, lifetime.1"):
        check_names(Simulation(TWO_BY_TWO, TRUTH), ("lifetime",))


# --- gradients


@pytest.mark.parametrize("names", [("eField.0", "lifetime.2"), ("eField.2", "lifetime.1"), ("eField", "lifetime")])
def test_gradients_by_values_of_modules(names, one_thread):
    """Against central differences to 1e-5, Taylor slope 2; the common ones of modules 1 to 3 where 0 has its own."""
    parameters = (
        TRUTH if "." in names[0] else TRUTH.replace(eField=0.5, lifetime=2e3, **{"eField.0": 0.49, "lifetime.0": 1e3})
    )
    simulation = Simulation(TWO_BY_TWO, parameters, dtype=np.float64, settings=SMOOTH)
    report = gradcheck(simulation, tracks(TWO_BY_TWO, length=4), names)
    assert report.hits > 30 and {row.parameter for row in report.rows} == set(names)
    assert report.passed, [row for row in report.rows if not row.passed]


def test_hits_come_earlier_with_more_field_in_their_own_module():
    segments = tracks(TWO_BY_TWO)
    simulation = Simulation(TWO_BY_TWO, TRUTH, dtype=np.float64)
    trace = Trace(simulation, simulation.batch(segments))
    used = np.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]
    module = TWO_BY_TWO.module[TWO_BY_TWO.locate(trace.waveforms.windows.pixel)[0]]
    for m in range(4):
        here = used & (module == m)[:, None]
        found = trace.backward(time=here.astype(np.float64) / here.sum()).parameters
        assert found[f"eField.{m}"] < -50.0  # of a drift of some 30 to 150 us, with d(ln v)/d(ln E) near 0.6
        others = [found[name] for name in OWN if not name.endswith(f".{m}")]
        assert not np.any(others) and found["eField"] == found["lifetime"] == 0.0
        found = trace.backward(charge=here.astype(np.float64)).parameters
        assert found[f"lifetime.{m}"] > 0.0 and found[f"eField.{m}"] > 0.0


def test_the_gradient_of_a_common_value_is_the_sum_over_the_modules():
    segments = tracks(TWO_BY_TWO)
    common = Simulation(TWO_BY_TWO, dtype=np.float64)
    found = []
    for simulation in (common, common.apart(OWN)):
        trace = Trace(simulation, simulation.batch(segments))
        found.append(trace.backward(current=trace.waveforms.current).parameters)
    for name in ("eField", "lifetime"):
        assert sum(found[1][f"{name}.{m}"] for m in range(4)) == pytest.approx(found[0][name], rel=1e-12)
    for name in ("Ab", "long_diff", "temperature"):
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-12)


@pytest.mark.parametrize("kind", ["likelihood", "matched"])
def test_derivatives_of_a_fit_by_values_of_modules(kind, one_thread):
    """The Jacobian of all residuals, by the adjoints pixel by pixel, against differences."""
    segments = tracks(TWO_BY_TWO, length=3)
    hits = Simulation(TWO_BY_TWO, TRUTH)(segments).hits
    simulation = Simulation(TWO_BY_TWO, TRUTH, dtype=np.float64, settings=SMOOTH)
    names = ("eField.1", "lifetime.2", "kb")
    objective = Objective(kind, simulation, simulation.batches(segments), Target(hits, TWO_BY_TWO), names)
    vector = TRUTH.vector(np.float64)
    linear = objective(vector)
    assert linear.hits > 30 and (np.abs(linear.jacobian).max(axis=0) > 0.0).all()
    for k, name in enumerate(names):
        h = 1e-8 * TRUTH.value(name)
        ends = []
        for sign in (1.0, -1.0):
            moved = vector.copy()
            moved[TRUTH.names.index(name)] += sign * h
            ends.append(objective(moved).residual)
        difference = (ends[0] - ends[1]) / (2.0 * h)
        scale = np.abs(difference).max()
        # a read that is just about to move to another tick has a kink there
        off = np.abs(linear.jacobian[:, k] - difference) > 1e-5 * scale
        assert off.mean() < 0.02, (name, off.sum())


def test_gradients_of_events_by_values_of_modules():
    """Of each event, the gradient of a common value is the sum of those of the modules; each module counts."""
    segments = tracks(TWO_BY_TWO, length=3)
    segments = dataclasses.replace(segments, event_id=np.arange(len(segments)) % 2)
    target = Target(Simulation(TWO_BY_TWO, TRUTH)(segments).hits, TWO_BY_TWO)
    common, found = Simulation(TWO_BY_TWO, dtype=np.float64), []
    for simulation, names in ((common, ("eField", "lifetime", "kb")), (common.apart(OWN), (*OWN, "kb"))):
        objective = Objective("mmd", simulation, simulation.batches(segments), target, names)
        found.append(objective(simulation.parameters.vector(np.float64)).gradients)
    assert len(found[0]) > 1 and np.abs(found[1]).max(axis=0).all()
    fields, lifetimes, kb = np.split(found[1], [4, 8], axis=1)
    sums = np.stack((fields.sum(axis=1), lifetimes.sum(axis=1), kb[:, 0]), axis=1)
    np.testing.assert_allclose(sums, found[0], rtol=1e-9)


# --- fits


def test_parameters_of_all_modules_are_fitted_together():
    """Four fields, four lifetimes and what is common, from few muons with noise: all within three errors."""
    segments = muons(TWO_BY_TWO, 1, seed=5)
    segments = segments.select(np.arange(len(segments)) % 20 < 4)
    hits = Simulation(TWO_BY_TWO, TRUTH, noise=True, seed=5)(segments).hits
    names = ("Ab", "kb", "long_diff", "tran_diff", *OWN)
    result = calibrate(Simulation(TWO_BY_TWO), segments, hits, names=names, truth=TRUTH)
    assert result.converged and result.names == names
    pulls = (result.values - result.truth) / result.errors
    assert np.abs(pulls).max() < 3.0 and 0.3 < np.sqrt(np.mean(pulls**2)) < 1.7, pulls
    assert 0.9 < result.mean_square < 1.1
    of_fields = result.errors[4:8] / result.values[4:8]
    assert of_fields.max() < 1e-3  # the modules differ by some per cent
    np.testing.assert_allclose(result.as_dict()["parameters"]["eField.2"]["value"], 0.515, rtol=1e-3)
    bound = expected_errors(Simulation(TWO_BY_TWO, TRUTH), segments, names)
    np.testing.assert_allclose(result.errors, bound, rtol=0.5)
    # fields of different modules have little to do with each other
    assert np.abs(result.correlation[4:8, 4:8] - np.eye(4)).max() < 0.3


# --- layouts and channels


def fine_layout():
    """The layout of layouts.py with pixels of 2.217 mm on the same tiles."""
    content = layout("now")
    content["pixel_pitch"] /= 2.0
    wide = content["chip_channel_to_position"].items()
    content["chip_channel_to_position"] = {
        key + 1000 * (16 * (dx + 2 * dy)): [2 * i + dx, 2 * j + dy]
        for key, (i, j) in wide
        for dx in range(2)
        for dy in range(2)
    }
    chips = range(11, 11 + 64)
    content["tile_chip_to_io"] = {
        t: {c: io[11 + (c - 11) % 16] for c in chips} for t, io in content["tile_chip_to_io"].items()
    }
    return content


@pytest.fixture
def two_layouts(tmp_path):
    """Names of a detector's file of two modules and of their layouts."""
    contents = {"detector": properties("now"), "wide": layout("now"), "fine": fine_layout()}
    for name, content in contents.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return [str(tmp_path / f"{name}.yaml") for name in contents]


def test_each_module_has_its_own_layout(two_layouts):
    file, *layouts = two_layouts
    d = Detector.load(file, layouts)
    np.testing.assert_allclose(d.pitch, [0.4434, 0.4434, 0.2217, 0.2217])
    np.testing.assert_array_equal(d.n_x, [40, 40, 80, 80])
    np.testing.assert_array_equal(d.first_pixel, [0, 1600, 3200, 9600])
    np.testing.assert_allclose(d.x_hi - d.x_lo, d.n_x * d.pitch)
    with pytest.raises(InputError, match="tpc_offsets: found 2 modules for 3 layouts, allowed is one layout, or one a"):
        Detector.load(file, [*layouts, layouts[0]])


def test_channels_of_modules_with_layouts_of_their_own(two_layouts):
    """Every pixel has a channel, which is its alone, in an io_group of its own module."""
    file, *layouts = two_layouts
    d = Detector.load(file, layouts)
    channels = Channels.load(d, file, layouts)
    pixel = np.arange(int((d.n_x * d.n_y).sum()))
    found = channels.of_pixels(d, pixel)
    assert len(np.unique(found, axis=0)) == len(pixel) and found.min() >= 0
    np.testing.assert_array_equal(channels.pixels_of(d, found), pixel)
    tpc = d.locate(pixel)[0]
    assert [set(found[tpc == v, 0]) for v in range(4)] == [{5}, {6}, {8}, {7}]
    assert len(channels.unread(d)) == 0
    assert channels.groups().tolist() == [5, 6, 7, 8]


# --- commands


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "segments.h5"
    with new_hdf5(path) as h5:
        h5.create_dataset("segments", data=generate("muons", TWO_BY_TWO, 1, 0)[::40])
    return str(path)


def run(*arguments):
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_commands_take_values_of_modules(file, tmp_path):
    code, out = run("info", "--detector", "2x2", "--set", "eField.2=0.515", "--set", "lifetime=1800")
    content = json.loads(out)
    assert code == 0 and content["detector"]["tpcs"] == 8
    assert content["parameters"]["eField.2"] == {"value": 0.515, "unit": "kV/cm", "meaning": "drift field"}
    hits = str(tmp_path / "hits.h5")
    code, out = run("simulate", file, "-o", hits, "--detector", "2x2", "--set", "eField.2=0.515", "--no-noise")
    assert code == 0, out
    code, out = run("plot", hits, "-o", str(tmp_path / "event.png"))
    assert code == 0, out
    code, out = run("errors", file, "--detector", "2x2", "--fit", "eField,lifetime,Ab", "--per-module", "eField")
    assert code == 0, out
    assert [line.split()[1] for line in out.splitlines()[1:7]] == [
        *(f"eField.{m}" for m in range(4)),
        "lifetime",
        "Ab",
    ][:6]
    folder = str(tmp_path / "fit")
    fit = ("calibrate", file, hits, "-o", folder, "--detector", "2x2", "--fit", "eField.2", "--start", "eField.2=0.51")
    code, out = run(*fit)
    assert code == 0, out
    fitted = json.loads((tmp_path / "fit/fit.json").read_text())["parameters"]["eField.2"]
    assert fitted["value"] == pytest.approx(0.515, rel=1e-4) and fitted["truth"] == 0.515
    over = ("--over", "eField.2=0.514:0.517", "--over", "eField.1=0.499:0.502", "--points", "4")
    code, out = run("scan", file, hits, "-o", str(tmp_path / "scan"), "--detector", "2x2", *over)
    assert code == 0, out
    assert [line.split()[1:3] for line in out.splitlines()[2:4]] == [["eField.2", "0.515"], ["eField.1", "0.5"]]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("info", "--detector", "2x2", "--set", "eField.4=0.5"), "parameter eField.4: the detector has no module 4"),
        (("info", "--detector", "3x3"), "--detector 3x3: no such file, allowed is module0, 2x2, ndlar or a detector"),
        (("info", "--detector", "2x2", "--layout", "a.yaml"), "--layout a.yaml: allowed only with the YAML"),
        (("errors", "FILE", "--per-module", "kb"), "--per-module kb: allowed are eField, lifetime"),
        (("errors", "FILE", "--fit", "Ab", "--per-module", "eField"), "--per-module eField: is not fitted"),
        (
            ("errors", "FILE", "--fit", "eField.1"),
            "parameter eField.1: the detector has no module 1, allowed are module 0",
        ),
    ],
)
def test_commands_refuse_in_one_line(file, arguments, what):
    code, out = run(*(file if a == "FILE" else a for a in arguments))
    assert code == 2 and what in out and len(out.strip().splitlines()) == 1
