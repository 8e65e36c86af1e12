"""Kernels in PTX, translated into LLVM IR, which runs their threads one after another.

Only what numba-cuda makes of the kernels is known; anything else raises `Unsupported`. No kernel has shared memory,
barriers or atomic operations, so threads in any order are what a device does.
"""

import itertools
import re

import numpy as np

from tests.emulated.memory import TRAP
from tests.emulated.opcodes import BITS, DECLARED, TYPES, Unsupported, comparison, constant, row

PLACES = ("%tid.x", "%ctaid.x", "%ntid.x")
ROUNDED = {"rzi": "trunc", "rmi": "floor", "rpi": "ceil", "rni": "roundeven"}
RUN = """
define void @run(ptr %slots, ptr %order, i64 %n, i32 %block, ptr %memory) {
entry:
  br label %next
next:
  %k = phi i64 [0, %entry], [%after, %body]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %body, label %done
body:
  %at = getelementptr i64, ptr %order, i64 %k
  %thread = load i64, ptr %at
  store i64 %thread, ptr %memory
  %wide = zext i32 %block to i64
  %in = urem i64 %thread, %wide
  %of = udiv i64 %thread, %wide
  %tid = trunc i64 %in to i32
  %ctaid = trunc i64 %of to i32
  call void @thread(ptr %slots, i32 %tid, i32 %ctaid, i32 %block, ptr %memory)
  %after = add i64 %k, 1
  br label %next
done:
  ret void
}
"""


class Translation:
    """LLVM IR of a kernel, `text`, with the instructions by number, `lines`, and the constant tables, `tables`.

    `fused`: products and sums are contracted where PTX allows. `checked`: each access of global memory asks `access`.
    Parameters and addresses of tables come in slots of 8 bytes.
    """

    def __init__(self, source, fused=True, checked=False):
        self.fused, self.checked = fused, checked
        self.numbers, self.lines, self.code, self.ended = itertools.count(), [], [], False
        source = re.sub(r"//[^\n]*", "", source)
        self.tables = {
            name: np.array(values.split(","), dtype=np.uint8)
            for name, values in re.findall(r"\.global \.align \d+ \.b8 (\w+)\[\d+\] = \{([^}]*)\}", source)
        }
        entry = re.search(r"\.entry \w+\s*\(([^)]*)\)\s*\{(.*?)\n\}", source, re.S)
        names = [*re.findall(r"\.param \.\w+ (\w+)", entry[1]), *self.tables]
        self.slots = {name: k for k, name in enumerate(names)}
        self.body(entry[2])
        self.text = f"{DECLARED}\ndefine internal void @thread(ptr %slots, i32 %tid.x, i32 %ctaid.x, i32 %ntid.x, "
        self.text += "ptr %memory) {\nentry:\n" + "\n".join(self.code) + "\n}\n" + RUN
        called = set(re.findall(r"call (\S+) @(llvm[\w.]+)\((.*)\)", self.text))
        kinds = {(kind, name, ", ".join(x.split()[0] for x in given.split(", "))) for kind, name, given in called}
        self.text += "".join(f"declare {kind} @{name}({given})\n" for kind, name, given in sorted(kinds))

    def body(self, text):
        registers = r"\.reg \.(\w+)\s+(%\w+)(?:<(\d+)>)?;"
        self.registers = {}
        for kind, name, count in re.findall(registers, text):
            names = [f"{name}{k}" for k in range(int(count))] if count else [name]
            self.registers |= dict.fromkeys(names, TYPES[kind])
        text = re.sub(registers, "", text)
        local = re.search(r"\.local \.align (\d+) \.b8\s+(\w+)\[(\d+)\];", text)
        self.local = local and local[2]
        if local:
            self.emit(f"%local = alloca [{local[3]} x i8], align {local[1]}")
            text = text.replace(local[0], "")
        # What libdevice calls for a cosine of a huge number, which no kernel takes.
        text = re.sub(r"\{\s*\.reg \.b32 temp_param_reg;.*?call\.uni.*?\}", "trap;", text, flags=re.S)
        text = re.sub(r"(?m)^\s*[{}]\s*$", "", text)
        used = set(re.findall(r"%\w+", text)) & set(self.registers)
        for name in sorted(used):
            self.emit(f"{slot(name)} = alloca {self.registers[name]}")
        self.emit("%carry = alloca i1")
        for item in re.findall(r"\$\w+:|[^;:]+;", text):
            item = item.strip()
            if item.endswith(":"):
                self.begin(label(item[:-1]))
            else:
                self.instruction(" ".join(item[:-1].split()))
        if not self.ended:
            self.do_ret([])

    def emit(self, line):
        self.code.append(f"  {line}")

    def let(self, expression):
        name = f"%v{next(self.numbers)}"
        self.emit(f"{name} = {expression}")
        return name

    def begin(self, name):
        """A new block."""
        if not self.ended:
            self.emit(f"br label %{name}")
        self.code.append(f"{name}:")
        self.ended = False

    def end(self, line):
        self.emit(line)
        self.ended = True

    def instruction(self, text):
        if self.ended:
            self.begin(f"never{next(self.numbers)}")
        self.lines.append(text)
        if text == '.pragma "nounroll"':
            return
        guard = re.match(r"@(!?)(%\w+) bra (\S+)$", text)
        if guard:
            condition, after = self.get(guard[2], "i1"), f"after{next(self.numbers)}"
            yes, no = (after, label(guard[3])) if guard[1] else (label(guard[3]), after)
            self.end(f"br i1 {condition}, label %{yes}, label %{no}")
            self.begin(after)
            return
        opcode, _, rest = text.partition(" ")
        operands = re.findall(r"\{[^}]*\}|[^,\s][^,]*", rest)
        operands = [operand.strip() for operand in operands]
        parts = opcode.split(".")
        found = row(opcode)
        if found:
            self.simple(parts, *found, operands)
            return
        method = getattr(self, f"do_{parts[0]}", None)
        if method is None or method(parts, *operands) is NotImplemented:
            raise Unsupported(text)

    def simple(self, parts, lines, groups, operands):
        """An instruction of a row: the same type all over."""
        kind = TYPES[parts[-1]]
        target, *given = operands
        names = dict(zip("abc", given, strict=False))
        types = {name: "i1" if parts[0] == "selp" and name == "c" else kind for name in names}
        values = {name: self.get(operand, types[name]) for name, operand in names.items()}
        values |= {"T": kind, "N": BITS[kind], "g": groups, "free": "contract" if self.fused else ""}
        made = []
        for line in lines:
            made.append(self.let(line.format(*made, **values)))
        self.put(target, made[-1], kind)

    def do_bra(self, parts, target):
        if parts[1:] not in ([], ["uni"]):
            return NotImplemented
        self.end(f"br label %{label(target)}")

    def do_ret(self, parts):
        self.end("ret void")

    def do_trap(self, parts):
        self.emit(f"store i64 1, ptr {self.let(f'getelementptr i64, ptr %memory, i64 {TRAP}')}")

    def address(self, operand, size, store):
        base, _, offset = operand[1:-1].partition("+")
        address = self.get(base, "i64")
        if offset:
            address = self.let(f"add i64 {address}, {offset}")
        if size and self.checked:
            where = f"i64 {size}, i64 {len(self.lines) - 1}, i64 {store}"
            address = self.let(f"call i64 @access(ptr %memory, i64 {address}, {where})")
        return address

    def do_ld(self, parts, target, operand):
        kind, opcode = TYPES[parts[-1]], ".".join(parts[1:-1])
        if opcode == "param":
            pointer = self.let(f"getelementptr i64, ptr %slots, i64 {self.slots[operand[1:-1]]}")
            return self.put(target, self.let(f"load {kind}, ptr {pointer}"), kind)
        if not re.fullmatch(r"|local|global(\.nc)?(\.v[24])?", opcode):
            return NotImplemented
        targets = target.strip("{}").split(",")
        width = BITS[kind] // 8
        address = self.address(operand, 0 if opcode == "local" else width * len(targets), 0)
        for k, one in enumerate(targets):
            pointer = self.let(f"inttoptr i64 {self.let(f'add i64 {address}, {k * width}')} to ptr")
            self.put(one.strip(), self.let(f"load {kind}, ptr {pointer}, align 1"), kind)

    def do_st(self, parts, operand, value):
        if parts[1:-1] not in ([], ["global"], ["local"]):
            return NotImplemented
        kind = TYPES[parts[-1]]
        address = self.address(operand, 0 if parts[1] == "local" else BITS[kind] // 8, 1)
        pointer = self.let(f"inttoptr i64 {address} to ptr")
        self.emit(f"store {kind} {self.get(value, kind)}, ptr {pointer}, align 1")

    def do_mov(self, parts, target, value):
        if len(parts) > 2:
            return NotImplemented
        kind = TYPES[parts[-1]]
        if target.startswith("{"):
            low, high = target.strip("{}").split(",")
            whole = self.get(value, "i64")
            self.put(low.strip(), self.let(f"trunc i64 {whole} to i32"), "i32")
            self.put(high.strip(), self.let(f"trunc i64 {self.let(f'lshr i64 {whole}, 32')} to i32"), "i32")
        elif value.startswith("{"):
            low, high = (self.get(one.strip(), "i32") for one in value.strip("{}").split(","))
            high = self.let(f"shl i64 {self.let(f'zext i32 {high} to i64')}, 32")
            self.put(target, self.let(f"or i64 {self.let(f'zext i32 {low} to i64')}, {high}"), "i64")
        else:
            self.put(target, self.get(value, kind), kind)

    def do_cvta(self, parts, target, value):
        self.put(target, self.get(value, "i64"), "i64")

    def do_mul(self, parts, target, a, b):
        if parts[1] not in ("wide", "hi") or len(parts) > 3:
            return NotImplemented
        bits = BITS[TYPES[parts[-1]]]
        extend = "sext" if parts[-1][0] == "s" else "zext"
        a, b = (self.let(f"{extend} i{bits} {self.get(x, f'i{bits}')} to i{2 * bits}") for x in (a, b))
        product = self.let(f"mul i{2 * bits} {a}, {b}")
        if parts[1] == "wide":
            return self.put(target, product, f"i{2 * bits}")
        high = self.let(f"lshr i{2 * bits} {product}, {bits}")
        return self.put(target, self.let(f"trunc i{2 * bits} {high} to i{bits}"), f"i{bits}")

    def do_mad(self, parts, target, a, b, c):
        """Of numbers of 32 bits, with carry out, in, or both."""
        if parts[-1] != "u32" or parts[1] not in ("lo", "hi"):
            return NotImplemented
        a, b, c = (self.let(f"zext i32 {self.get(x, 'i32')} to i64") for x in (a, b, c))
        product = self.let(f"mul i64 {a}, {b}")
        part = self.let(f"lshr i64 {product}, 32" if parts[1] == "hi" else f"and i64 {product}, 4294967295")
        total = self.let(f"add i64 {part}, {c}")
        if parts[0] == "madc":
            carry = self.let(f"zext i1 {self.let('load i1, ptr %carry')} to i64")
            total = self.let(f"add i64 {total}, {carry}")
        if "cc" in parts:
            self.emit(f"store i1 {self.let(f'icmp ugt i64 {total}, 4294967295')}, ptr %carry")
        self.put(target, self.let(f"trunc i64 {total} to i32"), "i32")

    do_madc = do_mad

    def do_bfi(self, parts, target, field, base, position, length):
        """Bits of a field inside those of a base, at a constant place."""
        kind, position, length = TYPES[parts[-1]], int(position), int(length)
        mask = ((1 << length) - 1) << position
        inside = self.let(f"and {kind} {self.let(f'shl {kind} {self.get(field, kind)}, {position}')}, {mask}")
        around = self.let(f"and {kind} {self.get(base, kind)}, {~mask}")
        self.put(target, self.let(f"or {kind} {inside}, {around}"), kind)

    def do_shl(self, parts, target, value, amount):
        """An amount beyond the width is taken as the width."""
        kind = TYPES[parts[-1]]
        amount, bits = self.get(amount, "i32"), BITS[kind]
        beyond = self.let(f"icmp uge i32 {amount}, {bits}")
        amount = self.let(f"select i1 {beyond}, i32 {bits - 1}, i32 {amount}")
        if bits != 32:
            amount = self.let(f"{'zext' if bits > 32 else 'trunc'} i32 {amount} to {kind}")
        instruction = "shl" if parts[0] == "shl" else "ashr" if parts[-1][0] == "s" else "lshr"
        result = self.let(f"{instruction} {kind} {self.get(value, kind)}, {amount}")
        if instruction != "ashr":
            result = self.let(f"select i1 {beyond}, {kind} 0, {kind} {result}")
        self.put(target, result, kind)

    do_shr = do_shl

    def do_setp(self, parts, target, a, b):
        if len(parts) != 3:
            return NotImplemented
        kind = TYPES[parts[2]]
        instruction = "fcmp" if parts[2][0] == "f" else "icmp"
        compared = f"{comparison(parts[1], parts[2][0])} {kind} {self.get(a, kind)}, {self.get(b, kind)}"
        self.put(target, self.let(f"{instruction} {compared}"), "i1")

    def do_cvt(self, parts, target, value):
        *mode, to, of = parts[1:]
        wanted, have, kinds = TYPES[to], TYPES[of], to[0] + of[0]
        value = self.get(value, have)
        mode = ".".join(mode)
        if kinds == "ff" and mode == "sat" and to == of:
            low = self.let(f"call {wanted} @llvm.maxnum.{of}({wanted} {value}, {wanted} 0.0)")  # 0 for NaN
            value = self.let(f"call {wanted} @llvm.minnum.{of}({wanted} {low}, {wanted} 1.0)")
        elif "f" not in kinds and not mode:
            if BITS[wanted] < BITS[have]:
                value = self.let(f"trunc {have} {value} to {wanted}")
            elif BITS[wanted] > BITS[have]:
                value = self.let(f"{'sext' if of[0] == 's' else 'zext'} {have} {value} to {wanted}")
        elif kinds[1] == "f" and mode in ROUNDED and (kinds[0] != "f" or to == of):
            value = self.let(f"call {have} @llvm.{ROUNDED[mode]}.{of}({have} {value})")
            if kinds[0] != "f":
                value = self.let(
                    f"call {wanted} @llvm.fpto{'s' if to[0] == 's' else 'u'}i.sat.{wanted}.{of}({have} {value})"
                )
        elif kinds == "ff" and (to, of, mode) in (("f64", "f32", ""), ("f32", "f64", "rn")):
            value = self.let(f"{'fptrunc' if mode else 'fpext'} {have} {value} to {wanted}")
        elif kinds in ("fs", "fu") and mode == "rn":
            value = self.let(f"{of[0]}itofp {have} {value} to {wanted}")
        else:
            return NotImplemented
        self.put(target, value, wanted)

    def get(self, operand, kind):
        """An operand as a value of an LLVM type; registers of the same size are taken as their bits."""
        if operand in PLACES:
            return operand
        if operand in self.registers:
            have = self.registers[operand]
            return self.same_bits(self.let(f"load {have}, ptr {slot(operand)}"), have, kind)
        if operand == self.local:
            return self.let("ptrtoint ptr %local to i64")
        if operand in self.slots:
            pointer = self.let(f"getelementptr i64, ptr %slots, i64 {self.slots[operand]}")
            return self.let(f"load i64, ptr {pointer}")
        return constant(operand, kind)

    def put(self, register, value, kind):
        have = self.registers[register]
        self.emit(f"store {have} {self.same_bits(value, kind, have)}, ptr {slot(register)}")

    def same_bits(self, value, kind, wanted):
        if kind == wanted:
            return value
        if BITS[kind] == BITS[wanted]:
            return self.let(f"bitcast {kind} {value} to {wanted}")
        if "float" in (kind, wanted) or "double" in (kind, wanted):
            raise Unsupported(f"{self.lines[-1]}: {kind} as {wanted}")
        return self.let(f"{'trunc' if BITS[kind] > BITS[wanted] else 'zext'} {kind} {value} to {wanted}")


def slot(register):
    return f"%r.{register[1:]}"


def label(name):
    return name.replace("$", "")
