"""CPU against CUDA: the same hits, waveforms, gradients and fits, and the time each takes. Needs a CUDA device.

Usage: python bench/gpu.py [SEGMENTS]     (generated muons, and the file if one is given)

Value and gradient of 100 to 100,000 cm, a fit, the tabulated response, and each kernel beside what bench/gpu_model.py
predicted. Within 8 minutes: the longest samples are left out where time is short.
Exit code 0 where both agree, 1 where they do not, 2 where there is no CUDA device.
"""

import argparse
import json
import sys
import time
from importlib.metadata import version

import numpy as np
from common import ROOT, TRUTH, first_of, generated, lengths, machine, median_seconds, selected, write
from kernel_times import KernelTimes

from lartpc.fit.calibrate import SIX, calibrate
from lartpc.formats.edepsim import read_segments
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime.launch import cuda_available
from lartpc.simulation.simulation import Simulation

EVENTS = 260  # generated; some 100,000 cm of muons
COMPARED = 2000.0  # [cm] of a sample that are compared
BOTH = (100, 1_000)  # [cm] of muons that both devices are timed with
LONG = (10_000, 100_000)  # [cm], the device alone, once
FITTED = 300  # [cm]
REPEATS = 11
LIMIT = 400.0  # [s] after which no longer sample is begun
GRADIENT_TOLERANCE = 1e-6
APART = 0.1  # errors by which values of fits may differ
ADC_TOLERANCE = 1.0  # counts
ADC_FRACTION = 0.999  # of the hits that must agree
CURRENT_TOLERANCE = 1e-5  # of the peak of the largest waveform


def keys(cpu, cuda, *names):
    """A number for each row of two tables, (n_cpu,) and (n_cuda,): equal where the columns `names` are."""
    columns = [np.concatenate((getattr(cpu, name), getattr(cuda, name))) for name in names]
    _, key = np.unique(np.stack(columns), axis=1, return_inverse=True)
    return np.split(key.ravel(), [len(cpu)])


def compare_hits(cpu, cuda):
    """How many hits both have, by event, pixel and number, and how many of all agree in ADC."""
    a, b = keys(cpu, cuda, "event_id", "pixel_id", "hit")
    _, at, bt = np.intersect1d(a, b, return_indices=True)
    adc = np.abs(cpu.adc[at].astype(float) - cuda.adc[bt])
    union = len(a) + len(b) - len(at)
    return {
        "hits_cpu": len(a),
        "hits_cuda": len(b),
        "hits_common": len(at),
        "adc_within_1_count": float(np.sum(adc <= ADC_TOLERANCE) / max(union, 1)),
        "adc_largest_difference": float(adc.max(initial=0.0)),
        "time_largest_difference_us": float(np.abs(cpu.t[at] - cuda.t[bt]).max(initial=0.0)),
        "charge_largest_difference_e": float(np.abs(cpu.charge[at].astype(float) - cuda.charge[bt]).max(initial=0.0)),
    }


def ticks(waveforms):
    """Window and tick of every sample, (n_samples,) each."""
    window = np.repeat(np.arange(len(waveforms)), waveforms.ticks)
    return window, waveforms.start_tick[window] + np.arange(len(window)) - waveforms.offset[window]


def compare_waveforms(cpu, cuda):
    """Largest difference of a sample, 0 standing for those outside all windows, in units of the largest current."""
    (window_a, tick_a), (window_b, tick_b) = ticks(cpu), ticks(cuda)
    pixel_a, pixel_b = keys(cpu, cuda, "event_id", "pixel_id")
    pixel = np.concatenate((pixel_a[window_a], pixel_b[window_b]))
    tick = np.concatenate((tick_a, tick_b))
    span = int(np.ptp(tick)) + 1 if len(tick) else 1
    _, sample = np.unique(pixel * span + (tick - tick.min(initial=0)), return_inverse=True)
    difference = np.zeros(sample.max(initial=-1) + 1)
    np.add.at(difference, sample[: len(tick_a)], cpu.current)
    np.subtract.at(difference, sample[len(tick_a) :], cuda.current)
    peak = float(cpu.current.max(initial=0.0))
    return {
        "peak_e_per_us": peak,
        "largest_difference_of_peak": float(np.abs(difference).max(initial=0.0)) / (peak or 1),
    }


def compare(segments, dtype, noise):
    """Both devices on the same segments; `passed` says whether they agree."""
    cpu, cuda = (Simulation(device=d, dtype=dtype, noise=noise)(segments, waveforms=True) for d in ("cpu", "cuda"))
    row = {
        "dtype": np.dtype(dtype).name,
        "noise": noise,
        "segments": len(segments),
        "length_cm": float(lengths(segments).sum()),
        **compare_hits(cpu.hits, cuda.hits),
        **compare_waveforms(cpu.waveforms, cuda.waveforms),
        "collected_cpu_e": cpu.summary.collected,
        "collected_cuda_e": cuda.summary.collected,
    }
    row["passed"] = row["adc_within_1_count"] >= ADC_FRACTION and row["largest_difference_of_peak"] <= CURRENT_TOLERANCE
    return row


def value_and_gradient(simulation, batches):
    """Of all batches, with everything done when it returns: the derivatives by the parameters, summed."""
    total = 0.0
    for batch in batches:
        trace = Trace(simulation, batch)
        used = simulation.xp.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]
        seeds = {name: used.astype(simulation.dtype) for name in ("time", "charge")}
        found = trace.backward(current=trace.waveforms.current, **seeds)
        total = total + np.array(list(found.parameters.values()))
    return total


def gradients_apart(segments, response):
    """Largest relative difference of a derivative, in float64: in float32 sums over segments cancel."""
    simulations = [Simulation(response=response, dtype=np.float64, device=device) for device in ("cpu", "cuda")]
    cpu, cuda = (value_and_gradient(one, one.batches(segments)) for one in simulations)
    return float(np.max(np.abs(cuda - cpu) / np.maximum(np.abs(cpu), 1e-30)))


def time_gradient(segments, devices, response="parametric"):
    """Median seconds of a value and gradient on each device, the first run with compilation apart."""
    row = {"response": response, "segments": len(segments), "length_cm": float(lengths(segments).sum())}
    for device in devices:
        simulation = Simulation(response=response, device=device)
        batches = simulation.batches(segments)
        started = time.perf_counter()
        value_and_gradient(simulation, batches)
        row[f"{device}_first_seconds"] = time.perf_counter() - started
        repeats = REPEATS if len(devices) == 2 else 1
        row[f"{device}_seconds"] = median_seconds(lambda s=simulation, b=batches: value_and_gradient(s, b), repeats)
    if len(devices) == 2:
        row["gradient_apart"] = gradients_apart(segments, response)
    return row


def time_fit(segments):
    """Seconds of a fit of six parameters to noisy hits, and the largest difference of the values in errors."""
    hits = Simulation(parameters=TRUTH, noise=True, seed=1)(segments).hits
    row, results = {"length_cm": float(lengths(segments).sum())}, {}
    for device in ("cpu", "cuda"):
        started = time.perf_counter()
        results[device] = calibrate(Simulation(device=device), segments, hits, SIX)
        row[f"{device}_seconds"] = time.perf_counter() - started
    apart = np.abs(results["cuda"].values - results["cpu"].values) / results["cpu"].errors
    row["apart_errors"] = float(apart.max())
    return row


def time_kernels(segments):
    """Seconds by kernel of a value and gradient on the device, and what the newest model of as many segments said."""
    import cupy

    simulation = Simulation(device="cuda")
    batches = simulation.batches(segments)
    value_and_gradient(simulation, batches)
    with KernelTimes(cupy.cuda.Device().synchronize) as times:
        value_and_gradient(simulation, batches)
    models = sorted((ROOT / "bench" / "results").glob(f"gpu_model-parametric-{len(segments)}-*.json"))
    model = json.loads(models[-1].read_text())["kernels"] if models else []
    predicted = {row["kernel"]: row["seconds"] for row in model}
    return {
        "outside_seconds": times.outside,
        "kernels": [
            {"kernel": name, "calls": times.calls[name], "seconds": seconds, "model": predicted.get(name)}
            for name, seconds in times.seconds.most_common()
        ],
    }


def graphics():
    """Name of the CUDA device and versions of what drives it."""
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return {
        "gpu": name,
        "driver": cupy.cuda.runtime.driverGetVersion(),
        "runtime": cupy.cuda.runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
        "numba-cuda": version("numba-cuda"),
    }


def tell(row):
    """A line of a time."""
    cpu = f"{1e3 * row['cpu_seconds']:.1f} ms on the CPU, " if "cpu_seconds" in row else ""
    print(
        f"{row['response']}, {row['length_cm']:.0f} cm, value and gradient: {cpu}{1e3 * row['cuda_seconds']:.2f} ms on "
        f"CUDA ({row['cuda_first_seconds']:.0f} s the first time)",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segments", nargs="?", help="file of energy deposits")
    path = parser.parse_args().segments
    if not cuda_available():
        print("no CUDA device with the packages of lartpc[cuda]: nothing to compare", file=sys.stderr)
        return 2
    samples = {"generated muons": generated("muons", EVENTS)}
    if path:
        samples[path.rpartition("/")[2]] = selected(read_segments(path))
    comparisons, started = [], time.perf_counter()
    for name, sample in samples.items():
        segments = first_of(sample, COMPARED) or sample
        for dtype, noise in ((np.float32, False), (np.float32, True), (np.float64, False)):
            row = {"sample": name, **compare(segments, dtype, noise)}
            comparisons.append(row)
            print(
                f"{name}, {row['dtype']}, {'noise' if noise else 'no noise'}: {row['hits_common']} common of "
                f"{row['hits_cpu']} and {row['hits_cuda']} hits, ADC agrees for {row['adc_within_1_count']:.3%}, "
                f"waveforms to {row['largest_difference_of_peak']:.1e} of the peak: "
                f"{'passed' if row['passed'] else 'FAILED'}",
                flush=True,
            )
    muons, timings = samples["generated muons"], []
    for length in BOTH:
        timings.append(time_gradient(first_of(muons, length), ("cpu", "cuda")))
        tell(timings[-1])
    timings.append(time_gradient(first_of(muons, BOTH[0]), ("cpu", "cuda"), "electrostatic"))
    tell(timings[-1])
    fit = time_fit(first_of(muons, FITTED))
    seconds = f"{fit['cpu_seconds']:.1f} s on the CPU, {fit['cuda_seconds']:.1f} s on CUDA"
    print(f"fit of {fit['length_cm']:.0f} cm: {seconds}, {fit['apart_errors']:.1e} errors apart", flush=True)
    kernels = time_kernels(first_of(muons, BOTH[0]))
    for row in kernels["kernels"][:12]:
        low, high = (1e6 * end for end in row["model"]["H100"]) if row["model"] else (np.nan, np.nan)
        print(f"{row['kernel']:24} {1e6 * row['seconds']:8.0f} us, model {low:.0f} to {high:.0f}", flush=True)
    for length in LONG:
        segments = first_of(muons, length)
        if segments is not None and time.perf_counter() - started < LIMIT:
            timings.append(time_gradient(segments, ("cuda",)))
            tell(timings[-1])
    passed = all(row["passed"] for row in comparisons)
    passed &= fit["apart_errors"] < APART
    passed &= all(row.get("gradient_apart", 0.0) < GRADIENT_TOLERANCE for row in timings)
    results = {"passed": passed, "comparisons": comparisons, "timings": timings, "fit": fit, "kernels": kernels}
    print(write("gpu", {"machine": {**machine(), **graphics()}, **results}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
