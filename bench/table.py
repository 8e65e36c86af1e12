"""Results of `python -m bench` as lines and as the table of the README."""

NAMES = {"ours": "this project", "analytic": "dense JAX, analytic", "paper": "dense JAX, as published"}
LARGEST = 6  # kernels that a line names


def line(row):
    """One measurement on one line."""
    head = f"{row['program']:10} {row['length']:8g} cm  {row['threads']} threads  {row['device']:5}"
    if "failed" in row:
        return f"{head}  {row['failed']}"
    if row["program"] == "arithmetic":
        needed = row["operations"]["gradient"] / 1e9
        return f"{head}  {needed:.2f} G operations needed, {row['peak_per_s'] / 1e9:.1f} G/s possible"
    if row["program"] == "stages":
        return "\n".join([head, *(stage_lines(kind, row[kind]) for kind in ("forward", "gradient"))])
    if row["program"] == "threads":
        return f"{head}  {by_turns(row)}"
    timed = [(name, value) for name, value in row.items() if isinstance(value, dict)]
    parts = [f"{name} {1e3 * value['median_s']:.1f} ms" for name, value in timed]
    parts += [f"(compiled in {value['compile_s']:.0f} s)" for name, value in timed if "compile_s" in value][-1:]
    if "memory_MB" in row:
        parts.append(f"{row['memory_MB']:.0f} MB")
    return f"{head}  " + ", ".join(parts)


def stage_lines(kind, times):
    """Milliseconds of the largest kernels and of the rest."""
    kernels = sorted(times["kernels_s"].items(), key=lambda item: -item[1])
    largest, others = kernels[:LARGEST], sum(seconds for _, seconds in kernels[LARGEST:])
    whole = sum(times["kernels_s"].values()) + times["outside_s"]
    largest += [("other kernels", others), ("outside kernels", times["outside_s"])]
    parts = [f"{name} {1e3 * seconds:.2f}" for name, seconds in largest]
    return f"    {kind} {1e3 * whole:.2f} ms: " + ", ".join(parts)


def by_turns(row):
    """How many times as fast all threads are as one."""
    found = [
        f"{row[f'{kind}_ratio']:.2f} (best times {row[f'best_{kind}_ratio']:.2f})"
        for kind in ("gradient", "arithmetic")
    ]
    return f"{found[0]} times as fast as one, bare arithmetic {found[1]}"


def find(rows, **wanted):
    """The first measurement with these entries; None where there is none or it failed."""
    found = (row for row in rows if all(row[key] == value for key, value in wanted.items()) and "failed" not in row)
    return next(found, None)


def per_100_cm(row, kind):
    """Milliseconds for 100 cm."""
    return 1e5 * row[kind]["median_s"] / row["length_cm"]


def markdown(content):
    """Time and memory of every program and length, and the time of value and gradient per cm over ours."""
    rows, cores = content["rows"], content["machine"]["threads"]
    titles = ("program", "length [cm]", "forward [ms]", "value and gradient [ms]", "the same per 100 cm [ms]")
    titles += ("memory [MB]", f"per cm, over ours on {cores} cores")
    lines = ["| " + " | ".join(titles) + " |", "|---" + 6 * "|--:" + "|"]
    for program, name in NAMES.items():
        for row in rows:
            if row["program"] != program:
                continue
            where = f"{row['threads']} thread" + "s" * (row["threads"] > 1) if program == "ours" else ""
            label = ", ".join(filter(None, (name, "GPU" if row["device"] == "cuda" else where)))
            if "failed" in row:
                lines.append(f"| {label} | {row['length']:g} | {row['failed']} | | | | |")
                continue
            same = find(rows, program="ours", length=row["length"], threads=cores, device="cpu")
            ratio = f"{per_100_cm(row, 'gradient') / per_100_cm(same, 'gradient'):.2f}" if same else ""
            numbers = (1e3 * row["forward"]["median_s"], 1e3 * row["gradient"]["median_s"], per_100_cm(row, "gradient"))
            cells = [f"{row['length']:g}", *(f"{n:.1f}" for n in numbers), f"{row['memory_MB']:.0f}", ratio]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *notes(rows, cores)])


def notes(rows, cores):
    """Other numbers that are asked for, one sentence each."""
    notes = []
    for row in rows:
        if "failed" in row or row["device"] != "cpu":
            continue
        same = find(rows, program="ours", length=row["length"], threads=cores, device="cpu")
        if row["program"] == "fit" and same:
            parts = []
            for loss, times in row.items():
                if isinstance(times, dict):
                    ratio = times["median_s"] / same["gradient"]["median_s"]
                    parts.append(f"{loss} {1e3 * times['median_s']:.1f} ms ({ratio:.2f} of value and gradient)")
            notes.append(f"A step of a fit of {row['length']:g} cm: {', '.join(parts)}.")
        if row["program"] == "threads":
            notes.append(f"{row['threads']} threads at {row['length']:g} cm, by turns: {by_turns(row)}.")
        if row["program"] == "arithmetic" and same:
            used = {k: n / same[k]["median_s"] / row["peak_per_s"] for k, n in row["operations"].items()}
            notes.append(
                f"Share of the arithmetic peak ({row['peak_per_s'] / 1e9:.0f} Gflop/s) at {row['length']:g} cm: "
                f"forward {100 * used['forward']:.0f} %, value and gradient {100 * used['gradient']:.0f} %."
            )
    return notes
