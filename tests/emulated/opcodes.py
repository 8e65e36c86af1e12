"""What each PTX instruction does, in LLVM IR. An opcode that is not here is not run: the translation fails.

A row is a pattern of the whole opcode and one or more lines of LLVM IR. In them {T} is the type that the opcode ends
with, {N} its bits, {a}, {b}, {c} the operands, {g[0]} the pattern's groups, {0}, {1} the lines before; the last is the
result. Products and sums that name no rounding may be fused, as ptxas does: {free}.
"""

import re

import numpy as np
from numba import types


class Unsupported(Exception):
    """An instruction that the translation does not know."""


TYPES = {"pred": "i1", "f32": "float", "f64": "double"} | {
    f"{kind}{bits}": f"i{bits}" for kind in "bsu" for bits in (8, 16, 32, 64)
}
BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "float": 32, "double": 64}
S, F = r"[su](?:16|32|64)", r"f(?:32|64)"
COMPARISONS = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
ROWS = [
    (rf"(add|sub)\.{S}", "{g[0]} {T} {a}, {b}"),
    (rf"mul\.lo\.{S}", "mul {T} {a}, {b}"),
    (rf"mad\.lo\.{S}", "mul {T} {a}, {b}", "add {T} {0}, {c}"),
    (r"(div|rem)\.([su])(?:32|64)", "{g[1]}{g[0]} {T} {a}, {b}"),
    (r"(and|or|xor)\.(?:b16|b32|b64|pred)", "{g[0]} {T} {a}, {b}"),
    (r"not\.(?:b16|b32|b64|pred)", "xor {T} {a}, -1"),
    (r"neg\.s(?:16|32|64)", "sub {T} 0, {a}"),
    (r"abs\.s(?:16|32|64)", "call {T} @llvm.abs.i{N}({T} {a}, i1 false)"),
    (r"(min|max)\.([su])(?:16|32|64)", "call {T} @llvm.{g[1]}{g[0]}.i{N}({T} {a}, {T} {b})"),
    (r"clz\.b(32|64)", "call i{g[0]} @llvm.ctlz.i{g[0]}(i{g[0]} {a}, i1 false)"),
    (rf"(add|sub|mul)\.{F}", "f{g[0]} {free} {T} {a}, {b}"),
    (rf"(add|sub|mul|div)\.rn\.{F}", "f{g[0]} {T} {a}, {b}"),
    (rf"fma\.rn\.{F}", "call {T} @llvm.fma.f{N}({T} {a}, {T} {b}, {T} {c})"),
    (rf"sqrt\.rn\.{F}", "call {T} @llvm.sqrt.f{N}({T} {a})"),
    (rf"rcp\.rn\.{F}", "fdiv {T} 1.0, {a}"),
    (rf"neg\.{F}", "fneg {T} {a}"),
    (rf"abs\.{F}", "call {T} @llvm.fabs.f{N}({T} {a})"),
    (rf"(min|max)\.{F}", "call {T} @llvm.{g[0]}num.f{N}({T} {a}, {T} {b})"),
    (rf"copysign\.{F}", "call {T} @llvm.copysign.f{N}({T} {b}, {T} {a})"),
    (r"selp\.[bsuf](?:16|32|64)", "select i1 {c}, {T} {a}, {T} {b}"),
    (r"fma\.rm\.f32", "call float @fma_rm(float {a}, float {b}, float {c})"),
    (r"add\.rz\.f32", "call float @add_rz(float {a}, float {b})"),
    (r"ex2\.approx(?:\.ftz)?\.f32", "call float @ex2(float {a})"),
    (r"rcp\.approx\.ftz\.f32", "call float @rcp(float {a})"),
    (r"rcp\.approx\.ftz\.f64", "call double @rcp_high(double {a})"),
]


def comparison(name, kind):
    """LLVM's comparison for PTX's, of operands of a kind: s, u, b or f. Those of floats that end in u hold for NaN."""
    if kind == "f":
        special = {"nan": "uno", "num": "ord"}
        if name in special:
            return special[name]
        return f"u{name[:2]}" if len(name) == 3 else f"o{name}"
    name = COMPARISONS.get(name, name)
    return name if name in ("eq", "ne") else ("s" if kind == "s" else "u") + name


def constant(text, kind):
    """A number of PTX as a constant of LLVM, which writes float32 as float64."""
    if re.fullmatch(r"0[fF][0-9a-fA-F]{8}", text) and kind == "float":
        wide = np.uint32(int(text[2:], 16)).view(np.float32).astype(np.float64)
        return f"0x{int(wide.view(np.uint64)):016X}"
    if re.fullmatch(r"0[dD][0-9a-fA-F]{16}", text) and kind == "double":
        return f"0x{text[2:].upper()}"
    if re.fullmatch(r"-?(\d+|0x[0-9a-fA-F]+)U?", text) and kind.startswith("i"):
        bits = BITS[kind]
        number = int(text.rstrip("U"), 0) % (1 << bits)
        return str(number - (1 << bits) if bits > 1 and number >> (bits - 1) else number)
    raise Unsupported(f"{text} as {kind}")


def row(opcode):
    """The lines of an opcode and the groups of its pattern; None where no row has it."""
    for pattern, *lines in ROWS:
        match = re.fullmatch(pattern, opcode)
        if match:
            return lines, match.groups()
    return None


SMALLEST = np.float32(2.0**-126)  # that is normal


def fma_rm(a, b, c):
    """a b + c, rounded down. The product is exact in float64; of the sum the error is found (Knuth)."""
    product, c = np.float64(a) * np.float64(b), np.float64(c)
    total = product + c
    back = total - product
    error = (product - (total - back)) + (c - back)
    result = np.float32(total)
    down = result > total or (result == total and error < 0.0)
    return np.nextafter(result, np.float32(-np.inf)) if down else result


def add_rz(a, b):
    """a + b, rounded towards 0."""
    a, b = np.float64(a), np.float64(b)
    total = a + b
    back = total - a
    error = (a - (total - back)) + (b - back)
    result = np.float32(total)
    size = abs(np.float64(result))
    beyond = size > abs(total) or (size == abs(total) and error * total < 0.0)
    return np.nextafter(result, np.float32(0.0)) if beyond else result


def ex2(x):
    """2^x: the best float32, where a device's may be off by 2 units; what is not normal is 0."""
    result = np.float32(2.0 ** np.float64(x))
    return result if result >= SMALLEST or result != result else np.float32(0.0)


def rcp(x):
    """1 / x: the best float32, where a device's may be off by 1 unit; what is not normal is 0."""
    result = np.float32(1.0) / (x if abs(x) >= SMALLEST or x != x else np.copysign(np.float32(0.0), x))
    return result if abs(result) >= SMALLEST or result != result else np.copysign(np.float32(0.0), x)


HIGH = np.int64(-1 << 32)


def rcp_high(x):
    """1 / x to the upper 32 bits, as PTX says; what is not normal is 0."""
    least = 2.0**-1022
    result = 1.0 / (x if abs(x) >= least or x != x else np.copysign(0.0, x))
    result = result if abs(result) >= least or result != result else np.copysign(0.0, x)
    return np.int64(np.float64(result).view(np.int64) & HIGH).view(np.float64)


SINGLE, DOUBLE = types.float32, types.float64
HELPERS = {
    fma_rm: SINGLE(SINGLE, SINGLE, SINGLE),
    add_rz: SINGLE(SINGLE, SINGLE),
    ex2: SINGLE(SINGLE),
    rcp: SINGLE(SINGLE),
    rcp_high: DOUBLE(DOUBLE),
}
DECLARED = """
declare float @fma_rm(float, float, float)
declare float @add_rz(float, float)
declare float @ex2(float)
declare float @rcp(float)
declare double @rcp_high(double)
declare i64 @access(ptr, i64, i64, i64, i64)
"""
