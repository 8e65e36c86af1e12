"""Programs whose threads count what they do."""

import functools

import numpy as np

from tests.emulated.memory import HEAD
from tests.emulated.opcodes import BITS, TYPES
from tests.emulated.program import CC, Program, ptx
from tests.emulated.ptx import Translation

COUNTED = ("instructions", "loads", "stores", "loads_bytes", "stores_bytes", "floats")


class CountingTranslation(Translation):
    """As `Translation`; a thread leaves the numbers `COUNTED` behind the head of the memory's table."""

    def body(self, text):
        for name in COUNTED:
            self.emit(f"%count.{name} = alloca i64")
            self.emit(f"store i64 0, ptr %count.{name}")
        super().body(text)

    def instruction(self, text):
        if self.ended:
            self.begin(f"never{next(self.numbers)}")
        opcode = text.partition(" ")[0]
        for name, amount in done_by("bra" if opcode[0] == "@" else opcode):
            total = self.let(f"add i64 {self.let(f'load i64, ptr %count.{name}')}, {amount}")
            self.emit(f"store i64 {total}, ptr %count.{name}")
        super().instruction(text)

    def do_ret(self, parts):
        row = self.let(f"mul i64 {self.let('load i64, ptr %memory')}, {len(COUNTED)}")
        for k, name in enumerate(COUNTED):
            place = self.let(f"getelementptr i64, ptr %memory, i64 {self.let(f'add i64 {row}, {HEAD + k}')}")
            self.emit(f"store i64 {self.let(f'load i64, ptr %count.{name}')}, ptr {place}")
        super().do_ret(parts)


def done_by(opcode):
    """What an instruction adds, by name. Moves and parameters cost next to nothing."""
    kind, *parts = opcode.split(".")
    if kind in ("mov", "cvta", "ret", "trap", "") or (kind == "ld" and parts[0] == "param"):
        return
    yield "instructions", 1
    if kind in ("ld", "st") and parts[0] != "local":
        name = "loads" if kind == "ld" else "stores"
        several = next((int(one[1]) for one in parts if one in ("v2", "v4")), 1)
        yield name, 1
        yield f"{name}_bytes", BITS[TYPES[parts[-1]]] // 8 * several
    elif parts and parts[-1] in ("f32", "f64") and kind not in ("ld", "st", "selp", "setp", "cvt"):
        yield "floats", 1


@functools.cache
def counting(kernel, types):
    return Program(ptx(kernel, types, CC), CountingTranslation)


def count(kernel, types, threads, arguments):
    """Run a launch on arguments by name: what each thread did (n_threads, len(COUNTED))."""
    return counting(kernel, types).run(threads, arguments, left=len(COUNTED)).reshape(-1, len(COUNTED))


def by_name(numbers):
    """Columns by name."""
    return dict(zip(COUNTED, np.moveaxis(numbers, -1, 0), strict=True))
