"""Pair wires: which wires of the planes of its TPC see a step."""

from lartpc.kernels.runtime.launch import device, kernel

# Columns of the integer table `plane_wires`, one row a plane: see `detector.wireplanes.WirePlanes`.
WIRES = 0
FIRST_CHANNEL = 1
START = 2
STEP = 3
WRAP = 4


@device
def seen_by(v, plane, site_r, sites_r, bins, reach, beyond, plane_wires):
    """First and last of the wires of a plane, and `beyond` it, that are within `reach` of the sites of view v."""
    first = site_r[v] // bins - reach
    last = (site_r[v] + sites_r[v] - 1) // bins + reach
    return max(first, -beyond), min(last, plane_wires[plane, WIRES] - 1 + beyond)


@kernel("pair_count", light=True)
def count_wires(i, step_tpc, per_tpc, site_r, sites_r, bins, reach, beyond, plane_wires, pair_count):
    """Number of the wires that see step i: pair_count (n_steps,). Sites of its views as in `share_wires`."""
    total = 0
    for p in range(per_tpc):
        first, last = seen_by(
            per_tpc * i + p, per_tpc * step_tpc[i] + p, site_r, sites_r, bins, reach, beyond, plane_wires
        )
        total += max(last - first + 1, 0)
    pair_count[i] = total


@kernel("pair_step", "pair_wire", "pair_plane", "pair_channel", light=True)
def pair_wires(
    i,
    step_tpc,
    per_tpc,
    site_r,
    sites_r,
    bins,
    reach,
    beyond,
    plane_wires,
    first_pair,
    pair_step,
    pair_wire,
    pair_plane,
    pair_channel,
):
    """The wires that see step i, int64 (n_pairs,), from first_pair[i] on: its wire, plane and channel."""
    at = first_pair[i]
    for p in range(per_tpc):
        plane = per_tpc * step_tpc[i] + p
        first, last = seen_by(per_tpc * i + p, plane, site_r, sites_r, bins, reach, beyond, plane_wires)
        for wire in range(first, last + 1):
            pair_step[at] = i
            pair_wire[at] = wire
            pair_plane[at] = plane
            turn = (plane_wires[plane, START] + plane_wires[plane, STEP] * wire) % plane_wires[plane, WRAP]
            pair_channel[at] = plane_wires[plane, FIRST_CHANNEL] + turn
            at += 1
