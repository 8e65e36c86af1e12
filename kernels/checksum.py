"""Checksum: sums of the words of an array, by which the tape sees that it was overwritten."""

import numpy as np

from lartpc.kernels.launch import kernel

WORDS = 4096  # a thread


@kernel("even", "odd")
def checksum(i, words, even, odd):
    """Sums of the even and of the odd words of part i, of WORDS: even, odd (n_parts,); words (n_words,); all uint64."""
    first = i * WORDS
    last = min(first + WORDS, words.shape[0])
    sum_even = np.uint64(0)
    sum_odd = np.uint64(0)
    for k in range((last - first) // 2):
        sum_even += words[np.uint64(first + 2 * k)]
        sum_odd += words[np.uint64(first + 2 * k + 1)]
    if (last - first) % 2 == 1:
        sum_even += words[last - 1]
    even[i] = sum_even
    odd[i] = sum_odd
