"""Memory of this process."""

import ctypes
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def status(name):
    """A line of the system's description of this process [MB]."""
    return next(float(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name)) / 1e3


def peak():
    """Largest memory until now [MB]. Linux counts that of the process that started this one in ru_maxrss: not here."""
    if STATUS.exists():
        return status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def begin():
    """Give back what is free (compilers leave much) and forget the peak, where possible; the memory of now [MB]."""
    if STATUS.exists():
        getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)(0)
        Path("/proc/self/clear_refs").write_text("5")
    return peak()
