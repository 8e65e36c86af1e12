"""CPU against CUDA: the same hits and waveforms, and the time each takes. Needs lartpc[cuda] and a CUDA device.

Usage: python bench/gpu.py [SEGMENTS]     (generated muons, and the file if one is given)

Exit code 0 where both agree, 1 where they do not, 2 where there is no CUDA device.
"""

import argparse
import sys
from importlib.metadata import version

import numpy as np
from common import first_of, generated, lengths, machine, median_seconds, selected, write

from lartpc.formats.edepsim import read_segments
from lartpc.kernels.runtime.launch import cuda_available
from lartpc.simulation.simulation import Simulation

EVENTS = 10  # generated for the comparison; some 4,000 cm of muons
COMPARED = 2000.0  # [cm] of a sample that are compared
TIMED = (100, 2000)  # [cm]
REPEATS = 11
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


def time_both(segments):
    """Median seconds from segments to hits in main memory, and from a batch on the device to its reads there."""
    import cupy

    row = {"segments": len(segments), "length_cm": float(lengths(segments).sum())}
    for device in ("cpu", "cuda"):
        simulation = Simulation(device=device)
        batch, parameters = simulation.batch(segments), simulation.vector()

        def chain(simulation=simulation, batch=batch, parameters=parameters):
            waveforms = simulation.waveforms(batch, parameters)
            simulation.reads(waveforms, batch, simulation.pixels(waveforms))
            cupy.cuda.Device().synchronize()

        row[f"{device}_seconds"] = median_seconds(lambda s=simulation: s(segments), REPEATS, warm_up=2)
        row[f"{device}_chain_seconds"] = median_seconds(chain, REPEATS, warm_up=2)
    return row


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
    comparisons = []
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
    timings = []
    for length in TIMED:
        row = time_both(first_of(samples["generated muons"], length))
        timings.append(row)
        print(
            f"{row['length_cm']:.0f} cm: segments to hits {1e3 * row['cpu_seconds']:.1f} ms on the CPU, "
            f"{1e3 * row['cuda_seconds']:.1f} ms on CUDA; chain alone {1e3 * row['cpu_chain_seconds']:.1f} ms and "
            f"{1e3 * row['cuda_chain_seconds']:.1f} ms",
            flush=True,
        )
    passed = all(row["passed"] for row in comparisons)
    results = {"passed": passed, "comparisons": comparisons, "timings": timings}
    print(write("gpu", {"machine": {**machine(), **graphics()}, **results}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
