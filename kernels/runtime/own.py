"""Own: the run of several that an entry belongs to."""

from lartpc.kernels.runtime.launch import kernel


@kernel("owner", light=True)
def own(i, starts, owner):
    """Run i holds the entries starts[i] to starts[i + 1]: owner (n,) int64, starts (n_runs + 1,)."""
    for k in range(starts[i], starts[i + 1]):
        owner[k] = i
