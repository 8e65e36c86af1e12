"""Wires: times of one event, fits of the seven parameters to generated cosmic muons with noise, tracks, segments.

python bench/wires.py speed [--detector sbnd]          deposits along 70 cm, and many: voltages, frames, gradient
python bench/wires.py seven [MUONS ...] [--seeds N]    seven parameters, from starts 1 to 60 % off; by default 6 and 25
python bench/wires.py pulls [MUONS] --seeds N          the same, with mean and width of many
python bench/wires.py track --seeds N                  muons of 40 cm in SBND, from 10 to 15 cm, 0.2 rad and 20 % off
python bench/wires.py segments --seeds N               lines of 24 segments of 10 mm, a metre from the wires

Speed: voltages of three planes with 10 wires on either side; with high passes, noise and ADC of all channels that see
charge over the whole readout; value and gradient by all parameters and deposits. Wall time and that of the processor.
With --jaxtpc PATH, of speed: beside JAXTPC from a checkout (jaxtpc.py), by turns.
Writes bench/results/wires-KIND-*.json.
"""

import argparse
import resource
import time
from functools import partial

import common
import numpy as np
from jaxtpc import HELD, Peer, missing

from lartpc.charge.velocity import with_velocity
from lartpc.data.segments import Segments
from lartpc.detector.wires import WireDetector
from lartpc.fit.unknowns import unknowns_of
from lartpc.fit.waveforms import SEVEN, calibrate_waveforms
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.gradients.waveforms import WireTrace
from lartpc.losses.waveforms import NoiseWeights
from lartpc.reconstruction.polyline import frame_along
from lartpc.reconstruction.wirechains import Pieces
from lartpc.reconstruction.wiresegments import linearized, newton, segments_from_waveforms
from lartpc.reconstruction.wiretrack import Line, track_from_waveforms
from lartpc.simulation.wires import WireSimulation, dense
from lartpc.wires.digitize import digitize, undigitize
from lartpc.wires.noise import noise_of

DEPOSITS = (1000, 5335, 170720)
REPEATS = 5
OFF = ((0.03, -0.07, 0.08, -0.4, 0.01, -0.3, 0.4), (0.08, -0.1, 0.15, -0.6, -0.015, -0.5, 0.6))  # of SEVEN
NEAR = 6  # channels on either side of one that sees charge, whose data are made, too
SHORTEST = 50.0  # [cm] of a muon
FAR = (10.0, 12.0, 15.0, 0.2, 0.2, 0.2)  # starts of tracks are off by: [cm], [rad], log(dE)
SHOWN = np.array([10.0, 10.0, 10.0, 1e3, 1e3, 100.0])  # mm, mrad, %
SEGMENTS = 24
DIRECTIONS = ((0.68, 0.66, 0.33), (0.62, 0.31, 0.72), (0.2, 0.9, 0.4), (0.9, 0.1, 0.4))  # along beam, up, drift


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


def timed(run, repeats, peer=None):
    """Least wall time and that of the processor [s] of some runs after one that may compile; the peer's by turns."""
    run()
    seconds = []
    for _ in range(repeats):
        started, busy = time.perf_counter(), time.process_time()
        run()
        seconds.append((time.perf_counter() - started, time.process_time() - busy))
        if peer is not None:
            peer.run()
    wall, processor = np.min(seconds, axis=0).tolist()
    return {"wall_s": wall, "processor_s": processor} | ({} if peer is None else {"jaxtpc": peer.close()})


def of_event(chain, batch, event_id):
    """Frames of all channels that see charge: high passes, noise, ADC."""
    d = chain.detector
    found = chain.waveforms(batch, chain.vector(), settle=d.n_ticks)
    channels = np.unique(found.windows.pixel)
    voltage = dense(found, 0, channels, range(d.first_tick, d.first_tick + d.n_ticks))
    of = (d.channel_kind, d.channel_length, d.n_ticks, d.tick, d.electronics)
    voltage += noise_of(d.noise, channels, np.full(len(channels), event_id), chain.seed, *of)
    return digitize(voltage, d.adc, d.channel_kind[channels][:, None])


def told(row):
    """The times of a row as they are printed."""
    for kind in ("voltages", "frames", "gradient"):
        yield f"{kind} {1e3 * row[kind]['wall_s']:,.0f} ms"
        theirs = row[kind].get("jaxtpc", {})
        if "failed" in theirs:
            yield f"JAXTPC failed ({theirs['failed']})"
        elif theirs:
            wall, processor = (theirs[key] / row[kind][key] for key in ("wall_s", "processor_s"))
            yield f"JAXTPC {wall:.1f} times as long ({processor:.1f} of the processor)"


def speed(arguments):
    chain = WireSimulation(WireDetector.built_in(arguments.detector))
    rows = []
    for number in DEPOSITS:
        batch, values = chain.batch(deposits(number)), chain.vector()

        def gradient(batch=batch):
            taped = WireTrace(chain, batch)
            taped.backward(2.0 * taped.waveforms.voltage)

        repeats = REPEATS if number < 1e5 else 1
        runs = {"voltages": partial(chain.waveforms, batch, values), "frames": partial(of_event, chain, batch, 0)}
        row = {"deposits": number}
        for kind, run in (*runs.items(), ("gradient", gradient)):
            peer = None
            if arguments.jaxtpc and (kind != "gradient" or number < HELD):
                peer = Peer(arguments.jaxtpc, deposits(number), with_velocity(chain.parameters), kind)
            row[kind] = timed(run, repeats, peer)
        row["memory_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        rows.append(row)
        print(f"{number:8} deposits: {', '.join(told(row))}; {row['memory_MB']:,.0f} MB", flush=True)
    return {"rows": rows} | ({"jaxtpc": common.commit(arguments.jaxtpc)} if arguments.jaxtpc else {})


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
    ticks, made, beyond = range(d.first_tick, d.first_tick + d.n_ticks), {}, {}
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
        if event_id not in beyond:
            every = np.arange(d.n_channels)
            beyond[event_id] = noise_of(d.noise, every, np.full(len(every), event_id), seed, *of)
        return beyond[event_id][channel, start - d.first_tick :][:n]

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


def track(arguments):
    """Straight muons anywhere in a TPC of SBND, in all directions; the truth has the fit's length and dE/dx."""
    chain = WireSimulation(WireDetector.built_in("sbnd"))
    rows = []
    for seed in range(arguments.seeds):
        rng = np.random.default_rng(seed)
        direction = rng.normal(size=3)
        middle = np.array([rng.uniform(150, 350), rng.uniform(-100, 100), rng.choice((-1, 1)) * rng.uniform(50, 150)])
        truth = Line(middle, direction / np.linalg.norm(direction), 40.0, 2.1 * 40.0, 2.1)
        start = truth.moved(rng.choice((-1.0, 1.0), 6) * np.array(FAR))
        read = data(chain, truth.source().segments(np.zeros(1, dtype=np.int64)), seed)
        read(0, 0, 0, 0)  # noise of all channels is no part of the time
        busy = time.process_time()
        fit = track_from_waveforms(chain, read, 0, start)
        busy = time.process_time() - busy
        _, u, v = frame_along(fit.line.direction)
        turn = fit.line.direction - truth.direction
        off = np.concatenate((fit.line.middle - middle, [turn @ u, turn @ v, np.log(fit.line.dE / truth.dE)]))
        found = {
            "direction": truth.direction,
            "off": off * SHOWN,
            "error": fit.errors * SHOWN,
            "pull": off / fit.errors,
        }
        rows.append({name: column.tolist() for name, column in found.items()})
        rows[-1] |= {"mean_square": fit.mean_square, "good": bool(fit.good), "processor_s": busy}
        told = ", ".join(
            f"{one:+.3f} ({error:.3f})" for one, error in zip(off * SHOWN, fit.errors * SHOWN, strict=True)
        )
        print(f"{seed}: x, y, z [mm], angles [mrad], charge [%] off: {told}; {busy:.1f} s, good {fit.good}", flush=True)
    return {"rows": rows} | widths(np.array([row["pull"] for row in rows]))


def segments(arguments):
    """Lines of segments whose energies differ; the bound is the inverse information at the truth."""
    chain = WireSimulation(WireDetector.built_in("sbnd"))
    weights, rows, pulls = NoiseWeights(chain.detector, chain.dtype), [], []
    for seed in range(arguments.seeds):
        rng, direction = np.random.default_rng(seed), np.array(DIRECTIONS[seed % len(DIRECTIONS)])
        direction /= np.linalg.norm(direction)
        middle = np.array([rng.uniform(200, 300), rng.uniform(-50, 50), 102.0])
        places = middle + np.outer(np.arange(SEGMENTS) - 0.5 * (SEGMENTS - 1), direction)
        dE, chains = 1.8 + 0.15 * rng.standard_gamma(2.0, SEGMENTS), np.zeros(SEGMENTS, dtype=np.int64)
        truth = Pieces(places, np.tile(direction, (SEGMENTS, 1)), dE, chains, 1.0, 2.1, 0.0)
        read = data(chain, truth.sources().segments(chains), seed)
        read(0, 0, 0, 0)
        bound = np.sqrt(np.diag(newton(linearized(chain, read, 0, weights, truth, truth))[1])).reshape(-1, 4)
        busy = time.process_time()
        fit = segments_from_waveforms(chain, read, 0)
        busy = time.process_time() - busy
        row = {"direction": direction.tolist(), "segments": len(fit.pieces.dE), "mean_square": fit.mean_square}
        row |= {"good": bool(fit.good), "processor_s": busy, "bound": rms_of(bound).tolist()}
        row["total_percent"] = float(100.0 * (fit.pieces.dE.sum() / truth.dE.sum() - 1.0))
        told = f"{len(fit.pieces.dE)} segments, total {row['total_percent']:+.2f} %, {busy:.1f} s, good {fit.good}"
        if len(fit.pieces.dE) == SEGMENTS:
            order = np.argsort(fit.pieces.middle @ direction)
            off = np.column_stack((fit.pieces.middle[order] - places, np.log(fit.pieces.dE[order] / dE)))
            row |= {"off": rms_of(off).tolist(), "over_bound": (rms_of(off) / rms_of(bound)).tolist()}
            pulls.append(off / fit.errors[order])
            told += f"; x, y, z [mm], charge [%] off: {np.round(row['off'], 3)}, bound {np.round(row['bound'], 3)}"
        rows.append(row)
        print(f"{seed}, along {np.round(direction, 2)}: {told}", flush=True)
    over = np.array([row["over_bound"] for row in rows if "over_bound" in row])
    summary = {"over_bound": np.sqrt(np.mean(over**2, axis=0)).tolist()}
    print(summary)
    return {"rows": rows} | summary | widths(np.concatenate(pulls))


def rms_of(columns):
    """Of each column (n, 4), in mm and %."""
    return np.sqrt(np.mean(columns**2, axis=0)) * np.array([10.0, 10.0, 10.0, 100.0])


def widths(pulls):
    """Mean and width of pulls (n, m)."""
    summary = {"pull_mean": pulls.mean(axis=0).tolist(), "pull_width": np.sqrt(np.mean(pulls**2, axis=0)).tolist()}
    print(summary)
    return summary


KINDS = {"speed": speed, "seven": seven, "pulls": seven, "track": track, "segments": segments}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=tuple(KINDS))
    parser.add_argument("muons", nargs="*", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--detector", default="sbnd")
    parser.add_argument("--jaxtpc", metavar="PATH", help="of speed: a checkout of JAXTPC to measure beside")
    arguments = parser.parse_args()
    if arguments.jaxtpc and (lacking := missing(arguments.jaxtpc)):
        parser.exit(2, f"{lacking}\n")
    content = KINDS[arguments.kind](arguments)
    print(
        common.write(f"wires-{arguments.kind}", content | {"machine": common.machine(), "detector": arguments.detector})
    )


if __name__ == "__main__":
    main()
