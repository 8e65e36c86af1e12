"""Squared deviation of the time and charge of a hit from those of its partner in another list."""

from lartpc.kernels.runtime.launch import kernel


@kernel("square", light=True)
def mse(i, time, charge, partner, target_time, target_charge, time_scale, charge_scale, square):
    """square[i] = ((t - t')/time_scale)^2 + ((q - q')/charge_scale)^2 of hit i and hit partner[i] of the target.

    Without a partner (-1) square[i] = (q/charge_scale)^2, as against a hit without charge. time, charge, partner,
    square (n,); target_time, target_charge (m,); times and time_scale [us], charges and charge_scale [e].
    """
    q = charge[i]
    j = partner[i]
    if j < 0:
        a = q / charge_scale
        square[i] = a * a
    else:
        a = (time[i] - target_time[j]) / time_scale
        b = (q - target_charge[j]) / charge_scale
        square[i] = a * a + b * b
