"""Responses with neighbours: time, memory and accuracy of ours and of the same table in dense JAX, in one run.

pip install '.[bench]' && python bench/neighbours.py [--lengths 100 1000 10000] [--detectors module0 2x2 ndlar]
    [--tables electrostatic full half] [--limit 120] [--check 40]

Tables: electrostatic; full, half: as larnd-sim's, of pads with gaps over 30.431 cm, 45 x 45 bins and 195 us from the
flat begin to after the arrival, at 0.1 and 0.05 us. Samples: muons. Ours: from segments to waveforms, and the sum of
their squares with its gradient by all parameters and segments (with the reads, as `Trace` makes them); the parametric
response beside it. Dense: dense_table.py, four neighbours on each side, from points of charge to waveforms, and the
gradient by the six fit parameters; it is left out where the length before says that it takes longer than the limit, and
where JAX is not installed. All on one core, where the system lets a process choose.

Accuracy, on pixels of the shortest length: a direct sum in double precision (table_points.py) over points every 0.1 mm,
all bins and samples. Of pixels whose peak is above 5 % of the largest: largest deviation over their own peak; of all
that are looked at, induced ones included: largest deviations of the running integral, and of the charge.
"""

import argparse
import importlib
import os
import time

os.environ["NUMBA_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):  # before JAX makes its threads
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])

import common
import memory
import numpy as np
from table_points import Direct, Points, arrive, cut

from lartpc import Detector, Response, Simulation, Trace
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate

DRIFT = 30.431  # [cm] of larnd-sim's tables
WINDOW = 195.0  # [us]
PADS = {0.4434: 0.35}  # [cm] of larnd-sim's by their pitch; of others:
PAD = 0.2
SPACING = 0.05  # [cm] of points of the dense program
FINE = 0.01  # [cm] of the direct sum
BRIGHT = 0.05  # of the largest peak
NEIGHBOURS = 4
TICKS = {"full": 0.1, "half": 0.05}
REPEATS = 5


def like_larnd_sim(detector, pitch, tick):
    """A table as larnd-sim has them."""
    made = Response.electrostatic(
        detector, pitch=pitch, pad_size=PADS.get(round(pitch, 4), PAD), height=DRIFT, time_tick=tick
    )
    samples = round(WINDOW / tick)
    table = np.pad(made.response, ((0, 0), (0, 0), (0, max(0, samples - made.response.shape[2]))))
    return Response(table, tick, made.drift_length, made.bin_size, made.vdrift)


def tables(name, detector):
    """One for each pitch, ascending."""
    pitches = np.unique(detector.pitch).tolist()
    if name == "electrostatic":
        return [Response.electrostatic(detector, pitch=pitch) for pitch in pitches]
    return [like_larnd_sim(detector, pitch, TICKS[name]) for pitch in pitches]


def muons(detector, length):
    """`length` [cm] of generated muons."""
    events = 1
    while (
        segments := common.first_of(from_table(generate("muons", detector, events, 0), "generated"), length)
    ) is None:
        events *= 2
    return segments


def timed(run, limit):
    """Seconds of the first call, which may compile; median of those after it, one or more, and of the processor's.

    And the memory gained. On a machine that others use, too, the processor's seconds are those to compare.
    """
    before, seconds = memory.begin(), []

    def once():
        started, busy = time.perf_counter(), time.process_time()
        run()
        return time.perf_counter() - started, time.process_time() - busy

    first, _ = once()
    while not seconds or (len(seconds) < REPEATS and sum(wall for wall, _ in seconds) < 0.5 * limit):
        seconds.append(once())
    wall, busy = (float(median) for median in np.median(seconds, axis=0))
    result = {"first_s": first, "median_s": wall, "processor_s": busy, "runs": len(seconds)}
    return result | {"memory_MB": memory.peak() - before}


def ours(simulation, segments, limit):
    """Forward, and value and gradient."""
    parameters = simulation.vector()

    def forward():
        for batch in simulation.batches(segments, whole=False):
            simulation.waveforms(batch, parameters)

    def gradient():
        for batch in simulation.batches(segments, whole=False):
            trace = Trace(simulation, batch)
            trace.backward(current=trace.waveforms.current)
            del trace  # before the next part needs as much

    return {"forward": timed(forward, limit), "gradient": timed(gradient, limit)}


def of_table(points, detector, pitch):
    """The points in TPCs of a pitch."""
    return Points(*(column[detector.pitch[points.tpc] == pitch] for column in points))


class Dense:
    """The dense programs of all pitches. `dense_table` is imported here: JAX need not be installed."""

    def __init__(self, responses, detector, segments):
        made = importlib.import_module("dense_table").DenseTable
        points = cut(segments, detector, SPACING)
        self.programs = []
        for pitch, response in zip(np.unique(detector.pitch), responses, strict=True):
            part = of_table(points, detector, pitch)
            if len(part.x):
                arrived = arrive(part, detector.parameters, detector.drift_start)
                self.programs.append(made(response, detector, detector.parameters, part, arrived, NEIGHBOURS))

    def forward(self):
        return [program.forward() for program in self.programs]

    def gradient(self):
        return [program.value_and_gradient() for program in self.programs]

    def waveforms(self):
        """{(event, pixel): (first tick, current)}."""
        found = {}
        for program, current in zip(self.programs, self.forward(), strict=True):
            rows = zip(program.event, program.pixel, program.start, program.begin, program.begin[1:], strict=False)
            found |= {(int(e), int(p)): (int(t), current[a:b]) for e, p, t, a, b in rows}
        return found


def our_waveforms(simulation, segments):
    """The same of ours."""
    found = simulation(segments, waveforms=True).waveforms
    rows = zip(found.event_id, found.pixel_id, found.start_tick, found.offset, found.ticks, strict=True)
    return {(int(e), int(p)): (int(t), found.current[o : o + n]) for e, p, t, o, n in rows}


def chosen(waveforms, number):
    """Events and pixels to look at: the brightest third, and others at random."""
    keys = list(waveforms)
    peaks = np.array([np.abs(waveforms[key][1]).max() for key in keys])
    order = np.argsort(-peaks, kind="stable")
    bright = order[: number // 3]
    others = np.random.default_rng(0).permutation(order[number // 3 :])[: number - len(bright)]
    return [keys[k] for k in (*bright, *others)], float(peaks.max())


def on(span, waveform):
    """A waveform on ticks of a span; what it has outside is lost to neither end: it counts at its edges."""
    total = np.zeros(span[1] - span[0])
    if waveform is not None:
        first, current = waveform
        at = np.clip(first + np.arange(len(current)) - span[0], 0, len(total) - 1)
        np.add.at(total, at, current)
    return total


def accuracy(programs, responses, detector, segments, number):
    """Of each program in {name: waveforms}, the first of which says which pixels are looked at."""
    waveforms = next(iter(programs.values()))
    keys, largest = chosen(waveforms, number)
    points = cut(segments, detector, FINE)
    pitches = np.unique(detector.pitch)
    direct = [Direct(response, detector, detector.parameters) for response in responses]
    worst = {name: {"bright_over_own_peak": 0.0, "running_e": 0.0, "charge_e": 0.0} for name in programs}
    bright = 0
    for event, pixel in keys:
        spans = [(w[0], w[0] + len(w[1])) for w in (found.get((event, pixel)) for found in programs.values()) if w]
        tpc = int(detector.locate(np.array([pixel]))[0][0])
        of_event = Points(*(column[points.event == event] for column in points))
        table = direct[int(np.flatnonzero(pitches == detector.pitch[tpc])[0])]
        long = table.table.shape[2] // table.per_tick  # currents begin long before those that programs take
        span = min(low for low, _ in spans) - long, max(high for _, high in spans)
        expected = table.current(of_event, pixel, span[0], span[1] - span[0])
        peak = np.abs(expected).max()
        bright += peak > BRIGHT * largest
        for name, found in programs.items():
            off = on(span, found.get((event, pixel))) - expected
            running = np.cumsum(off) * detector.tick
            values = {"running_e": np.abs(running).max(), "charge_e": abs(running[-1])}
            if peak > BRIGHT * largest:
                values["bright_over_own_peak"] = np.abs(off).max() / peak
            worst[name] |= {key: max(worst[name][key], float(value)) for key, value in values.items()}
    return {"pixels": len(keys), "bright": int(bright), **worst}


def line(name, length, result):
    """As it is printed; in brackets the processor's time."""
    parts = (
        f"{kind} {1e3 * one['median_s']:,.0f} ms ({1e3 * one['processor_s']:,.0f}) {one['memory_MB']:,.0f} MB"
        for kind, one in result.items()
    )
    print(f"  {name:12} {length:8,.0f} cm: {', '.join(parts)}", flush=True)


def run(detector, table, arguments):
    """All lengths of one detector and table, as rows."""
    responses = tables(table, detector)
    simulation, parametric = Simulation(detector, response=responses), Simulation(detector)
    few = muons(detector, 2.0)
    rows, rate, dense_there = [], 0.0, importlib.util.find_spec("jax") is not None
    for one in (simulation, parametric):
        ours(one, few, 0.0)
    for length in sorted(arguments.lengths):
        segments = muons(detector, length)
        total = float(common.lengths(segments).sum())
        row = {"detector": detector.name, "table": table, "length_cm": total, "segments": len(segments)}
        for name, one in (("parametric", parametric), ("ours", simulation)):
            row[name] = ours(one, segments, arguments.limit)
            line(name, total, row[name])
        programs = {"ours": our_waveforms(simulation, segments)} if not rows else {}
        if dense_there and rate * total < arguments.limit:
            dense = Dense(responses, detector, segments)
            row["dense"] = {kind: timed(getattr(dense, kind), arguments.limit) for kind in ("forward", "gradient")}
            line("dense", total, row["dense"])
            rate = row["dense"]["gradient"]["median_s"] / total
            if programs:
                programs["dense"] = dense.waveforms()
        elif dense_there:
            row["dense"] = f"left out: some {rate * total:.0f} s"
            print(f"  dense        {total:8,.0f} cm: {row['dense']}", flush=True)
        if programs and arguments.check:
            row["accuracy"] = accuracy(programs, responses, detector, segments, arguments.check)
            print(f"  accuracy {row['accuracy']}", flush=True)
        rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", nargs="+", type=float, default=[100.0, 1000.0, 10000.0])
    parser.add_argument("--detectors", nargs="+", default=["module0", "2x2", "ndlar"])
    parser.add_argument("--tables", nargs="+", default=["electrostatic", *TICKS], choices=["electrostatic", *TICKS])
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of a measurement")
    parser.add_argument("--check", type=int, default=40, help="pixels to compare with the direct sum")
    parser.add_argument("--no-record", action="store_true", help="print only")
    arguments = parser.parse_args()
    rows = []
    for detector in arguments.detectors:
        for table in arguments.tables:
            print(f"{detector}, {table}", flush=True)
            rows += run(Detector.built_in(detector), table, arguments)
    if not arguments.no_record:
        print(common.write("neighbours", {"dtype": "float32", "machine": common.machine(), "rows": rows}))


if __name__ == "__main__":
    main()
