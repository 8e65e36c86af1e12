"""Adjoint of soft_dtw."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.special import exp_negative


@kernel("grad_value", work=("scratch",))
def soft_dtw_adjoint(
    i,
    # forward inputs
    value,
    first,
    target,
    target_first,
    table_first,
    gamma,
    # forward outputs
    table,
    # three diagonals to work in
    scratch,
    # gradients of outputs
    grad_loss,
    # gradients of inputs
    grad_value,
):
    """Gradient of the values of event i; the target is a constant. scratch: (3 len(value),).

    E[r, c] = d(loss)/d(R[r, c]) = sum of E[s] exp((R[s] - |v - t|[s] - R[r, c])/gamma) over the cells s = (r + 1, c),
    (r, c + 1) and (r + 1, c + 1), the exponential being d(R[s])/d(R[r, c]); E of the last cell = d(loss).
    d(loss)/d(v_r) = sum_c E[r, c] sign(v_r - t_c), sign(0) = 0. Source: Cuturi & Blondel, algorithm 2.
    """
    T = type(gamma)
    per_gamma = T(1.0) / gamma
    n = first[i + 1] - first[i]
    m = target_first[i + 1] - target_first[i]
    v = first[i]
    t = target_first[i]
    # Cell r of diagonals k + 2, k + 1 and k is at corner + r, edge + r and here + r.
    corner = edge = here = table_first[i + 1] - n
    for back in range(n + m - 1):
        k = n + m - 2 - back
        # E of diagonals k, k + 1 and k + 2. In place, without the third, the loop would not vectorise.
        new = (k % 3) * len(value) + v
        old = ((k + 1) % 3) * len(value) + v
        older = ((k + 2) % 3) * len(value) + v
        if back == 0:
            scratch[new + n - 1] = grad_loss[i]
        elif k >= m - 1:
            r = k - m + 1
            weight = (table[edge + r + 1] - abs(value[v + r + 1] - target[t + m - 1]) - table[here + r]) * per_gamma
            scratch[new + r] = scratch[old + r + 1] * exp_negative(weight)
        for r in range(max(0, k - m + 2), min(k + 1, n - 1)):
            at = table[np.uint64(here + r)]
            a = value[np.uint64(v + r)]
            a1 = value[np.uint64(v + r + 1)]
            b = target[np.uint64(t + k - r)]
            b1 = target[np.uint64(t + k - r + 1)]
            down = exp_negative((table[np.uint64(edge + r + 1)] - abs(a1 - b) - at) * per_gamma)
            right = exp_negative((table[np.uint64(edge + r)] - abs(a - b1) - at) * per_gamma)
            across = exp_negative((table[np.uint64(corner + r + 1)] - abs(a1 - b1) - at) * per_gamma)
            scratch[np.uint64(new + r)] = (
                scratch[np.uint64(old + r + 1)] * down
                + scratch[np.uint64(old + r)] * right
                + scratch[np.uint64(older + r + 1)] * across
            )
        if back > 0 and k >= n - 1:
            r = n - 1
            weight = (table[edge + r] - abs(value[v + r] - target[t + k - r + 1]) - table[here + r]) * per_gamma
            scratch[new + r] = scratch[old + r] * exp_negative(weight)
        for r in range(max(0, k - m + 1), min(k + 1, n)):
            difference = value[np.uint64(v + r)] - target[np.uint64(t + k - r)]
            sign = T(difference > T(0.0)) - T(difference < T(0.0))
            grad_value[np.uint64(v + r)] += scratch[np.uint64(new + r)] * sign
        corner = edge
        edge = here
        # The diagonal before starts max(0, k - m) and ends at min(k - 1, n - 1).
        here -= min(k - 1, n - 1) + 1 - max(0, k - m + 1)
