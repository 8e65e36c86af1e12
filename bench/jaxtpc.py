"""JAXTPC as a peer of wires: `python bench/wires.py speed --jaxtpc PATH`, PATH a checkout of DeepLearnPhysics/JAXTPC.

Nothing of it is here: a process of its own imports it from there and calls what its README names. Its SBND
(config/sbnd_config.yaml): three planes of 3 mm, a response of 20 wires by 10 bins (ours: 21), ticks of 0.5 us, the
ellipsoidal modified box; velocity, lifetime and diffusions are given to it. What differs: its responses have 160 ticks,
with the amplifier; it reads 2,501 ticks (ours 3,427); diffusion is between two of 16 blurs (each cloud its own).

TPCs without deposits are left out, arrays are as long as they have to be, tracks get no labels, and deposits are in its
arrays beforehand, as ours are in a batch. voltages: `process_event` with buckets. frames: with electronics, noise and
ADC on arrays of all wires, as at 6aff5db `process_event` fails on buckets with electronics; noise is of all wires (ours
of those that see charge). gradient: the jitted value and gradient of the sum of squares of `forward_segments`, by all
of its parameters, positions and energies; it has no angles, and holds all deposits at once.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import memory
import numpy as np

CHUNK = 100  # deposits; 50 to 1,067 take about as much of the processor
DENSE_CHUNK = 5335  # each chunk adds arrays of all wires
BUCKETS = 32  # of a plane, doubled until they suffice
DRIFT = ("vdrift", "lifetime", "long_diff", "tran_diff")  # that it is given
HELD = 1e5  # deposits; a gradient by it takes some 0.6 MB of each


def missing(checkout):
    """What is missing to run it, in a line; None: nothing."""
    if not (Path(checkout) / "tools" / "simulation.py").exists():
        return f"{checkout}: found no tools/simulation.py, wanted is a checkout of DeepLearnPhysics/JAXTPC"
    return None if importlib.util.find_spec("jax") else "JAXTPC needs jax: pip install '.[bench]'"


class Peer:
    """The process of one kind of run of an event. Where it ends early, `close` tells why."""

    def __init__(self, checkout, segments, parameters, kind):
        self.folder, self.log, self.runs = tempfile.TemporaryDirectory(), tempfile.TemporaryFile("w+"), []
        path = Path(self.folder.name) / "deposits.npz"
        np.savez(path, **in_its_form(segments), **{name: parameters.value(name) for name in DRIFT})
        command = [sys.executable, __file__, checkout, str(path), kind]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, "JAX_PLATFORMS": "cpu"}, **pipes)
        self.read()  # compiled

    def read(self):
        if line := self.process.stdout.readline():
            self.runs.append(json.loads(line))

    def run(self):
        """Once more."""
        if self.process.poll() is None:
            print(file=self.process.stdin, flush=True)
            self.read()

    def close(self):
        """What the first run told, and the least of the others, or {"failed": why}."""
        self.process.communicate()
        self.folder.cleanup()
        self.log.seek(0)
        lines = self.log.read().strip().splitlines() or ["it ended"]
        if self.process.returncode:
            return {"failed": "out of memory" if self.process.returncode == -9 else lines[-1]}
        first, *others = self.runs
        return first | {key: min(one[key] for one in others) for key in others[0]}


def in_its_form(segments):
    """Positions [mm] (n, 3) with the drift along x, energies [MeV], lengths [mm], angles of the segments."""
    start, end = (np.column_stack([getattr(segments, f"{a}_{e}") for a in "zyx"]) for e in ("start", "end"))
    along = (end - start) / np.linalg.norm(end - start, axis=1)[:, None]
    angles = {"theta": np.arccos(along[:, 2]), "phi": np.arctan2(along[:, 1], along[:, 0])}
    return {"position": 5.0 * (start + end), "dE": segments.dE, "dx": 10.0 * segments.dE / segments.dEdx, **angles}


class Theirs:
    """One event in JAXTPC, which is on the path."""

    def __init__(self, checkout, deposits):
        from tools.geometry import generate_detector

        self.deposits, self.config = deposits, generate_detector(str(Path(checkout) / "config" / "sbnd_config.yaml"))
        self.config["simulation"]["drift"] |= {
            "velocity": 10.0 * float(deposits["vdrift"]),  # [mm/us], [ms], [cm^2/s]
            "electron_lifetime": 1e-3 * float(deposits["lifetime"]),
            "longitudinal_diffusion": 1e6 * float(deposits["long_diff"]),
            "transverse_diffusion": 1e6 * float(deposits["tran_diff"]),
        }
        x = 0.1 * deposits["position"][:, 0]
        ranges = [volume["geometry"]["ranges"][0] for volume in self.config["volumes"]]
        inside = [int(((x >= low) & (x < high)).sum()) for low, high in ranges]
        self.config["volumes"] = [one for one, n in zip(self.config["volumes"], inside, strict=True) if n]
        self.longest = max(inside)

    def event(self, chunk, **options):
        """A run of `process_event`."""
        from tools.loader import build_deposit_data
        from tools.simulation import DetectorSimulator

        chunk, given = min(chunk, self.longest), self.deposits
        size = {"total_pad": -(-self.longest // chunk) * chunk, "response_chunk_size": chunk}
        made = DetectorSimulator(self.config, include_track_hits=False, **size, **options)
        angles = {name: given[name] for name in ("theta", "phi")}
        event = build_deposit_data(given["position"], given["dE"], given["dx"], made.config, **angles)
        return lambda: made.process_event(event)[0]

    def voltages(self):
        buckets = BUCKETS
        while True:
            run = self.event(CHUNK, use_bucketed=True, max_active_buckets=buckets)
            try:
                run()
            except RuntimeError as failure:  # too few
                if "overflow" not in str(failure):
                    raise
                buckets *= 2
            else:
                return run

    def frames(self):
        lit = max(int((np.abs(plane).max(axis=1) > 0.0).sum()) for plane in self.event(DENSE_CHUNK)().values())
        every = dict.fromkeys(("include_electronics", "include_noise", "include_digitize"), True)
        return self.event(DENSE_CHUNK, electronics_chunk_size=lit, **every)

    def gradient(self):
        import jax
        from tools.simulation import DetectorSimulator

        made = DetectorSimulator(self.config, differentiable=True, n_segments=len(self.deposits["dE"]))
        position, dE, dx = (self.deposits[name].astype(np.float32) for name in ("position", "dE", "dx"))

        def loss(parameters, position, dE):
            return sum((one**2).sum() for one in made.forward_segments(parameters, position, dE, dx))

        program = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))
        return lambda: program(made.default_sim_params, position, dE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout")
    parser.add_argument("deposits")
    parser.add_argument("kind", choices=("voltages", "frames", "gradient"))
    arguments = parser.parse_args()
    sys.path.insert(0, arguments.checkout)
    started = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # what it tells about itself
        import jax

        event = Theirs(arguments.checkout, dict(np.load(arguments.deposits)))
        run = getattr(event, arguments.kind)()
        jax.block_until_ready(run())
    print(json.dumps({"first_s": time.perf_counter() - started, "jax": jax.__version__}), flush=True)
    for _ in sys.stdin:
        wall, busy = time.perf_counter(), time.process_time()
        jax.block_until_ready(run())
        seconds = {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - busy}
        print(json.dumps(seconds | {"memory_MB": memory.peak()}), flush=True)


if __name__ == "__main__":
    main()
