"""Squared error of the time and charge of a hit against those of its partner in another list."""

from lartpc.kernels.runtime.launch import kernel


@kernel("error", light=True)
def mse(i, time, charge, partner, target_time, target_charge, time_scale, charge_scale, error):
    """error[i] = ((t - t')/time_scale)^2 + ((q - q')/charge_scale)^2 of hit i and hit partner[i] of the target.

    Without a partner (-1) error[i] = (q/charge_scale)^2, as against a hit without charge. time, charge, partner, error
    (n,); target_time, target_charge (m,); times and time_scale [us], charges and charge_scale [e].
    """
    q = charge[i]
    j = partner[i]
    if j < 0:
        a = q / charge_scale
        error[i] = a * a
    else:
        a = (time[i] - target_time[j]) / time_scale
        b = (q - target_charge[j]) / charge_scale
        error[i] = a * a + b * b
