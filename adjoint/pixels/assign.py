"""Adjoint of assign: from the shares on the lattice back to a step.

w(z) = G(z + 1) - 2 G(z) + G(z - 1) at z = site - u:
dw/du = -(Phi((z + 1)/s) - 2 Phi(z/s) + Phi((z - 1)/s)),  dw/ds = the same second difference of phi(z/s)
"""

from lartpc.kernels.charge.split import PITCH
from lartpc.kernels.pixels.assign import hat, lattice_position
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.special import normal_cdf, normal_density


@device
def slope_by_u(z, s):
    """dw/du."""
    T = type(z)
    here = normal_cdf(z / s)
    return -(normal_cdf((z + T(1.0)) / s) - here - (here - normal_cdf((z - T(1.0)) / s)))


@device
def slope_by_s(z, s):
    """dw/ds."""
    T = type(z)
    return normal_density((z + T(1.0)) / s) - T(2.0) * normal_density(z / s) + normal_density((z - T(1.0)) / s)


@device
def edge_at(z, s):
    """G(z) - max(z, 0), Phi(z/s) and phi(z/s): of each site once, as its neighbours need them, too."""
    T = type(z)
    a = abs(z) / s
    density = normal_density(a)
    tail = normal_cdf(-a)
    return s * (density - a * tail), tail if z < T(0.0) else T(1.0) - tail, density


@device
def assign_axis_adjoint(i, u, s, first, n, amount, grad_share):
    """Gradients with respect to u, s and amount."""
    T = type(u)
    grad_u = T(0.0)
    grad_s = T(0.0)
    grad_amount = T(0.0)
    rest0, cdf0, density0 = edge_at(T(first - 1) - u, s)
    rest1, cdf1, density1 = edge_at(T(first) - u, s)
    for k in range(n):
        z = T(first + k) - u
        rest2, cdf2, density2 = edge_at(z + T(1.0), s)
        grad = grad_share[i, k]
        grad_amount += grad * (hat(z) + ((rest0 - rest1) + (rest2 - rest1)))
        grad_u -= grad * ((cdf2 - cdf1) - (cdf1 - cdf0))
        grad_s += grad * ((density2 - density1) + (density0 - density1))
        rest0, cdf0, density0 = rest1, cdf1, density1
        rest1, cdf1, density1 = rest2, cdf2, density2
    return grad_u * amount, grad_s * amount, grad_amount


@kernel("grad_x", "grad_y", "grad_charge", "grad_arrival", "grad_sigma_t", "grad_sigma_T")
def assign_adjoint(
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
    step_table,
    step_tick,
    tpcs,
    bins,
    per_tick,
    tick,
    shift,
    # forward outputs
    site_x,
    site_y,
    site_t,
    sites_x,
    sites_y,
    sites_t,
    # gradients of outputs
    grad_share_x,
    grad_share_y,
    grad_share_t,
    # gradients of inputs
    grad_x,
    grad_y,
    grad_charge,
    grad_arrival,
    grad_sigma_t,
    grad_sigma_T,
):
    """Gradients of step i: u and s of each axis are position and spread in units of the lattice."""
    T = type(tick)
    pitch = tpcs[step_tpc[i], PITCH]
    scale = T(bins) / pitch
    s = sigma_T[i] * scale
    u = lattice_position(x[i], pitch, bins)
    first = site_x[i] - column[i] * bins
    by_u, by_s, amount = assign_axis_adjoint(i, u, s, first, sites_x[i], charge[i], grad_share_x)
    grad_x[i] += by_u * scale
    grad_sigma_T[i] += by_s * scale
    grad_charge[i] += amount
    u = lattice_position(y[i], pitch, bins)
    first = site_y[i] - row[i] * bins
    by_u, by_s, amount = assign_axis_adjoint(i, u, s, first, sites_y[i], T(1.0), grad_share_y)
    grad_y[i] += by_u * scale
    grad_sigma_T[i] += by_s * scale
    scale = T(per_tick) / tick
    u = (arrival[i] - shift[step_table[i]]) * scale
    first = site_t[i] - step_tick[i] * per_tick
    by_u, by_s, amount = assign_axis_adjoint(i, u, sigma_t[i] * scale, first, sites_t[i], T(1.0), grad_share_t)
    grad_arrival[i] += by_u * scale
    grad_sigma_t[i] += by_s * scale


@device
def assign_axis_by_u(i, u, s, first, n, amount, by_u):
    """`amount` times the derivatives of the shares of one axis by u."""
    for k in range(n):
        by_u[i, k] = amount * slope_by_u(type(u)(first + k) - u, s)


@device
def assign_axis_by_s(i, u, s, first, n, amount, by_s):
    """`amount` times the derivatives of the shares of one axis by s."""
    for k in range(n):
        by_s[i, k] = amount * slope_by_s(type(u)(first + k) - u, s)


@kernel(
    "share_x_by_sigma_T",
    "share_y_by_sigma_T",
    "share_t_by_arrival",
    "share_t_by_sigma_t",
    "share_x_by_x",
    "share_y_by_y",
)
def assign_tangent(
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
    step_table,
    step_tick,
    tpcs,
    bins,
    per_tick,
    tick,
    shift,
    # forward outputs
    site_x,
    site_y,
    site_t,
    sites_x,
    sites_y,
    sites_t,
    # derivatives
    share_x_by_sigma_T,
    share_y_by_sigma_T,
    share_t_by_arrival,
    share_t_by_sigma_t,
    share_x_by_x,
    share_y_by_y,
):
    """Derivatives of the shares of step i: (n_steps, most sites) like these; those by x and y only where asked for.

    No parameter moves x and y: who needs none of their derivatives gives arrays without rows.
    """
    T = type(tick)
    pitch = tpcs[step_tpc[i], PITCH]
    scale = T(bins) / pitch
    s = sigma_T[i] * scale
    u = lattice_position(x[i], pitch, bins)
    first = site_x[i] - column[i] * bins
    assign_axis_by_s(i, u, s, first, sites_x[i], charge[i] * scale, share_x_by_sigma_T)
    if share_x_by_x.shape[0] > 0:
        assign_axis_by_u(i, u, s, first, sites_x[i], charge[i] * scale, share_x_by_x)
    u = lattice_position(y[i], pitch, bins)
    first = site_y[i] - row[i] * bins
    assign_axis_by_s(i, u, s, first, sites_y[i], scale, share_y_by_sigma_T)
    if share_y_by_y.shape[0] > 0:
        assign_axis_by_u(i, u, s, first, sites_y[i], scale, share_y_by_y)
    scale = T(per_tick) / tick
    u = (arrival[i] - shift[step_table[i]]) * scale
    s = sigma_t[i] * scale
    first = site_t[i] - step_tick[i] * per_tick
    assign_axis_by_u(i, u, s, first, sites_t[i], scale, share_t_by_arrival)
    assign_axis_by_s(i, u, s, first, sites_t[i], scale, share_t_by_sigma_t)
