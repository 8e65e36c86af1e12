"""Convolve: the current on a pixel from the charge that drives the waveforms of a response.

The charge of a window of ticks is in trains, one for each table of the response that its steps have: values at sites
in time, `per_tick` a tick, `rank` a site. A waveform at lag j, in sites, is `basis` from the table's first lag to its
last, and before that a sum of exponentials, which are carried back from tick to tick.
"""

import numpy as np

from lartpc.kernels.runtime.launch import device, in_order, kernel

LANES = 8  # ranks and degrees of the tables are filled up to multiples of it: so the loops fill the processor's vectors
SHARES = 8  # of the sum over what a tick sees by the basis, on CUDA


@device
def seen(tick, first_site, sites, per_tick, first_lag, last_lag):
    """The sites (first, end) of a train, counted from its first, that a tick sees by the basis, and its own site."""
    site = tick * per_tick - first_site
    return max(site - last_lag, 0), min(site - first_lag + 1, sites), site


@device
def following(site, sites, per_tick, first_lag):
    """The sites (first, end) which the next tick sees through the basis, but this one, at `site`, no more."""
    return max(site - first_lag + 1, 0), min(site + per_tick - first_lag + 1, sites)


@device
def ticks_driven(i, window_train, window_tick, window_first, train_table, train_site, train_sites, per_tick, last_lag):
    """How many ticks of window i come until the last that sees a site: after it, where it settles, nothing does."""
    end = 0
    for c in range(window_train[i], window_train[i + 1]):
        t = train_table[c]
        end = max(end, (train_site[c] + train_sites[c] - 1 + last_lag[t]) // per_tick[t] + 1 - window_tick[i])
    return min(end, window_first[i + 1] - window_first[i])


@device
def faded(x):
    """x, or 0 where it is next to nothing: processors are slow on numbers below the least normal one."""
    T = type(x)
    return x if abs(x) > T(1e-30) else T(0.0)


@kernel("current", work=("state",))
def convolve(
    i,
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
    tail,
    decay,
    source,
    state,
    current,
):
    """Current of window i at its ticks: current[window_first[i] + k] at tick window_tick[i] + k [e/us].

    current(t) = sum over trains, sites n and r of source[n, r] waveform_r(t - t_n)

    Trains window_train[i] to window_train[i + 1]: table, first site (counted in tick/per_tick from 0), sites and
    where its values begin in `source`, with the end of all: train_source (n_trains + 1,). By table: basis (n_tables,
    lags rank) [1/us], latest lag first; tail (n_tables, most per_tick, most rank, poles) [1/us]: what r adds to
    exponential p at a tick that lies 1, 2, ... sites before first_lag; decay (poles,): what is left of them a tick
    earlier. state (n_windows, poles): zeros, to work in.
    """
    T = type(current[0])
    base = window_first[i]
    ticks = window_first[i + 1] - base
    begin = window_tick[i]
    come = ticks_driven(
        i, window_train, window_tick, window_first, train_table, train_site, train_sites, per_tick, last_lag
    )
    for k in range(ticks):
        current[base + k] = T(0.0)
    for c in range(window_train[i], window_train[i + 1]):
        t = train_table[c]
        n = rank[t]
        for k in range(come):
            low, high, site = seen(begin + k, train_site[c], train_sites[c], per_tick[t], first_lag[t], last_lag[t])
            if low < high:
                at = train_source[c] + low * n
                of_basis = (low - site + last_lag[t]) * n
                total = T(0.0)
                for j in range((high - low) * n):
                    total += source[np.uint64(at + j)] * basis[t, np.uint64(of_basis + j)]
                current[base + k] += total
    poles = decay.shape[0]
    for k in range(come - 1, -1, -1):
        for p in range(poles):
            q = np.uint64(p)
            state[i, q] = faded(decay[q] * state[i, q])
        for c in range(window_train[i], window_train[i + 1]):
            t = train_table[c]
            site = (begin + k) * per_tick[t] - train_site[c]
            low, high = following(site, train_sites[c], per_tick[t], first_lag[t])
            for u in range(low, high):
                phase = first_lag[t] + u - site - 1
                at = train_source[c] + u * rank[t]
                for r in range(0, rank[t], 4):
                    v0 = source[at + r]
                    v1 = source[at + r + 1]
                    v2 = source[at + r + 2]
                    v3 = source[at + r + 3]
                    for p in range(poles):
                        q = np.uint64(p)
                        early = v0 * tail[t, phase, r, q] + v1 * tail[t, phase, r + 1, q]
                        late = v2 * tail[t, phase, r + 2, q] + v3 * tail[t, phase, r + 3, q]
                        state[i, q] += early + late
        total = T(0.0)
        for p in range(poles):
            total += state[i, np.uint64(p)]
        current[base + k] += total


@kernel("driven", lanes=1024)
def convolve_ticks(
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
    tail,
    source,
    driven,
):
    """Of window i, driven (n_samples, poles + shares): what a tick adds to each exponential, and what it sees by the
    basis, in as many shares of the values that it sees."""
    poles = tail.shape[3]
    columns = driven.shape[1]
    base = window_first[i]
    begin = window_tick[i]
    first_train = window_train[i]
    end_train = window_train[i + 1]
    for e in range(lane, (window_first[i + 1] - base) * columns, lanes):
        k = e // columns
        column = e % columns
        total = type(driven[0, 0])(0.0)
        for c in range(first_train, end_train):
            t = train_table[c]
            n = rank[t]
            low, high, site = seen(begin + k, train_site[c], train_sites[c], per_tick[t], first_lag[t], last_lag[t])
            if column >= poles:
                at = train_source[c] + low * n
                of_basis = (low - site + last_lag[t]) * n
                for j in range(column - poles, (high - low) * n, columns - poles):
                    total += source[np.uint64(at + j)] * basis[t, np.uint64(of_basis + j)]
            else:
                low, high = following(site, train_sites[c], per_tick[t], first_lag[t])
                for u in range(low, high):
                    phase = first_lag[t] + u - site - 1
                    at = train_source[c] + u * n
                    for r in range(n):
                        total += source[np.uint64(at + r)] * tail[t, phase, np.uint64(r), np.uint64(column)]
        driven[base + k, column] = total


@kernel("driven", lanes=16)
def convolve_poles(i, lane, lanes, window_first, decay, driven):
    """The exponentials of window i, each carried back from its last tick to its first, in place of what drives them."""
    for p in range(lane, decay.shape[0], lanes):
        left = decay[p]
        state = type(left)(0.0)
        for k in range(window_first[i + 1] - 1, window_first[i] - 1, -1):
            state = faded(left * state) + driven[k, p]
            driven[k, p] = state


@kernel("current")
def convolve_sum(i, driven, current):
    """The current of sample i, from its exponentials and shares."""
    total = type(current[0])(0.0)
    for p in range(driven.shape[1]):
        total += driven[i, p]
    current[i] = total


@convolve.on_cuda
def convolve_in_parts(threads, xp, **arrays):
    """`convolve`: no thread goes through all ticks of a window for all poles."""
    current, decay = arrays["current"], arrays["decay"]
    driven = xp.empty((len(current), len(decay) + SHARES), dtype=current.dtype)
    arrays |= {"driven": driven}
    convolve_ticks(threads, **in_order(convolve_ticks, arrays))
    convolve_poles(threads, **in_order(convolve_poles, arrays))
    convolve_sum(len(current), driven=driven, current=current)
