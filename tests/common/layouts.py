"""Two small detectors with pixel layouts in larnd-sim's YAML, of its two generations, and segments in them."""

import numpy as np
import yaml
from helpers import make_segments

from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector

SIDE = 20  # pixels of a tile, four by four chips of 5 x 5 channels
PITCH = 4.434  # [mm]
NOW, OLD = "now", "old"


def chip_channels():
    """Channel numbers with gaps, in an order of their own on each chip, as on real tiles."""
    found = {}
    for chip in range(16):
        numbers = np.random.default_rng(chip).permutation(64)[:25]
        for k, channel in enumerate(numbers.tolist()):
            found[(11 + chip) * 1000 + channel] = [5 * (chip % 4) + k % 5, 5 * (chip // 4) + k // 5]
    return found


def layout(generation):
    """Two anodes of two by two tiles; in the old one a chip of tile 6 is not read."""
    half = 0.5 * SIDE * PITCH
    tiles = [(drift, y, z) for drift in (-304.31, 304.31) for y in (-half, half) for z in (-half, half)]
    indices = {t + 1: [1 + t // 4, t % 4] if generation == NOW else [1, 1 + t // 4, t % 4] for t in range(8)}
    io = {t + 1: {11 + c: 1000 * (1 + t // 4) + 4 * (t % 4) + c // 4 + 1 for c in range(16)} for t in range(8)}
    if generation == OLD:
        del io[6][13]
    return {
        "pixel_pitch": PITCH,
        "chip_channel_to_position": chip_channels(),
        "tile_positions": {t + 1: list(tile) for t, tile in enumerate(tiles)},
        "tile_orientations": {t + 1: [1 if t < 4 else -1, 1 - 2 * (t % 2), 1 - t // 2 % 2 * 2] for t in range(8)},
        "tile_indeces": indices,
        "tile_chip_to_io": io,
    }


def properties(generation):
    """Now two modules, one above the other, of which each has its own io_groups."""
    if generation == OLD:
        return {"tpc_centers": [[0, 0, 0], [0, 0, 0]], "drift_length": 30.27225}
    return {
        "tpc_offsets": [[0, 0, 0], [0, 30.0, 0]],
        "drift_length": 30.27225,
        "module_to_io_groups": {1: [5, 6], 2: [8, 7]},
    }


def write(folder, generation):
    """Names of the detector's and the layout's file."""
    names = folder / f"{generation}-detector.yaml", folder / f"{generation}-layout.yaml"
    for name, content in zip(names, (properties(generation), layout(generation)), strict=True):
        name.write_text(yaml.safe_dump(content))
    return names


def load(folder, generation):
    """The detector and its channels."""
    names = write(folder, generation)
    detector = Detector.load(*names)
    return detector, Channels.load(detector, *names)


def tracks(events=2, dE=0.9, t0=0.0):
    """Straight tracks of ten segments of 0.5 cm, three an event, in both TPCs of the first module; t0 [us] an event."""
    rng = np.random.default_rng(4)
    start, end, event = [], [], []
    for e in range(events):
        for side in (-1, 1, 1):
            at = rng.uniform(-5.0, 5.0, 3) + (0.0, 0.0, 15.0 * side)
            step = rng.normal(size=3)
            step *= 0.5 / np.linalg.norm(step)
            start += [at + k * step for k in range(10)]
            end += [at + (k + 1) * step for k in range(10)]
            event += [e] * 10
    event = np.array(event)
    segments = make_segments(start, end, dE=dE, dEdx=2.0, t0=np.broadcast_to(t0, events)[event], event_id=event)
    segments.segment_id = 7 * np.arange(len(event)) + 3
    segments.traj_id = np.arange(len(event)) // 10 + 100
    return segments
