"""Commands on odd input: within a time and a memory, and with nothing but an orderly end."""

import contextlib
import faulthandler
import re
import resource
import signal
from pathlib import Path

from click.testing import CliRunner

from lartpc.cli.main import main

SECONDS = 20.0  # of the processor
MEMORY = 2 * 2**30  # [bytes] more than there are before
STUCK = 600.0  # [s] after which even a kernel that never returns ends the tests
LONGEST = 300  # characters of a line


class Hang(BaseException):
    """Not an Exception, so that no handler of the command takes it for one."""


@contextlib.contextmanager
def guarded():
    """Raise Hang where the block takes longer, and MemoryError where it asks for more."""

    def end(number, frame):
        raise Hang(f"more than {SECONDS} s")

    before, limits = signal.signal(signal.SIGPROF, end), resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    faulthandler.dump_traceback_later(STUCK, exit=True)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, before)


def listing(folder):
    """What is in a folder: names, sizes, times."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in Path(folder).rglob("*")}


def orderly(folder, *arguments):
    """Run a command that writes into `folder`; what is wrong with its end, in words, None where it is in order.

    In order are exit 0, exit 1 with its reasons, and exit 2 with one line and nothing new in `folder`.
    """
    before = listing(folder)
    try:
        with guarded():
            done = CliRunner().invoke(main, [str(a) for a in arguments])
    except Hang:
        return "a hang"
    failure = done.exception
    if failure is not None and not isinstance(failure, SystemExit):
        raise failure
    lines = done.stderr.splitlines()
    if any(len(line) > LONGEST for line in lines):
        return f"a line of {max(map(len, lines))} characters"
    if "not enough memory" in done.stderr and not re.search("Unable to allocate .* [TPE]iB", done.stderr):
        return done.stderr  # else it is more than any machine has, and was not taken
    if done.exit_code == 2 and not (len(lines) == 1 and lines[0].startswith("lartpc: ")):
        return f"exit code 2 with {lines}"
    if done.exit_code == 2 and listing(folder) != before:
        return f"exit code 2, and new are {set(listing(folder)) - set(before)}"
    if done.exit_code not in (0, 1, 2) or (done.exit_code == 1 and not lines and not done.stdout):
        return f"exit code {done.exit_code} with {lines}"
    return None
