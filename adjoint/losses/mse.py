"""Adjoint of mse."""

from lartpc.kernels.runtime.launch import kernel


@kernel("grad_time", "grad_charge", light=True)
def mse_adjoint(
    i,
    # forward inputs
    time,
    charge,
    partner,
    target_time,
    target_charge,
    time_scale,
    charge_scale,
    # gradients of outputs
    grad_square,
    # gradients of inputs
    grad_time,
    grad_charge,
):
    """Gradient of hit i; the target is a constant.

    d(square)/d(t) = 2 (t - t')/time_scale^2, d(square)/d(q) = 2 (q - q')/charge_scale^2; without a partner 0 and
    2 q/charge_scale^2
    """
    T = type(time_scale)
    weight = T(2.0) * grad_square[i]
    j = partner[i]
    if j < 0:
        grad_charge[i] += weight * charge[i] / (charge_scale * charge_scale)
    else:
        grad_time[i] += weight * (time[i] - target_time[j]) / (time_scale * time_scale)
        grad_charge[i] += weight * (charge[i] - target_charge[j]) / (charge_scale * charge_scale)
