"""Processes that share the tracks of a likelihood: most of the work on many small tracks is no kernel's.

Each is forked from this one with all that it holds, and ends with the `Workers`. Results are the same to the bit, as
tracks know nothing of each other.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import warnings
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numba
import numpy as np

from lartpc.kernels.runtime.launch import may_fork

FEW = 3  # tracks for each, at least
KILLED = "a process that fitted tracks was killed, as where memory runs out"


def processes_for(tracks: int) -> int:
    """How many processes are worth it, this one among them: as many as kernels have threads, where these may fork."""
    if sys.platform != "linux" or not may_fork() or multiprocessing.current_process().daemon:
        return 1
    return max(1, min(numba.get_num_threads(), tracks // FEW))


class Workers:
    """`n` processes that answer tasks as `answer(*task)` does."""

    def __init__(self, answer: Callable[..., Any], n: int) -> None:
        context = multiprocessing.get_context("fork")
        self.pipes: list[Connection] = []
        processes = []
        for _ in range(n):
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(answer, there), daemon=True)
            with warnings.catch_warnings():  # threads of kernels wait while it forks, see `kernels.runtime.launch`
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            there.close()
            self.pipes.append(here)
            processes.append(process)
        self.answer = answer
        weakref.finalize(self, stop, processes)

    def answers(self, tasks: Sequence[tuple]) -> list[Any]:
        """Those of n + 1 tasks or fewer, the first of which is done here.

        Raises what a task raised, and MemoryError where a process was killed.
        """
        used = self.pipes[: len(tasks) - 1]
        try:
            for pipe, task in zip(used, tasks[1:], strict=True):
                pipe.send(task)
        except OSError:
            raise MemoryError(KILLED) from None
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            found = [self.answer(*tasks[0])]
        finally:
            numba.set_num_threads(threads)
            there = [received(pipe) for pipe in used]  # also where that failed, or the next task would find them
        for answer, error in there:
            if error is not None:
                raise error
            found.append(answer)
        return found


def received(pipe: Connection) -> tuple[Any, Exception | None]:
    """The answer of a process, or what it raised."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None, MemoryError(KILLED)


def serve(answer: Callable[..., Any], pipe: Connection) -> None:
    """What a worker does until it is stopped, or nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in (signal.SIGTERM, signal.SIGHUP):  # by which it is stopped, without a word
        signal.signal(name, signal.SIG_DFL)
    numba.set_num_threads(1)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((answer(*task), None))
        except Exception as error:
            pipe.send((None, error))


def stop(processes: Sequence[multiprocessing.process.BaseProcess]) -> None:
    """End them."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def shares(sizes: Sequence[int], n: int) -> list[np.ndarray]:
    """Indices of things of these sizes in n parts of about the same work."""
    parts: list[list[int]] = [[] for _ in range(n)]
    work = np.zeros(n)
    for k in np.argsort(-np.asarray(sizes), kind="stable"):
        least = int(np.argmin(work))
        parts[least].append(int(k))
        work[least] += sizes[k]
    return [np.array(part) for part in parts]
