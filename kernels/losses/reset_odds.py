"""Reset odds: what vetoed reads that nobody sees, and their resets, mean for the probability of measured hits.

Currents of both signs raise the charge above the threshold and take it back before it is read. With the noises s_r of
resets and s_u of reads, M the highest charge since a reset that ended at s, and j the ticks of the waveform, the
crossing of which is taken at the middle of the tick, its reset then ends at e_j, and it has the odds

    p_j(s) = Phi((M_j - T)/s_r) - Phi((M_{j-1} - T)/s_r),  v_j = Phi(-[Q(j + hold) - Q(j)]/s_u)
    w_j = [p_j(s_{k-1}) + sum_i w_i p_j(e_i)] v_j

to be vetoed since hit k - 1. The time of hit k has the density I(t_k)/s_r times sum_j w_j phi(z_j), over 0 with w_0 =
1 and e_0 = s_{k-1} too, z_j = (T - [Q(t_k) - Q(e_j)])/s_r; nothing comes after the last hit with the probability
sum_j w_j Phi((T - M_end(e_j))/s_r).
"""

import math

from lartpc.kernels.runtime.launch import device, kernel

LEAST = 1e-9  # odds from which the reset of a vetoed read is followed
FAR = 8.0  # reset noises below the threshold from which a charge does not reach it
FAINT = 1e-30  # odds below which single precision would end
TERMS = 40  # of a continued fraction


@device
def between(a, b):
    """Phi(b) - Phi(a), a < b, without cancellation in the tails."""
    T = type(a)
    root = T(0.7071067811865476)
    if a > T(0.0):
        return T(0.5) * (math.erfc(a * root) - math.erfc(b * root))
    return T(0.5) * (math.erfc(-b * root) - math.erfc(-a * root))


@device
def normal(x):
    T = type(x)
    return T(0.3989422804014327) * math.exp(T(-0.5) * x * x)


@device
def log_below(x):
    """log Phi(x) and its derivative; far below 0 by the continued fraction of the Mills ratio."""
    T = type(x)
    if x > T(-4.0):
        value = T(0.5) * math.erfc(-x * T(0.7071067811865476))
        return math.log(value), normal(x) / value
    mills = -x
    for k in range(TERMS, 0, -1):
        mills = T(k) / mills - x
    return T(-0.5) * x * x - T(0.9189385332046727) - math.log(mills), mills


@device
def tick_of(ticks, first, low, high, j):
    """The tick of sample j of the windows low to high."""
    w = low
    while w + 1 < high and j >= first[w + 1]:
        w += 1
    return ticks[w] + j - first[w]


@device
def at_or_after(ticks, first, low, high, t):
    """The first sample of the windows low to high in tick t or after it; where there is none, the end of the last."""
    for w in range(low, high):
        if t < ticks[w] + first[w + 1] - first[w]:
            return first[w] + max(t - ticks[w], 0)
    return first[high]


@device
def charge_to(total, ticks, first, low, high, t, fraction):
    """The charge [e] up to a fraction of tick t, of the sums `total` up to the end of each sample."""
    T = type(fraction)
    j = at_or_after(ticks, first, low, high, t)
    before = total[j - 1] if j > first[low] else T(0.0)
    if j == first[high] or tick_of(ticks, first, low, high, j) > t:
        return before
    return before + fraction * (total[j] - before)


@device
def kept_after(total, ticks, first, low, high, t, hold_ticks):
    """The charge [e] between a crossing in the middle of tick t and its read."""
    half = type(total[0])(0.5)
    read = charge_to(total, ticks, first, low, high, t + hold_ticks, half)
    return read - charge_to(total, ticks, first, low, high, t, half)


@device
def sums(waveform, first, low, high, tick, total):
    """Sets `total`; how far the charge rises at most, and the lowest current."""
    T = type(tick)
    charge = T(0.0)
    bottom = T(0.0)
    rise = T(0.0)
    lowest = T(0.0)
    for j in range(first[low], first[high]):
        charge += waveform[j] * tick
        total[j] = charge
        bottom = min(bottom, charge)
        rise = max(rise, charge - bottom)
        lowest = min(lowest, waveform[j])
    return rise, lowest


@device
def follow(total, ticks, first, low, high, start, begin, last, odds, threshold, hold_ticks, s_r, s_u, weight):
    """Add to `weight` of each sample before tick `last` what a reset that ended at `begin` of tick `start` gives."""
    T = type(s_r)
    base = charge_to(total, ticks, first, low, high, start, begin)
    most = T(0.0)
    for j in range(at_or_after(ticks, first, low, high, start), first[high]):
        charge = total[j] - base
        if charge <= most:
            continue
        if charge > threshold - T(FAR) * s_r:
            t = tick_of(ticks, first, low, high, j)
            if t >= last:
                break
            p = between((most - threshold) / s_r, (charge - threshold) / s_r)
            kept = kept_after(total, ticks, first, low, high, t, hold_ticks)
            weight[j] += odds * p * T(0.5) * math.erfc(kept / s_u * T(0.7071067811865476))
        most = charge


@device
def weigh(total, ticks, first, low, high, start, begin, last, threshold, hold_ticks, lead, s_r, s_u, weight):
    """Sets the odds `weight` of a vetoed read in each sample after fraction `begin` of tick `start`, before `last`."""
    T = type(s_r)
    for j in range(first[low], first[high]):
        weight[j] = T(0.0)
    one = T(1.0)
    follow(total, ticks, first, low, high, start, begin, last, one, threshold, hold_ticks, s_r, s_u, weight)
    for j in range(first[low], first[high]):
        if weight[j] > T(LEAST):
            reset = tick_of(ticks, first, low, high, j) + lead
            follow(
                total, ticks, first, low, high, reset, T(0.5), last, weight[j], threshold, hold_ticks, s_r, s_u, weight
            )


@device
def peak_after(total, ticks, first, low, high, start, base):
    """The highest charge [e] above `base` from tick `start` on, not below 0, and its sample, -1 where it is 0."""
    most = type(total[0])(0.0)
    at = -1
    for j in range(at_or_after(ticks, first, low, high, start), first[high]):
        if total[j] - base > most:
            most = total[j] - base
            at = j
    return most, at


@device
def mixture(total, ticks, first, low, high, start, begin, t, fraction, threshold, lead, s_r, weight):
    """Of a hit at a fraction of tick t: -log of the sum, the mean of the charge lost, and z without vetoed reads."""
    T = type(s_r)
    base = charge_to(total, ticks, first, low, high, start, begin)
    z = (threshold - charge_to(total, ticks, first, low, high, t, fraction) + base) / s_r
    top = T(-0.5) * z * z
    for turn in range(2):
        total_weight = math.exp(T(-0.5) * z * z - top)
        lost = T(0.0)
        for j in range(first[low], first[high]):
            if weight[j] > T(FAINT):
                reset = tick_of(ticks, first, low, high, j) + lead
                gone = charge_to(total, ticks, first, low, high, reset, T(0.5)) - base
                exponent = math.log(weight[j]) - T(0.5) * (z + gone / s_r) ** 2
                if turn == 0:
                    top = max(top, exponent)
                else:
                    total_weight += math.exp(exponent - top)
                    lost += math.exp(exponent - top) * gone
    return -math.log(total_weight) - top, lost / total_weight, z


@device
def quiet(total, ticks, first, low, high, start, begin, threshold, lead, s_r, weight):
    """log of the probability that nothing comes after a reset, of that without a vetoed read, and the rest of it."""
    T = type(s_r)
    base = charge_to(total, ticks, first, low, high, start, begin)
    most, _ = peak_after(total, ticks, first, low, high, start, base)
    alone, _ = log_below((threshold - most) / s_r)
    others = T(0.0)
    for j in range(first[low], first[high]):
        if weight[j] > T(FAINT):
            reset = tick_of(ticks, first, low, high, j) + lead
            base = charge_to(total, ticks, first, low, high, reset, T(0.5))
            most, _ = peak_after(total, ticks, first, low, high, reset, base)
            others += weight[j] * T(0.5) * math.erfc((most - threshold) / s_r * T(0.7071067811865476))
    if others < T(FAINT):
        return alone, alone, T(0.0)
    other = math.log(others)
    high_one = max(alone, other)
    return high_one + math.log(math.exp(alone - high_one) + math.exp(other - high_one)), alone, others


@kernel("lost", "excess", "log_silence", "told", work=("total", "weight"), light=True)
def reset_odds(
    i,
    waveform,
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
    lost,
    excess,
    log_silence,
    told,
):
    """Of pixel i with measured hits: -log of the sum for hit k is z^2/2 + excess_k with z = z_0 + lost_k/s_r.

    threshold (n_pixels,) [e]; outputs lost (n_pixels, max_hits) [e], the mean of Q(e_j) - Q(s_{k-1}), excess (n_pixels,
    max_hits), log_silence (n_pixels,) of the probability that nothing comes after the last hit. told (n_pixels,): 0
    where no current is below 0 or no charge near the threshold, so that nothing is said and the others are 0.
    """
    T = type(tick)
    low = pixel_window[i]
    high = pixel_window[i + 1]
    limit = threshold[i]
    rise, lowest = sums(waveform, window_first, low, high, tick, total)
    told[i] = 1 if lowest < T(0.0) and rise > limit - T(FAR) * reset_noise else 0
    lead = hold_ticks + reset_cycles
    start = window_tick[low]
    begin = T(0.0)
    log_silence[i] = T(0.0)
    for n in range(target_count[i] + 1):
        hit = n < target_count[i]
        t = target_tick[i, n] if hit else window_tick[high - 1] + window_first[high] - window_first[high - 1] + lead
        if told[i]:
            weigh(
                total,
                window_tick,
                window_first,
                low,
                high,
                start,
                begin,
                t - lead,
                limit,
                hold_ticks,
                lead,
                reset_noise,
                uncorrelated_noise,
                weight,
            )
        if hit:
            fraction = target_fraction[i, n]
            lost[i, n] = T(0.0)
            excess[i, n] = T(0.0)
            if told[i]:
                value, gone, z = mixture(
                    total,
                    window_tick,
                    window_first,
                    low,
                    high,
                    start,
                    begin,
                    t,
                    fraction,
                    limit,
                    lead,
                    reset_noise,
                    weight,
                )
                lost[i, n] = gone
                excess[i, n] = value - T(0.5) * (z + gone / reset_noise) ** 2
            start = t + lead
            begin = fraction
        elif told[i]:
            log_silence[i], _, _ = quiet(
                total, window_tick, window_first, low, high, start, begin, limit, lead, reset_noise, weight
            )
