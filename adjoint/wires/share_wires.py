"""Adjoint of share_wires: from the shares on all planes back to a step; see `assign`."""

from lartpc.adjoint.pixels.assign import assign_axis_adjoint, assign_axis_by_s, assign_axis_by_u
from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.wires.share_wires import BY_X, BY_Y, PITCH, wire_lattice, wire_place


@kernel("grad_x", "grad_y", "grad_charge", "grad_arrival", "grad_sigma_t", "grad_sigma_T")
def share_wires_adjoint(
    i,
    # forward inputs
    column,
    row,
    x,
    y,
    charge,
    arrival,
    sigma_t,
    sigma_T,
    step_tpc,
    step_tick,
    places,
    per_tpc,
    bins,
    per_tick,
    tick,
    # forward outputs
    site_r,
    sites_r,
    site_t,
    sites_t,
    # gradients of outputs
    grad_share_r,
    grad_share_t,
    # gradients of inputs
    grad_x,
    grad_y,
    grad_charge,
    grad_arrival,
    grad_sigma_t,
    grad_sigma_T,
):
    """Gradients of step i: by u and s, place and spread in units of the lattice, in time and of each of its views."""
    T = type(tick)
    scale = T(per_tick) / tick
    first = site_t[i] - step_tick[i] * per_tick
    u = arrival[i] * scale
    by_u, by_s, amount = assign_axis_adjoint(i, u, sigma_t[i] * scale, first, sites_t[i], T(1.0), grad_share_t)
    grad_arrival[i] += by_u * scale
    grad_sigma_t[i] += by_s * scale
    for p in range(per_tpc):
        v = per_tpc * i + p
        plane = per_tpc * step_tpc[i] + p
        wire, place = wire_place(column[i], row[i], x[i], y[i], places, plane)
        u = wire_lattice(place, bins)
        scale = T(bins) / places[plane, PITCH]
        first = site_r[v] - wire * bins
        by_u, by_s, amount = assign_axis_adjoint(v, u, sigma_T[i] * scale, first, sites_r[v], charge[i], grad_share_r)
        grad_x[i] += by_u * (T(bins) * places[plane, BY_X])
        grad_y[i] += by_u * (T(bins) * places[plane, BY_Y])
        grad_sigma_T[i] += by_s * scale
        grad_charge[i] += amount


@kernel("share_r_by_sigma_T", "share_t_by_arrival", "share_t_by_sigma_t")
def share_wires_tangent(
    i,
    # forward inputs
    column,
    row,
    x,
    y,
    charge,
    arrival,
    sigma_t,
    sigma_T,
    step_tpc,
    step_tick,
    places,
    per_tpc,
    bins,
    per_tick,
    tick,
    # forward outputs
    site_r,
    sites_r,
    site_t,
    sites_t,
    # derivatives
    share_r_by_sigma_T,
    share_t_by_arrival,
    share_t_by_sigma_t,
):
    """Derivatives of the shares of step i, like these: share_r_by_sigma_T [e/cm], share_t_by_... [1/us]."""
    T = type(tick)
    scale = T(per_tick) / tick
    first = site_t[i] - step_tick[i] * per_tick
    u, s = arrival[i] * scale, sigma_t[i] * scale
    assign_axis_by_u(i, u, s, first, sites_t[i], scale, share_t_by_arrival)
    assign_axis_by_s(i, u, s, first, sites_t[i], scale, share_t_by_sigma_t)
    for p in range(per_tpc):
        v = per_tpc * i + p
        plane = per_tpc * step_tpc[i] + p
        wire, place = wire_place(column[i], row[i], x[i], y[i], places, plane)
        scale = T(bins) / places[plane, PITCH]
        first = site_r[v] - wire * bins
        s = sigma_T[i] * scale
        assign_axis_by_s(v, wire_lattice(place, bins), s, first, sites_r[v], charge[i] * scale, share_r_by_sigma_T)
