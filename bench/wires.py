"""Wires: times of one event, and fits of the seven parameters to generated cosmic muons with noise.

python bench/wires.py speed [--detector sbnd]          deposits along 70 cm, and many: voltages, frames, gradient
python bench/wires.py seven [MUONS ...] [--seeds N]    seven parameters, from starts 1 to 60 % off; by default 6 and 25
python bench/wires.py pulls [MUONS] --seeds N          the same, with mean and width of many

Speed: voltages of three planes with 10 wires on either side; with high passes, noise and ADC of all channels that see
charge over the whole readout; value and gradient by all parameters and deposits. Wall time and that of the processor.
Writes bench/results/wires-KIND-*.json.
"""

import argparse
import resource
import time

import common
import numpy as np

from lartpc.data.segments import Segments
from lartpc.detector.wires import WireDetector
from lartpc.fit.unknowns import unknowns_of
from lartpc.fit.waveforms import SEVEN, calibrate_waveforms
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.gradients.waveforms import WireTrace
from lartpc.simulation.wires import WireSimulation, dense
from lartpc.wires.digitize import digitize, undigitize
from lartpc.wires.noise import noise_of

DEPOSITS = (1000, 5335, 170720)
REPEATS = 5
OFF = ((0.03, -0.07, 0.08, -0.4, 0.01, -0.3, 0.4), (0.08, -0.1, 0.15, -0.6, -0.015, -0.5, 0.6))  # of SEVEN
NEAR = 6  # channels on either side of one that sees charge, whose data are made, too
SHORTEST = 50.0  # [cm] of a muon


def deposits(number):
    """Points along 70 cm, or where there are many 400 cm, scattered by 0.5 mm, as a dense chain has them."""
    length = 70.0 if number < 1e5 else 400.0
    direction = np.array([0.35, 0.5, 0.79]) / np.linalg.norm([0.35, 0.5, 0.79])
    places = np.array([50.0, -100.0, -190.0]) + np.outer((np.arange(number) + 0.5) * length / number, direction)
    start = places + np.random.default_rng(0).normal(0.0, 0.05, places.shape)
    end = start + 1e-4 * direction
    ids = np.arange(number)
    columns = {
        f"{axis}_{name}": of[:, k] for name, of in (("start", start), ("end", end)) for k, axis in enumerate("xyz")
    }
    dE = np.full(number, 2.1 * length / number)
    zero = np.zeros(number, dtype=np.int64)
    return Segments(zero, ids, zero, zero + 13, **columns, dE=dE, dEdx=np.full(number, 2.1), t0=np.zeros(number))


def timed(run, repeats):
    """Least wall time and that of the processor [s] of some runs, the first of which may compile."""
    run()
    seconds = []
    for _ in range(repeats):
        started, busy = time.perf_counter(), time.process_time()
        run()
        seconds.append((time.perf_counter() - started, time.process_time() - busy))
    wall, processor = np.min(seconds, axis=0).tolist()
    return {"wall_s": wall, "processor_s": processor}


def of_event(chain, batch, event_id):
    """Frames of all channels that see charge: high passes, noise, ADC."""
    d = chain.detector
    found = chain.waveforms(batch, chain.vector(), settle=d.n_ticks)
    channels = np.unique(found.windows.pixel)
    voltage = dense(found, 0, channels, range(d.first_tick, d.first_tick + d.n_ticks))
    of = (d.channel_kind, d.channel_length, d.n_ticks, d.tick, d.electronics)
    voltage += noise_of(d.noise, channels, np.full(len(channels), event_id), chain.seed, *of)
    return digitize(voltage, d.adc, d.channel_kind[channels][:, None])


def speed(arguments):
    chain = WireSimulation(WireDetector.built_in(arguments.detector))
    rows = []
    for number in DEPOSITS:
        batch, values = chain.batch(deposits(number)), chain.vector()

        def gradient(batch=batch):
            taped = WireTrace(chain, batch)
            taped.backward(2.0 * taped.waveforms.voltage)

        repeats = REPEATS if number < 1e5 else 1
        row = {"deposits": number, "voltages": timed(lambda: chain.waveforms(batch, values), repeats)}  # noqa: B023
        row["frames"] = timed(lambda: of_event(chain, batch, 0), repeats)  # noqa: B023
        row["gradient"] = timed(gradient, repeats)
        row["memory_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        rows.append(row)
        told = (f"{kind} {1e3 * row[kind]['wall_s']:,.0f} ms" for kind in ("voltages", "frames", "gradient"))
        print(f"{number:8} deposits: {', '.join(told)}; {row['memory_MB']:,.0f} MB", flush=True)
    return {"rows": rows}


def muons(detector, number, seed):
    """That many muons from above of at least SHORTEST in the TPCs, each its own event."""
    segments = from_table(generate("cosmics", detector, 1 + number // 4, seed), "generated")
    names = [name for name, column in vars(segments).items() if isinstance(column, np.ndarray)]
    inside = np.zeros(len(segments), dtype=bool)
    for low_x, high_x, low_y, high_y, *z in zip(
        detector.x_lo, detector.x_hi, detector.y_lo, detector.y_hi, detector.z_anode, detector.z_cathode, strict=True
    ):
        inside |= (
            (segments.x_start > low_x)
            & (segments.x_start < high_x)
            & (segments.y_start > low_y)
            & (segments.y_start < high_y)
            & (segments.z_start > min(z))
            & (segments.z_start < max(z))
        )
    track = np.unique(np.stack((segments.event_id, segments.traj_id)), axis=1, return_inverse=True)[1].reshape(-1)
    length = np.linalg.norm([getattr(segments, f"{a}_end") - getattr(segments, f"{a}_start") for a in "xyz"], axis=0)
    enough = np.flatnonzero(np.bincount(track, length * inside) > SHORTEST)[:number]
    kept = inside & np.isin(track, enough)
    columns = {name: getattr(segments, name)[kept] for name in names}
    columns["event_id"], columns["t0"] = np.searchsorted(enough, track[kept]), np.zeros(int(kept.sum()))
    total = float(length[kept].sum())
    fields = ("segment_id", "traj_id", "pdg_id", "dE", "dEdx", *(f"{a}_{e}" for a in "xyz" for e in ("start", "end")))
    return Segments(event_id=columns["event_id"], t0=columns["t0"], **{name: columns[name] for name in fields}), total


def data(chain, segments, seed):
    """What channels read: as `calibrate_waveforms` asks."""
    d = chain.detector
    ticks, made = range(d.first_tick, d.first_tick + d.n_ticks), {}
    of = (d.channel_kind, d.channel_length, d.n_ticks, d.tick, d.electronics)
    for batch in chain.batches(segments):
        found = chain.waveforms(batch, chain.vector(), settle=d.n_ticks)
        for event in np.unique(found.windows.event).tolist():
            lit = found.windows.pixel[found.windows.event == event]
            channels = np.unique(np.clip(lit[:, None] + np.arange(-NEAR, NEAR + 1), 0, d.n_channels - 1))
            voltage, event_id = dense(found, event, channels, ticks), int(batch.event_id[event])
            voltage += noise_of(d.noise, channels, np.full(len(channels), event_id), seed, *of)
            kind = d.channel_kind[channels][:, None]
            made[event_id] = channels, undigitize(digitize(voltage, d.adc, kind), d.adc, kind)

    def read(event_id, channel, start, n):
        channels, voltage = made[event_id]
        at = int(np.searchsorted(channels, channel))
        if at < len(channels) and channels[at] == channel:
            return voltage[at, start - d.first_tick :][:n]
        noise = noise_of(d.noise, np.array([channel]), np.array([event_id]), seed, *of)[0]
        return noise[start - d.first_tick :][:n]

    return read


def seven(arguments):
    detector = WireDetector.built_in(arguments.detector)
    truth = detector.parameters.replace(vdrift=0.16)
    chain = WireSimulation(detector, truth)
    rows = []
    for number in arguments.muons or (6, 25):
        for seed in range(arguments.seeds):
            segments, length = muons(detector, number, seed)
            read = data(chain, segments, seed)
            off = OFF[seed % len(OFF)]
            start = {name: truth.value(name) * (1.0 + one) for name, one in zip(SEVEN, off, strict=True)}
            started, busy = time.perf_counter(), time.process_time()
            result = calibrate_waveforms(chain, segments, read, unknowns_of(chain, SEVEN, start), truth=truth)
            rows.append(
                {
                    "muons": number,
                    "seed": seed,
                    "length_cm": length,
                    "regions": result.hits,
                    "seconds": time.perf_counter() - started,
                    "processor_s": time.process_time() - busy,
                    "iterations": result.iterations,
                    "mean_square": result.mean_square,
                    "good": result.good,
                    "reasons": list(result.reasons),
                    "error_percent": dict(zip(SEVEN, (100.0 * result.errors / result.truth).tolist(), strict=True)),
                    "pull": dict(zip(SEVEN, ((result.values - result.truth) / result.errors).tolist(), strict=True)),
                }
            )
            row = rows[-1]
            shown = (f"{name} {row['pull'][name]:+.2f} ({row['error_percent'][name]:.2g} %)" for name in SEVEN)
            state = "good" if row["good"] else f"not good: {row['reasons']}"
            print(f"{number} muons, {length:.0f} cm, {row['seconds']:.0f} s, {state}: {', '.join(shown)}", flush=True)
    pulls = np.array([list(row["pull"].values()) for row in rows])
    summary = {
        "mean": pulls.mean(axis=0).tolist(),
        "width": pulls.std(axis=0, ddof=1).tolist() if len(pulls) > 1 else None,
    }
    print(summary)
    return {"rows": rows, "pulls": dict(zip(("names", *summary), (SEVEN, *summary.values()), strict=True))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("speed", "seven", "pulls"))
    parser.add_argument("muons", nargs="*", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--detector", default="sbnd")
    arguments = parser.parse_args()
    content = {"speed": speed, "seven": seven, "pulls": seven}[arguments.kind](arguments)
    print(
        common.write(f"wires-{arguments.kind}", content | {"machine": common.machine(), "detector": arguments.detector})
    )


if __name__ == "__main__":
    main()
