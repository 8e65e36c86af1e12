"""Time spent in each kernel, measured where kernels are called."""

import time
from collections import Counter

from lartpc.kernels.runtime.launch import Kernel


class KernelTimes:
    """Within `with`: seconds and calls by kernel. `wait` is called after each, as on a device they return early."""

    def __init__(self, wait=lambda: None):
        self.wait = wait
        self.seconds, self.calls = Counter(), Counter()

    def __enter__(self):
        self.call = Kernel.__call__

        def timed(kernel, threads, /, **arrays):
            started = time.perf_counter()
            self.call(kernel, threads, **arrays)
            self.wait()
            self.seconds[kernel.name] += time.perf_counter() - started
            self.calls[kernel.name] += 1

        Kernel.__call__ = timed
        self.started = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.whole = time.perf_counter() - self.started
        Kernel.__call__ = self.call

    @property
    def outside(self):
        """Seconds outside kernels."""
        return self.whole - sum(self.seconds.values())
