"""What a file of frames says of its simulation, next to that of a fit."""

import dataclasses
import json

import h5py
import numpy as np
import pytest
from wire_samples import TEXT, small_response, small_simulation, small_wires, track

from lartpc.detector.waveforms import Charges, NoiseModel, Spectra
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.fit.agreement import same
from lartpc.fit.frametarget import FrameTarget
from lartpc.formats.edepsim import write_segments
from lartpc.formats.eventfile import EventFile
from lartpc.simulation.wirefiles import simulate_wire_file
from lartpc.simulation.wires import WireSimulation

FITTED = ("alpha_emb", "vdrift")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    write_segments(folder / "segments.h5", track(10))
    simulate_wire_file(small_simulation(), EventFile(folder / "segments.h5"), folder / "frames.h5")
    return folder / "frames.h5"


def simulation_of(detector=None, response=None):
    detector = small_wires() if detector is None else detector
    return WireSimulation(detector, response=response or small_response(detector))


def check(path, simulation, *trusted):
    FrameTarget(path, simulation.detector, trusted=trusted).check(simulation, FITTED)


def test_the_same_is_taken(made):
    check(made, simulation_of())
    check(made, simulation_of(), "noise", "lifetime", "response")


def scaled(response):
    """Induction with twice the current."""
    return dataclasses.replace(response, current=(2.0 * response.current[0], response.current[1]))


@pytest.mark.parametrize("change", [lambda r: dataclasses.replace(r, vdrift=0.161), scaled])
def test_another_response_is_refused(made, change):
    simulation = simulation_of(response=change(small_response(small_wires())))
    with pytest.raises(InputError, match=r"was simulated with response of .*, the fit takes one of .*--trust-me resp"):
        check(made, simulation)
    check(made, simulation, "response")


def test_another_noise_is_refused(made, tmp_path):
    """Of another charge, of another length that it belongs to, or coherent."""
    for old, new in (("377.0]", "378.0]"), ("[40.0,", "[41.0,"), ("group: 8", "group: 4")):
        path = tmp_path / "other.yaml"
        path.write_text(TEXT.format(rc=[], angle=35.0, of_u="").replace(old, new))
        simulation = simulation_of(WireDetector.load(path))
        with pytest.raises(InputError, match=r"was simulated with noise .*, the fit takes .*--trust-me noise$"):
            check(made, simulation)
        check(made, simulation, "noise")


def test_spectra_are_told_apart_in_plain_numbers():
    spectrum = Spectra(
        np.array([10.0]), np.array([0.0, 0.1, 0.2]), np.ones((1, 3)), np.array([0.1]), 100, 0.5, 14.0, 2.0
    )
    louder = spectrum._replace(amplitude=1.001 * spectrum.amplitude)
    told = [NoiseModel((one, Charges((0.0,), (300.0,))), (0.0, 0.0), 1).describe() for one in (spectrum, louder)]
    assert same(json.loads(json.dumps(told[0])), told[0]) and not same(*told)


def test_files_that_tell_less_are_taken(made, tmp_path):
    """Those of others, and those of before."""
    with h5py.File(made) as file, h5py.File(tmp_path / "frames.h5", "w") as copy:
        file.copy("0", copy)
        for name, value in file.attrs.items():
            copy.attrs[name] = value
        told = json.loads(copy.attrs["wires"])
        del told["noise"], copy.attrs["field_response"]
        copy.attrs["wires"] = json.dumps(told)
    check(tmp_path / "frames.h5", simulation_of(response=scaled(small_response(small_wires()))))
    with h5py.File(tmp_path / "frames.h5", "a") as copy:
        copy.attrs["wires"] = json.dumps(told | {"adc": {**told["adc"], "bits": 10}})
    with pytest.raises(InputError, match="was simulated with adc "):
        check(tmp_path / "frames.h5", simulation_of())


def test_what_is_trusted_must_be_known(made):
    for name in ("nosie", "name", ""):
        with pytest.raises(InputError, match=rf"^--trust-me {name}: is not known, allowed are detector, .*noise or a"):
            check(made, simulation_of(), "noise", name)
