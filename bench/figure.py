"""The README's table and figure of the newest bench/results/speed-*.json: prints Markdown, writes time against length.

Usage: python bench/figure.py FIGURE.png [RESULTS.json]
"""

import argparse
import json

import matplotlib
from common import ROOT
from table import NAMES, markdown

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw(content, path):
    """Milliseconds of value and gradient against centimetres, both logarithmic."""
    cores = content["machine"]["threads"]
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for program, name in NAMES.items():
        for device in ("cpu", "cuda"):
            threads = {cores, 1} if program == "ours" and device == "cpu" else {cores}
            for n in sorted(threads, reverse=True):
                found = [
                    (row["length_cm"], 1e3 * row["gradient"]["median_s"])
                    for row in content["rows"]
                    if (row["program"], row["device"], row["threads"]) == (program, device, n) and "failed" not in row
                ]
                if not found:
                    continue
                where = "GPU" if device == "cuda" else f"{n} thread" + "s" * (n > 1)
                axes.plot(*zip(*sorted(found), strict=True), "o-" if n == cores else "o--", label=f"{name}, {where}")
    axes.set(xscale="log", yscale="log", xlabel="length of segments [cm]", ylabel="value and gradient [ms]")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure")
    parser.add_argument("results", nargs="?")
    arguments = parser.parse_args()
    results = arguments.results or max((ROOT / "bench" / "results").glob("speed-*.json"), default=None)
    if results is None:
        parser.error("there is no bench/results/speed-*.json: run python -m bench")
    with open(results) as file:
        content = json.load(file)
    print(markdown(content))
    draw(content, arguments.figure)


if __name__ == "__main__":
    main()
