"""Only the command changes how the C library keeps memory, not whoever imports lartpc."""

import ctypes

import pytest
from commands import program

# Prints how much the C library maps apart for an array of 16 MB.
MAPPED = """
import ctypes
import numpy as np
{0}
names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
Info = type("Info", (ctypes.Structure,), dict(_fields_=[(name, ctypes.c_size_t) for name in names]))
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
before = mallinfo2().hblkhd
array = np.empty(2**24, dtype=np.uint8)
print(mallinfo2().hblkhd - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="of the GNU library")
def test_only_the_command_lets_the_c_library_keep_memory(tmp_path):
    library = program(tmp_path, MAPPED.format("import lartpc; lartpc.Simulation()"))
    run = "from lartpc.cli.main import main\ntry: main([])\nexcept SystemExit: pass"
    command = program(tmp_path, MAPPED.format(run))
    assert int(library.stdout) >= 2**24
    assert int(command.stdout.splitlines()[-1]) == 0
