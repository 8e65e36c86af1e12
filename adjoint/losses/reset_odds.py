"""Adjoint of reset_odds."""

import math

from lartpc.adjoint.losses.summed import add_to
from lartpc.kernels.losses.odds import below, between, normal, veto, veto_slopes
from lartpc.kernels.losses.reset_odds import FAINT, FAR, follow, less_likely, mixture, read_after, silence, weigh
from lartpc.kernels.losses.summed import at_or_after, charge_to, sums, tick_of
from lartpc.kernels.runtime.launch import device, kernel


@device
def unfollow(
    total,
    ticks,
    first,
    low,
    high,
    start,
    begin,
    last,
    odds,
    threshold,
    hold_ticks,
    s_r,
    s_u,
    by_most,
    by_staying,
    by_noisy,
    pull,
    slope,
):
    """From the derivatives `pull` by the weights and those by what `follow` gives: by its `odds` and the threshold.

    What it passes to the charges is added to `slope`.
    """
    T = type(s_r)
    half = T(0.5)
    base = charge_to(total, ticks, first, low, high, start, begin)
    most = T(0.0)
    top = -1
    by_odds = T(0.0)
    by_threshold = T(0.0)
    by_base = T(0.0)
    for j in range(at_or_after(ticks, first, low, high, start), first[high]):
        charge = total[j] - base
        if charge <= most:
            continue
        if charge > threshold - T(FAR) * s_r:
            t = tick_of(ticks, first, low, high, j)
            if t >= last:
                break
            a = (most - threshold) / s_r
            b = (charge - threshold) / s_r
            p = between(a, b)
            highest, kept, at = read_after(total, ticks, first, low, high, t, hold_ticks)
            h = highest / s_u
            v = veto(h, kept / s_u)
            n = below(-h)
            by_odds += pull[j] * p * v
            one = pull[j] * odds
            by_p = one * v + n * (by_noisy + by_staying * (T(1.0) - v))
            by_high = by_p * normal(b) / s_r
            by_low = by_p * normal(a) / s_r
            by_threshold += by_low - by_high
            slope[j] += by_high
            by_base -= by_high
            if top >= 0:
                slope[top] -= by_low
                by_base += by_low
            by_v = p * (one - by_staying * n)
            v_highest, v_kept = veto_slopes(h, kept / s_u)
            by_highest = (by_v * v_highest - p * (by_noisy + by_staying * (T(1.0) - v)) * normal(h)) / s_u
            by_kept = by_v * v_kept / s_u
            if at >= 0:
                slope[at] += by_highest
            elif at == -1:
                by_highest = T(0.0)
            else:
                by_kept += by_highest
                by_highest = T(0.0)
            add_to(slope, ticks, first, low, high, t + hold_ticks, half, by_kept)
            add_to(slope, ticks, first, low, high, t, half, -by_kept - by_highest)
        most = charge
        top = j
    if top >= 0:
        slope[top] += by_most
        by_base -= by_most
    add_to(slope, ticks, first, low, high, start, begin, by_base)
    return by_odds, by_threshold


@device
def unweigh(
    total,
    ticks,
    first,
    low,
    high,
    start,
    begin,
    last,
    threshold,
    hold_ticks,
    lead,
    s_r,
    s_u,
    weight,
    quiet,
    grad_quiet,
    pull,
    slope,
):
    """From the derivatives `pull` by the odds `weight` and `grad_quiet` by log of the sum, that by the threshold.

    Those by the charges go to `slope`.
    """
    T = type(s_r)
    by_threshold = T(0.0)
    for j in range(first[high] - 1, first[low] - 2, -1):
        read = j >= first[low]  # the last turn is of the reset before them all
        odds = weight[j] if read else T(1.0)
        if odds > T(FAINT):
            reset = tick_of(ticks, first, low, high, j) + lead if read else start
            since = T(0.5) if read else begin
            own = T(0.0)
            by_most = T(0.0)
            by_staying = T(0.0)
            by_noisy = T(0.0)
            if grad_quiet != T(0.0):
                most, _, staying, noisy = follow(
                    total, ticks, first, low, high, reset, since, last, T(0.0), threshold, hold_ticks, s_r, s_u, weight
                )
                value, by_most, by_staying, by_noisy = silence(most, staying, noisy, threshold, s_r, s_u)
                own = grad_quiet * math.exp(value - quiet)
                by_most *= odds * own
                by_staying *= odds * own
                by_noisy *= odds * own
                by_threshold -= by_most
            by_odds, more = unfollow(
                total,
                ticks,
                first,
                low,
                high,
                reset,
                since,
                last,
                odds,
                threshold,
                hold_ticks,
                s_r,
                s_u,
                by_most,
                by_staying,
                by_noisy,
                pull,
                slope,
            )
            by_threshold += more
            if read:
                pull[j] += by_odds + own
    return by_threshold


@device
def unmix(
    total,
    ticks,
    first,
    low,
    high,
    start,
    begin,
    t,
    fraction,
    threshold,
    lead,
    s_r,
    weight,
    grad_lost,
    grad_excess,
    pull,
    slope,
):
    """Sets `pull` for a hit; the derivative by the threshold; those by the charges go to `slope`.

    With the parts rho_j of the sum, its log has d(log) = sum rho_j [d(log w_j) - z_j dz_j], and d(lost) = sum rho_j
    {dl_j + (l_j - lost) [d(log w_j) - z_j dz_j]}, l_j the charge lost, dz_j = dz + dl_j/s_r. As sum rho_j z_j is the z
    of the mean lost, that is taken off, what is left of dz is that of the variance of the l_j.
    """
    T = type(s_r)
    value, lost, z = mixture(total, ticks, first, low, high, start, begin, t, fraction, threshold, lead, s_r, weight)
    by_lost = grad_lost - grad_excess * (z + lost / s_r) / s_r
    base = charge_to(total, ticks, first, low, high, start, begin)
    by_z = T(0.0)
    by_base = T(0.0)
    for j in range(first[low], first[high]):
        if weight[j] > T(FAINT):
            reset = tick_of(ticks, first, low, high, j) + lead
            gone = charge_to(total, ticks, first, low, high, reset, T(0.5)) - base
            gauss = math.exp(-value - less_likely(z, gone / s_r))
            part = weight[j] * gauss
            off = (gone - lost) / s_r
            pull[j] = gauss * (by_lost * s_r * off - grad_excess)
            by_z -= part * by_lost * off * gone
            by_gone = part * (grad_lost + off * (grad_excess / s_r - by_lost * (z + gone / s_r)))
            add_to(slope, ticks, first, low, high, reset, T(0.5), by_gone)
            by_base -= by_gone
    add_to(slope, ticks, first, low, high, t, fraction, -by_z / s_r)
    add_to(slope, ticks, first, low, high, start, begin, by_base + by_z / s_r)
    return by_z / s_r


@kernel("grad_waveform", "grad_threshold", work=("total", "weight", "pull", "slope"), light=True)
def reset_odds_adjoint(
    i,
    # forward inputs
    waveform,
    pixel,
    sample,
    pixel_window,
    window_first,
    window_tick,
    target_count,
    target_tick,
    target_fraction,
    threshold,
    tick,
    hold_ticks,
    reset_cycles,
    reset_noise,
    uncorrelated_noise,
    total,
    weight,
    # of the adjoint alone
    pull,
    slope,
    # gradients of outputs
    grad_lost,
    grad_excess,
    grad_log_silence,
    # gradients of inputs
    grad_waveform,
    grad_threshold,
):
    """Gradients of the i-th pixel: by the odds first, the last reset first, then by the charges, then by currents."""
    T = type(tick)
    own = pixel[i]
    low = pixel_window[i]
    high = pixel_window[i + 1]
    lead = hold_ticks + reset_cycles
    start = window_tick[low]
    begin = T(0.0)
    sums(waveform, sample[i], window_first, low, high, tick, total)
    for j in range(window_first[low], window_first[high]):
        slope[j] = T(0.0)
    for n in range(target_count[own] + 1):
        hit = n < target_count[own]
        t = target_tick[own, n] if hit else window_tick[high - 1] + window_first[high] - window_first[high - 1] + lead
        grad_quiet = T(0.0) if hit else grad_log_silence[own]
        seeded = grad_lost[own, n] != T(0.0) or grad_excess[own, n] != T(0.0) if hit else grad_quiet != T(0.0)
        if seeded:
            quiet = weigh(
                total,
                window_tick,
                window_first,
                low,
                high,
                start,
                begin,
                t - lead,
                threshold[own],
                hold_ticks,
                lead,
                reset_noise,
                uncorrelated_noise,
                weight,
            )
            for j in range(window_first[low], window_first[high]):
                pull[j] = T(0.0)
            if hit:
                grad_threshold[own] += unmix(
                    total,
                    window_tick,
                    window_first,
                    low,
                    high,
                    start,
                    begin,
                    t,
                    target_fraction[own, n],
                    threshold[own],
                    lead,
                    reset_noise,
                    weight,
                    grad_lost[own, n],
                    grad_excess[own, n],
                    pull,
                    slope,
                )
            grad_threshold[own] += unweigh(
                total,
                window_tick,
                window_first,
                low,
                high,
                start,
                begin,
                t - lead,
                threshold[own],
                hold_ticks,
                lead,
                reset_noise,
                uncorrelated_noise,
                weight,
                quiet,
                grad_quiet,
                pull,
                slope,
            )
        if hit:
            start = t + lead
            begin = target_fraction[own, n]
    later = T(0.0)
    for j in range(window_first[high] - 1, window_first[low] - 1, -1):
        later += slope[j]
        grad_waveform[sample[i] + j - window_first[low]] += later * tick
