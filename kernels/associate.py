"""Associate: how much of each read's charge is the current of one pair of a step and a pixel."""

from lartpc.kernels.launch import kernel


@kernel("share")
def associate(
    i,
    pair_window,
    window_pixel,
    window_first,
    window_tick,
    first_tick,
    tail_tick,
    first_row,
    row,
    tail,
    decay,
    held_ticks,
    buffer_decay,
    buffer_share,
    read_count,
    read_window,
    read_tick,
    read_part,
    tick,
    hold_ticks,
    reset_cycles,
    share,
):
    """Charge [e] that pair i brings to each read of its pixel since the reset before: share (n_pairs, max_hits).

    The charge of tick k arrives evenly over (t_{k-1}, t_k], and a read ends `hold_ticks` after its crossing, as in
    `trigger`, whose outputs the read_... are. Ticks, row, tail and decay as in `collect`, held_ticks, buffer_decay and
    buffer_share as in `buffer`, all 0 without one: the sum of `share` over the pairs of a window, times that window's
    factor of `conserve`, is the charge of the read without noise.
    """
    T = type(tick)
    pixel = window_pixel[pair_window[i]]
    count = read_count[pixel]
    if count == 0:
        return
    memory = decay.shape[1]
    length = first_row[i + 1] - first_row[i]
    read = 0
    end = window_tick[read_window[pixel, 0]] + read_tick[pixel, 0] + hold_ticks
    begin = min(first_tick[i], tail_tick[i] - memory + 1)
    last = max(first_tick[i] + length, tail_tick[i]) - 1
    if held_ticks > T(0.0):
        w = pair_window[i]
        last = window_tick[w] + window_first[w + 1] - window_first[w] - 1
    free = begin  # from this tick, and its part `lost`, charge counts for the next read
    lost = T(0.0)
    held = T(0.0)
    for t in range(begin, last + 1):
        current = T(0.0)
        k = t - first_tick[i]
        if k >= 0 and k < length:
            current += row[first_row[i] + k]
        back = tail_tick[i] - t
        if back > 0 and back < memory:
            for m in range(decay.shape[0]):
                current += tail[i, m] * decay[m, back]
        passed = current + buffer_share * (held - current)
        held = current + buffer_decay * (held - current)
        if t == last:
            passed += held_ticks * held
        charge = passed * tick
        while t >= free:
            used = lost if t == free else T(0.0)
            if t < end:
                share[i, read] += charge * (T(1.0) - used)
                break
            if t == end:
                share[i, read] += charge * (read_part[pixel, read] - used)
            free = end + reset_cycles
            lost = read_part[pixel, read]
            read += 1
            if read == count:
                return
            end = window_tick[read_window[pixel, read]] + read_tick[pixel, read] + hold_ticks
