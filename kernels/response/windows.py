"""Find the windows of ticks in which a channel sees charge."""

from lartpc.kernels.runtime.launch import kernel


@kernel("window_count", light=True)
def count_windows(i, pixel_pair, first_block, last_block, window_count):
    """Number of windows of pixel i: runs of overlapping or adjacent blocks of ticks; pairs sorted by first_block."""
    n = 0
    end = 0
    for p in range(pixel_pair[i], pixel_pair[i + 1]):
        if n == 0 or first_block[p] > end:
            n += 1
            end = last_block[p]
        else:
            end = max(end, last_block[p])
    window_count[i] = n


@kernel("window_pair", "window_block", "window_size", light=True)
def window(i, pixel_pair, first_block, last_block, pixel_window, window_pair, window_block, window_size):
    """The windows of pixel i, from pixel_window[i] on: first pair, first block and number of blocks of each."""
    w = pixel_window[i] - 1
    end = 0
    for p in range(pixel_pair[i], pixel_pair[i + 1]):
        if p == pixel_pair[i] or first_block[p] > end:
            w += 1
            window_pair[w] = p
            window_block[w] = first_block[p]
            end = last_block[p]
        else:
            end = max(end, last_block[p])
        window_size[w] = end - window_block[w]
