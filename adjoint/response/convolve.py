"""Adjoint of convolve: from the current of a window back to the values of its trains."""

import numpy as np

from lartpc.kernels.response.convolve import faded, following, seen
from lartpc.kernels.runtime.launch import device, in_order, kernel


@kernel("grad_source", work=("grad_state",))
def convolve_adjoint(
    i,
    # forward inputs
    window_train,
    window_tick,
    window_first,
    train_table,
    train_site,
    train_sites,
    train_source,
    per_tick,
    rank,
    first_lag,
    last_lag,
    basis,
    tail_back,
    decay,
    # gradients of outputs
    grad_current,
    # zeros, to work in
    grad_state,
    # gradients of inputs
    grad_source,
):
    """Gradients of the values of window i: d(current(t))/d(source_r at t_n) = waveform_r(t - t_n).

    By the exponentials at a tick: grad_state(tick) = grad_current(tick) + decay grad_state(tick - 1), in its own place.
    tail_back (n_tables, most per_tick, poles, most rank): tail with its last axes exchanged. What grad_source held
    before does not matter.
    """
    for k in range(train_source[window_train[i]], train_source[window_train[i + 1]]):
        grad_source[k] = type(decay[0])(0.0)
    base = window_first[i]
    ticks = window_first[i + 1] - base
    begin = window_tick[i]
    poles = decay.shape[0]
    start = 0
    while start < ticks and grad_current[base + start] == 0.0:
        start += 1
    for p in range(poles):
        if grad_state[i, p] != 0.0:
            start = 0
    for k in range(start, ticks):
        grad = grad_current[base + k]
        for p in range(poles):
            q = np.uint64(p)
            grad_state[i, q] = grad + (faded(decay[q] * grad_state[i, q]) if k > 0 else grad_state[i, q])
        for c in range(window_train[i], window_train[i + 1]):
            t = train_table[c]
            n = rank[t]
            first = first_lag[t]
            low, high, site = seen(begin + k, train_site[c], train_sites[c], per_tick[t], first, last_lag[t])
            if low < high:
                at = train_source[c] + low * n
                of_basis = (low - site + last_lag[t]) * n
                for j in range((high - low) * n):
                    grad_source[np.uint64(at + j)] += grad * basis[t, np.uint64(of_basis + j)]
            low, high = following(site, train_sites[c], per_tick[t], first)
            for u in range(low, high):
                phase = first + u - site - 1
                at = train_source[c] + u * n
                for p in range(0, poles, 4):
                    g0 = grad_state[i, p]
                    g1 = grad_state[i, p + 1]
                    g2 = grad_state[i, p + 2]
                    g3 = grad_state[i, p + 3]
                    for r in range(n):
                        q = np.uint64(r)
                        early = g0 * tail_back[t, phase, p, q] + g1 * tail_back[t, phase, p + 1, q]
                        late = g2 * tail_back[t, phase, p + 2, q] + g3 * tail_back[t, phase, p + 3, q]
                        grad_source[np.uint64(at + r)] += early + late


@device
def from_below(a, b):
    """The least whole number that is not below a/b."""
    return -(-a // b)


@kernel("driven", lanes=16)
def convolve_poles_adjoint(i, lane, lanes, window_first, decay, grad_current, grad_state, driven):
    """Gradients of the exponentials of window i at all its ticks, driven (n_samples, poles)."""
    for p in range(lane, decay.shape[0], lanes):
        left = decay[p]
        state = grad_state[i, p]
        first = window_first[i]
        for k in range(first, window_first[i + 1]):
            state = grad_current[k] + (faded(left * state) if k > first else state)
            driven[k, p] = state


@kernel("grad_source", lanes=1024)
def convolve_sites_adjoint(
    i,
    lane,
    lanes,
    window_train,
    window_tick,
    window_first,
    train_table,
    train_site,
    train_sites,
    train_source,
    per_tick,
    rank,
    first_lag,
    last_lag,
    basis,
    tail_back,
    grad_current,
    driven,
    grad_source,
):
    """Gradients of the values of window i: of ticks that see a site by the basis, and of the one before them."""
    base = window_first[i]
    ticks = window_first[i + 1] - base
    for c in range(window_train[i], window_train[i + 1]):
        t = train_table[c]
        n = rank[t]
        each = per_tick[t]
        first_seen = first_lag[t]
        last_seen = last_lag[t]
        source = train_source[c]
        begin = window_tick[i] * each - train_site[c]  # the site of the first tick
        for e in range(lane, train_sites[c] * n, lanes):
            u = e // n
            r = np.uint64(e % n)
            total = type(grad_current[0])(0.0)
            first = from_below(u + first_seen - begin, each)
            end = (u + last_seen - begin) // each + 1
            k = first - 1  # the site is the first that this tick sees by the exponentials
            if 0 <= k and k < ticks:
                phase = first_seen + u - (begin + k * each) - 1
                for p in range(driven.shape[1]):
                    total += driven[base + k, p] * tail_back[t, phase, p, r]
            for k in range(max(first, 0), min(end, ticks)):
                lag = u - (begin + k * each) + last_seen
                total += grad_current[base + k] * basis[t, np.uint64(lag * n + e % n)]
            grad_source[np.uint64(source + e)] = total


@convolve_adjoint.on_cuda
def convolve_adjoint_in_parts(threads, xp, **arrays):
    """`convolve_adjoint`: no thread goes through all ticks of a window for all its values."""
    grad_current, decay = arrays["grad_current"], arrays["decay"]
    driven = xp.empty((len(grad_current), len(decay)), dtype=grad_current.dtype)
    arrays |= {"driven": driven}
    for part in (convolve_poles_adjoint, convolve_sites_adjoint):
        part(threads, **in_order(part, arrays))
