"""Checksum: sums of the words of an array, by which the tape sees that it was overwritten."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel

WORDS = 4096  # a thread


@kernel("total")
def checksum(i, words, total):
    """Sum of the words of part i, of WORDS, every second one counted three times.

    words (n_words,), total (n_parts,), all uint64.
    """
    first = i * WORDS
    last = min(first + WORDS, words.shape[0])
    even = np.uint64(0)
    odd = np.uint64(0)
    for k in range((last - first) // 2):
        even += words[np.uint64(first + 2 * k)]
        odd += words[np.uint64(first + 2 * k + 1)]
    if (last - first) % 2 == 1:
        even += words[last - 1]
    total[i] = even + np.uint64(3) * odd
