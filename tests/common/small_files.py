"""One small valid file of every kind that a command reads."""

import json

import h5py
import numpy as np
import yaml
from commands import succeeds
from segment_tables import BEAM, COORDINATES, NOW, OLD

from lartpc.data.frames import Frame
from lartpc.files import hdf5
from lartpc.formats.frames import write_frame

PITCH = 4.434  # [mm]
GENERATIONS = {"now": NOW, "beam": BEAM, "old": OLD, "oldest": [name for name in OLD if name[0] != "t0"]}
DETECTOR = ["--detector", "detector.yaml", "--layout", "layout.yaml"]
SCAN = [*DETECTOR, "--over", "lifetime", "--points", "2"]


def layout():
    """Two anodes of one tile of 4 x 4 pixels, that two chips read."""
    positions = {1000 * (11 + k // 8) + k % 8: [k % 4, k // 4] for k in range(16)}
    return {
        "pixel_pitch": PITCH,
        "chip_channel_to_position": positions,
        "tile_positions": {1: [-300.0, 0.0, 0.0], 2: [300.0, 0.0, 0.0]},
        "tile_orientations": {1: [1, 1, 1], 2: [-1, 1, -1]},
        "tile_indeces": {1: [1, 0], 2: [2, 0]},
        "tile_chip_to_io": {1: {11: 1001, 12: 1002}, 2: {11: 2001, 12: 2002}},
    }


def detector():
    return {
        "tpc_offsets": [[0.0, 0.0, 0.0]],
        "drift_length": 29.9,
        "module_to_io_groups": {1: [1, 2]},
        "lifetime": [2000.0],
        "e_field": 0.5,
        "vdrift": 0.16,
        "temperature": 87.17,
        "long_diff": 4e-6,
        "tran_diff": 8.8e-6,
        "discrimination_threshold": 4000,
        "larpix_gain": 4e-3,
        "v_cm": 288.0,
        "v_ref": 1300.0,
        "v_pedestal": 580.0,
        "adc_counts": 256,
        "adc_hold_delay": 15,
        "clock_cycle": 0.1,
        "reset_noise_charge": 900,
        "uncorrelated_noise_charge": 500,
        "discriminator_noise": 0,
        "buffer_risetime": 0.1,
        "adc_busy_delay": 9,
        "reset_cycles": 1,
        "clock_reset_period": 10_000_000,
        "tile_map": [[[1]], [[2]]],
        "response_sampling": 0.1,
        "time_window": 8.9,
    }


def segments(names, events=2):
    """A track of four segments an event, in both TPCs, with the fields of a generation."""
    rows = 4 * events
    raw = np.zeros(rows, dtype=[*names, *((name, "f4") for name in [*COORDINATES, "dE", "dEdx"])])
    k = np.arange(rows)
    side = np.where(k % 4 < 2, -1.0, 1.0)
    raw["x_start"], raw["x_end"] = side * 20.0, side * (20.0 - 0.3)
    raw["y_start"], raw["y_end"] = 0.1 * (k % 4), 0.1 * (k % 4) + 0.1
    raw["z_start"], raw["z_end"] = -0.2, 0.3
    raw["dE"], raw["dEdx"] = 1.5, 2.5
    for name in raw.dtype.names:
        if name in ("event_id", "eventID"):
            raw[name] = k // 4 + 7
        elif name in ("segment_id", "traj_id", "trackID"):
            raw[name] = k // (1 if name == "segment_id" else 2)
        elif name in ("t", "t0"):
            raw[name] = k // 4 * 1e6 if name == "t0" else 0.5
    return raw


def particles():
    """The tables of particles that are copied."""
    ids = [("event_id", "u4"), ("traj_id", "u4"), ("vertex_id", "u8")]
    trajectories = np.zeros(4, dtype=[*ids, ("pdg_id", "i4"), ("xyz_start", "f4", (3,)), ("E_start", "f4")])
    vertices = np.zeros(2, dtype=[("event_id", "u4"), ("vertex_id", "u8"), ("t_vert", "f8")])
    trajectories["event_id"], vertices["event_id"] = [7, 7, 8, 8], [7, 8]
    trajectories["traj_id"] = np.arange(4)
    header = np.zeros(2, dtype=[("event_id", "u4"), ("x_vert", "f4")])
    header["event_id"] = [7, 8]
    return {"trajectories": trajectories, "vertices": vertices, "mc_hdr": header, "mc_stack": header}


def table(default, values):
    """An npz of values of pixels."""
    return {"keys": np.arange(len(values)), "values": np.array(values), "default": np.array(default)}


TABLES = {
    "thresholds": table(5000.0, [4000.0, 6000.0, 5e3]),
    "gains": table(4e-3, [3.9e-3, 4.1e-3]),
    "pedestals": table(580.0, [570.0, 590.0]),
}


def response():
    """A table of a pixel and a half, of charge 1 on the own pixel."""
    t, (i, j) = np.arange(40), np.indices((4, 4))
    own = ((i < 2) & (j < 2))[..., None]
    current = np.where(own, 1.0, 0.05) * np.exp(-0.5 * ((t - 30) / 2.0) ** 2)
    current /= 0.1 * np.exp(-0.5 * ((t - 30) / 2.0) ** 2).sum()
    return {"response": current, "time_tick": 0.1, "drift_length": 0.48, "bin_size": 0.1 * PITCH / 4}


_RUN = {"segments": "now.h5", "target": "hits.h5", "detector": "detector.yaml", "layout": "layout.yaml"}
RUNS = [_RUN | {"events": "7:9"}, _RUN | {"layout": ["layout.yaml"], "fix": {"Ab": 0.8}}]
FIT = {
    "parameters": {"lifetime": {"value": 2000.0, "error": 50.0}, "eField": {"value": 0.5, "error": 1e-3}},
    "correlation": [[1.0, 0.2], [0.2, 1.0]],
    "fixed": {"Ab": 0.8, "kb": 0.0486},
    "detector": "detector",
    "recombination": "birks",
    "response": "parametric",
}
CHIPS = {"All": [7], "1-1-11": [0, 1], "2-2-12": [3]}


def frames():
    """Two events of two anodes."""
    samples = (np.arange(40).reshape(4, 10) ** 2 % 97).astype(np.int16)
    channels = np.arange(4)
    return [Frame(event, anode, channels, samples, 0.0, 0.5, 0) for event in (7, 8) for anode in (0, 1)]


def write_all(folder):
    """Write all of them."""
    (folder / "detector.yaml").write_text(yaml.safe_dump(detector()))
    (folder / "layout.yaml").write_text(yaml.safe_dump(layout()))
    (folder / "runs.yaml").write_text(yaml.safe_dump(RUNS))
    (folder / "chips.json").write_text(json.dumps(CHIPS))
    (folder / "pixels.json").write_text(json.dumps([1, 5]))
    for name, names in GENERATIONS.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["tracks" if name == "oldest" else "segments"] = segments(names)
            if name in ("now", "beam"):
                for key, value in particles().items():
                    file[key] = value
    with hdf5.new_hdf5(folder / "frames.h5") as file:
        for frame in frames():
            write_frame(file, frame)
    for name, arrays in TABLES.items():
        np.savez(folder / f"{name}.npz", **arrays)
    np.savez(folder / "response.npz", **response())
    (folder / "fit.json").write_text(json.dumps(FIT))
    succeeds("simulate", "now.h5", "-o", "hits.h5", *DETECTOR, "--packets", "packets.h5", "--waveforms")
    succeeds("scan", "now.h5", "hits.h5", "-o", "scan", *SCAN)
