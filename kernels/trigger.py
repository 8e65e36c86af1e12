"""Trigger: self-triggered hits of each pixel, as LArPix makes them.

The charge of tick k arrives evenly over (t_{k-1}, t_k]. With Q(t) the charge since the last reset plus that reset's
noise, a hit starts where Q reaches the threshold; `hold_ticks` later the charge is read and the pixel resets:

    Q(t_c) = threshold,  e = t_c + hold,  charge = Q(e) + readout noise,  Q(e+) = reset noise

A read below threshold (readout noise may do that) is vetoed, but resets all the same.
"""

from lartpc.kernels.launch import device, kernel
from lartpc.kernels.noise import draw


@device
def noise(seed, event, pixel, read, reset_noise, uncorrelated_noise):
    """Reset and readout noise [e] of one read; zero without noise."""
    T = type(reset_noise)
    if reset_noise == T(0.0) and uncorrelated_noise == T(0.0):
        return T(0.0), T(0.0)
    r, u = draw(seed, event, pixel, read, reset_noise)
    return r * reset_noise, u * uncorrelated_noise


@kernel("read_count", "read_window", "read_tick", "read_part", "hit_time", "hit_charge", "hit_valid", light=True)
def trigger(
    i,
    waveform,
    pixel_window,
    window_first,
    window_tick,
    pixel_event,
    pixel_id,
    threshold,
    tick,
    hold_ticks,
    seed,
    reset_noise,
    uncorrelated_noise,
    read_count,
    read_window,
    read_tick,
    read_part,
    hit_time,
    hit_charge,
    hit_valid,
):
    """The reads of pixel i: windows pixel_window[i] to pixel_window[i + 1] of `waveform` [e/us], in time order.

    window_first (n_windows + 1,): first sample; window_tick (n_windows,) int64: its tick; threshold (n_pixels,) [e].
    Outputs: read_count (n_pixels,) and, for read n < read_count[i] of at most read_window.shape[1]: read_window the
    window of the crossing, read_tick the sample in it and read_part where between t_{k-1} (0) and t_k (1);
    hit_time [us] from the first tick of that window, hit_charge [e], hit_valid (0 where vetoed).
    """
    T = type(tick)
    read = 0
    holding = False
    done = False
    r, u = noise(seed, pixel_event[i], pixel_id[i], read, reset_noise, uncorrelated_noise)
    level = r
    limit = threshold[i]
    end = window_tick[0]  # tick of the end of the hold; any int64 to begin with
    for w in range(pixel_window[i], pixel_window[i + 1]):
        if done:
            break
        for k in range(window_first[w + 1] - window_first[w] + 1):
            # The last turn of a window stands for the time without current that follows it.
            beyond = k == window_first[w + 1] - window_first[w]
            charge = T(0.0) if beyond else waveform[window_first[w] + k] * tick
            part = T(0.0)
            now = k
            while not done:
                if not holding:
                    if level >= limit:
                        crossing = part
                    elif level + charge * (T(1.0) - part) >= limit:
                        crossing = part + (limit - level) / charge
                        level = limit
                    else:
                        level += charge * (T(1.0) - part)
                        break
                    part = crossing
                    read_window[i, read] = w
                    read_tick[i, read] = now
                    read_part[i, read] = part
                    hit_time[i, read] = (T(now - 1) + part) * tick
                    end = window_tick[w] + now + hold_ticks
                    holding = True
                crossing = read_part[i, read]
                wait = w + 1 < pixel_window[i + 1] and window_tick[w + 1] <= end if beyond else window_tick[w] + k < end
                if wait:
                    level += charge * (T(1.0) - part)
                    break
                late = max(crossing, part)
                level += charge * (late - part)
                part = late
                hit_charge[i, read] = level + u
                hit_valid[i, read] = 1 if hit_charge[i, read] >= limit else 0
                read += 1
                holding = False
                done = read == read_window.shape[1]
                r, u = noise(seed, pixel_event[i], pixel_id[i], read, reset_noise, uncorrelated_noise)
                level = r
                if beyond:
                    now = end - window_tick[w]
    read_count[i] = read
