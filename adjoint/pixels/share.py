"""Adjoint of share."""

from lartpc.kernels.pixels.share import NARROWEST, lattice_spread
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_arrival", "grad_sigma_t", light=True)
def share_adjoint(
    i,
    # forward inputs
    arrival,
    sigma_t,
    step_table,
    step_tick,
    per_tick,
    smooth,
    tick,
    site_t,
    sites_t,
    share_t,
    # gradients of outputs
    grad_share_t,
    # gradients of inputs
    grad_arrival,
    grad_sigma_t,
):
    """Gradients of step i. With z = (m - u)/s:

    d(share_m) = share_m (l_m - sum of share l), l_m = z/s du + z^2/s ds, du = scale d(arrival)
    s = scale sqrt(sigma_t^2 - smooth^2): ds = scale^2 sigma_t/s d(sigma_t), 0 where s is NARROWEST
    """
    T = type(tick)
    table = step_table[i]
    scale = T(per_tick[table]) / tick
    u = arrival[i] * scale
    s = lattice_spread(sigma_t[i], smooth[table], scale)
    first = site_t[i] - step_tick[i] * per_tick[table]
    mean = T(0.0)
    for m in range(sites_t[i]):
        mean += share_t[i, m] * grad_share_t[i, m]
    grad_u = T(0.0)
    grad_s = T(0.0)
    for m in range(sites_t[i]):
        z = (T(first + m) - u) / s
        term = share_t[i, m] * (grad_share_t[i, m] - mean) * z
        grad_u += term
        grad_s += term * z
    grad_arrival[i] += grad_u * scale / s
    if s > T(NARROWEST):
        grad_sigma_t[i] += grad_s * scale * scale * sigma_t[i] / (s * s)


@kernel("share_t_by_arrival", "share_t_by_sigma_t", light=True)
def share_tangent(
    i,
    # forward inputs
    arrival,
    sigma_t,
    step_table,
    step_tick,
    per_tick,
    smooth,
    tick,
    # forward outputs
    site_t,
    sites_t,
    share_t,
    # derivatives
    share_t_by_arrival,
    share_t_by_sigma_t,
):
    """Derivatives of the shares of step i by its arrival and sigma_t [1/us] (n_steps, most sites).

    Formulas: see `share_adjoint`.
    """
    T = type(tick)
    table = step_table[i]
    scale = T(per_tick[table]) / tick
    u = arrival[i] * scale
    s = lattice_spread(sigma_t[i], smooth[table], scale)
    first = site_t[i] - step_tick[i] * per_tick[table]
    by_sigma = scale * scale * sigma_t[i] / (s * s) if s > T(NARROWEST) else T(0.0)
    mean = T(0.0)
    mean_square = T(0.0)
    for m in range(sites_t[i]):
        z = (T(first + m) - u) / s
        mean += share_t[i, m] * z
        mean_square += share_t[i, m] * z * z
    for m in range(sites_t[i]):
        z = (T(first + m) - u) / s
        share_t_by_arrival[i, m] = share_t[i, m] * (z - mean) * scale / s
        share_t_by_sigma_t[i, m] = share_t[i, m] * (z * z - mean_square) * by_sigma
