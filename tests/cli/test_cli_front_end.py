"""Commands with values of pixels, and the front end's keys in a detector's file."""

import h5py
import numpy as np
import pytest
from commands import lartpc_command
from front_ends import LARNDSIM

from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.generator.generate import generate

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("in.h5", "w") as file:
        file["segments"] = generate("muons", Detector.module0(), events=1, seed=1)[:40]
    for name, value in {"thresholds": 7000.0, "gains": 4e-3, "pedestals": 580.0}.items():
        np.savez(f"{name}.npz", keys=np.arange(0, 70000, 2), values=np.full(35000, 1.1 * value), default=value)
    return tmp_path


@pytest.mark.slow
def test_commands_take_values_of_pixels(folder):
    given = [part for name in ("thresholds", "gains", "pedestals") for part in (f"--{name}", f"{name}.npz")]
    assert lartpc_command("simulate", "in.h5", "-o", "hits.h5", *given).exit_code == 0
    fit = ("calibrate", "in.h5", "hits.h5", "-o", "fit", "--fit", "eField", "--rounded")
    for name in ("thresholds", "gains", "pedestals"):
        others = [part for part in given if name not in part]
        refused = lartpc_command(*fit, *others)
        assert refused.exit_code == 2
        expected = f"hits.h5: hits with {name} of pixels, which the file does not hold and the detector needs"
        assert refused.stderr == f"lartpc: {expected}: see --{name}\n"
    assert lartpc_command(*fit, *given).exit_code == 0
    scan = ("scan", "in.h5", "hits.h5", "-o", "scan", "--over", "eField=0.499:0.501", "--points", "3")
    assert lartpc_command(*scan, *given).exit_code == 0
    plain, of_pixels = (lartpc_command("forecast", "in.h5", "--fit", "eField", *more).stdout for more in ((), given))
    assert plain != of_pixels
    np.savez("gains.npz", keys=[1], values=[0.0], default=4e-3)
    refused = lartpc_command("forecast", "in.h5", *given)
    assert refused.stderr == "lartpc: gains.npz: values: found 0, allowed are finite values above 0 [mV/e]\n"


@pytest.mark.slow
def test_the_keys_of_a_file_switch_it_on(folder):
    (folder / "detector.yaml").write_text("".join(f"{name}: {value}\n" for name, value in LARNDSIM.items()))
    detector = Detector.load(folder / "detector.yaml")
    assert {name: getattr(detector, name) for name in LARNDSIM} == LARNDSIM
    assert {getattr(Detector.module0(), name) for name in LARNDSIM} == {0}
    (folder / "detector.yaml").write_text("adc_busy_delay: -1\n")
    with pytest.raises(InputError, match="adc_busy_delay: found -1, allowed is a whole number from 0"):
        Detector.load(folder / "detector.yaml")
