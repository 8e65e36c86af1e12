"""Mutations of the content of files, drawn by hypothesis: numbers, texts, trees (YAML, JSON), arrays (npz), bytes."""

import copy
import io
import json
import math
import zipfile

import numpy as np
import yaml
from hypothesis import strategies as st

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
NUMBERS = [0, 1, -1, 2, 7, -0.0, 0.5, 3.7, 1e-300, 1e-9, 1e9, 1e16, -1e30, 1e300, math.inf, -math.inf, math.nan]
NUMBERS += [255, 256, 65536, 2**31, 2**63 - 1, 2**63, -(2**63), 2**64, 10**400, 100_000, -7]
TEXTS = ["", " ", "x", "nan", "-inf", "1e400", "1_000", "0x10", "1:30", "true", "~", "5.0e3", "a\nb\nc", "\x00", "\t"]
TEXTS += ["µ∆\u202e\U0001f600", "9" * 5000, "very long " * 2000, "{}", "[", '{"a": [', "2026-11-29", "%", "!!python/x"]
TEXTS += ["module0", "eField", "nowhere.h5", ".", "1" * 400, "-", "3.1415926 cm"]
OTHERS = [
    None,
    True,
    False,
    [],
    {},
    [[]],
    [[[[1]]]],
    {"a": 1},
    {"a": {"b": []}},
    {1: 2},
    list(range(50)),
    ["x"],
    [math.nan],
]
SHAPES = [(), (0,), (1,), (3,), (2, 2), (0, 4), (3, 0, 2), (1, 1, 1, 1), (5000,)]
TYPES = ["i1", "u1", "i8", "u8", "f2", "f4", "f8", "?", "c16", "S5", "S0", "U4", "M8[us]", "V6", "O"]
KINDS_OF_BYTES = [b"", b"\0" * 4096, b"event,x\n1,2\n", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\xff" * 3000]
KINDS_OF_BYTES += [
    b"PK\x03\x04",
    b"\x93NUMPY\x01\x00",
    b"\xff\xfe\x00\xd8",
    b"{}",
    b"[]",
    b"null",
    b"---\n...\n",
    b"\xef\xbb\xbf",
]


class Draw:
    """Choices of one example."""

    def __init__(self, data):
        self.data = data

    def one(self, options):
        options = list(options)
        return options[self.data.draw(st.integers(0, len(options) - 1))]

    def whole(self, low, high):
        return self.data.draw(st.integers(low, high))

    def junk(self):
        """A value where another was."""
        found = self.one([NUMBERS, NUMBERS, TEXTS, OTHERS])
        return copy.deepcopy(self.one(found))


def deep(levels, opening="[", closing="]"):
    return opening * levels + closing * levels


def bomb(key, one="x", place="{}"):
    """YAML of a few lines that stands for 10^10 values, in the place of a value of `key`; `one`: of these."""
    lines = [f"a0: &a0 [{', '.join([str(one)] * 10)}]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 10)]
    return "\n".join([*lines, f"{key}: {place.format('*a9')}\n"])


def mutated_bytes(draw, content):
    """Bytes of a file truncated, flipped, zeroed, repeated, or of another kind."""
    n = len(content)
    at = draw.whole(0, n)
    match draw.one(["truncated", "flipped", "flipped", "zeroed", "repeated", "another"]):
        case "truncated":
            return content[:at]
        case "flipped":
            changed = bytearray(content)
            for _ in range(draw.whole(1, 8)):
                changed[draw.whole(0, n - 1)] ^= 1 << draw.whole(0, 7)
            return bytes(changed)
        case "zeroed":
            size = draw.one([1, 8, 64, 1000])
            return content[:at] + b"\0" * min(size, n - at) + content[at + size :]
        case "repeated":
            return content[:at] + content[max(0, at - 200) :]
        case _:
            return draw.one(KINDS_OF_BYTES)


def places(tree, path=()):
    """Every (container, key) of a tree, outermost first."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(items):
        yield tree, key
        yield from places(value, (*path, key))


def mutated_tree(draw, tree):
    """A tree with a few values or keys that are others, dropped, or in a list of their own."""
    tree = copy.deepcopy(tree)
    for _ in range(draw.whole(1, 3)):
        found = list(places(tree))
        if not found or draw.whole(0, 40) == 0:
            return draw.junk()
        # the tops of a tree are few and matter most
        tops = [(tree, key) for key in (tree if isinstance(tree, dict) else range(len(tree)))]
        container, key = draw.one(draw.one([found, tops]))
        value = container[key]
        match draw.one(["other", "other", "other", "drop", "key", "list", "text", "add", "grow"]):
            case "other":
                container[key] = draw.junk()
            case "drop":
                del container[key]
            case "key" if isinstance(container, dict):
                del container[key]
                other = draw.one([n for n in NUMBERS if n == n] + TEXTS + [None, True])
                container[draw.one([other, f"{key}x"])] = value
            case "list":
                container[key] = [value] * draw.one([0, 1, 2, 70])
            case "text":
                container[key] = str(value)[:100]
            case "add" if isinstance(container, dict):
                container[draw.one(TEXTS)] = draw.junk()
            case _ if isinstance(value, list):
                value.append(draw.junk())
            case _:
                container[key] = {"a": value}
    return tree


def mutated_yaml(draw, tree, keys):
    """The bytes of a YAML file with another tree, or another text."""
    match draw.one(["tree"] * 12 + ["bytes", "bytes", "bomb", "deep", "text", "merged"]):
        case "tree":
            return yaml.dump(mutated_tree(draw, tree), Dumper=_DUMPER, allow_unicode=True).encode("utf-8", "replace")
        case "bytes":
            return mutated_bytes(draw, yaml.dump(tree, Dumper=_DUMPER).encode())
        case "bomb":
            place = draw.one(["{}", "[{}]", "{{1: {}}}", "[[0, {}]]"])
            return bomb(draw.one(keys), draw.one(["x", 1, 0.5]), place).encode()
        case "deep":
            return f"{draw.one(keys)}: {deep(draw.one([30, 300, 900, 3000]))}\n".encode()
        case "merged":
            key = draw.one(keys)
            return f"a: &a {{{key}: 1}}\n<<: [*a, *a]\n{key}: &b [*a, 1]\nc: {{*b : 1}}\n".encode()
        case _:
            key, text = draw.one(keys), draw.one(TEXTS)
            more = [f"{key}: {text}", f"{key}: &a [*a]", f"{key}: &a {{1: *a}}", f"? [{key}]\n: 1", f"- {key}"]
            more += [f"{key}: !!set {{a}}", f"{key}: |\n {text}"]
            return yaml.dump(tree, Dumper=_DUMPER).encode() + draw.one(more).encode("utf-8", "replace")


def mutated_json(draw, tree):
    """The bytes of a JSON file with another tree, or another text."""
    match draw.one(["tree"] * 8 + ["bytes", "bytes", "deep", "lines"]):
        case "tree":
            return _json(mutated_tree(draw, tree))
        case "bytes":
            return mutated_bytes(draw, json.dumps(tree).encode())
        case "deep":
            levels = draw.one([30, 900, 5000, 200_000])
            return draw.one([deep(levels), deep(levels, '{"a":', "}"), '{"parameters": ' + deep(levels) + "}"]).encode()
        case _:
            return "\n".join(draw.one(TEXTS) for _ in range(draw.whole(1, 4))).encode("utf-8", "replace")


def _json(tree):
    try:
        return json.dumps(tree).encode()
    except (ValueError, TypeError):  # keys of both kinds, or numbers of too many digits
        return repr(tree)[:10_000].encode("utf-8", "replace") if not isinstance(tree, int) else b"1" * 5000


def some_array(draw, shape=None):
    """An array of some shape and type."""
    shape = draw.one(SHAPES) if shape is None else shape
    kind = draw.one(TYPES)
    with np.errstate(all="ignore"):
        value = draw.one([0, 1, 3, -1, 200])
        if kind in ("V6", "M8[us]"):
            return np.zeros(shape, dtype=kind)
        return np.full(shape, value).astype(kind)


def with_value(draw, array):
    """A copy of an array of numbers in which one number, or each, is another."""
    array = np.array(array, dtype=draw.one([array.dtype, "f8", "f4", "i8"]))
    value = draw.one(n for n in NUMBERS if isinstance(n, float) or abs(n) < 2**70)
    with np.errstate(all="ignore"):
        if array.size:
            at = draw.whole(0, array.size - 1)
            try:
                array.ravel()[at] = value
            except (ValueError, OverflowError):
                array.ravel()[at] = np.int64(-1).astype(array.dtype)
            if draw.whole(0, 3) == 0:
                array[...] = array.ravel()[at]
    return array


def mutated_arrays(draw, arrays):
    """The arrays of an npz of which some are others."""
    arrays = dict(arrays)
    for _ in range(draw.whole(1, 2)):
        name = draw.one(arrays or ["x"])
        array = np.asarray(arrays.get(name, 0.0))
        match draw.one(["value", "value", "value", "drop", "rename", "type", "shape", "rows", "twice", "other"]):
            case "value" if array.dtype.kind in "iuf":
                arrays[name] = with_value(draw, array)
            case "drop":
                arrays.pop(name, None)
            case "rename":
                arrays[draw.one(["", "x", "../x", "keys", "µ", "y" * 5000])] = arrays.pop(name, array)
            case "type":
                arrays[name] = some_array(draw, array.shape)
            case "shape":
                arrays[name] = draw.one([array.ravel(), array[None], array[..., None], array.T, array.ravel()[:1]])
            case "rows" if array.ndim:
                arrays[name] = array[: draw.whole(0, max(len(array) - 1, 0))]
            case "twice" if array.ndim:
                arrays[name] = np.concatenate((array, array))
            case _:
                arrays[name] = some_array(draw)
    return arrays


def packed(arrays):
    """The bytes of an npz."""
    file = io.BytesIO()
    np.savez(file, **{name or " ": array for name, array in arrays.items() if name != "file"})
    return file.getvalue()


def false_header(draw):
    """An npz, or npy, with an array that is far larger than the file, or of a header that is none."""
    file = io.BytesIO()
    shape = draw.one(["(99999999999,)", "(-3,)", "(2, 3", "(1e3,)", "(3.5,)", "()", "(True, 3)", "(10**10,)"])
    order, kind = draw.one(["False", "3", "None"]), draw.one(["<f8", "|O", "<x9", "f8,f8", "<U9999999", "V0"])
    header = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}".encode() + b" " * 20 + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 40
    if draw.whole(0, 1):
        return array
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("keys", "values", "default", "response", "time_tick", "drift_length", "bin_size"):
            archive.writestr(f"{name}.npy", array)
    return file.getvalue()


def mutated_npz(draw, arrays):
    """The bytes of an npz, or npy, with other arrays, or other bytes."""
    match draw.one(["arrays"] * 8 + ["bytes", "bytes", "header", "alone"]):
        case "arrays":
            return packed(mutated_arrays(draw, arrays))
        case "bytes":
            return mutated_bytes(draw, packed(arrays))
        case "header":
            return false_header(draw)
        case _:
            file = io.BytesIO()
            np.save(file, draw.one(list(mutated_arrays(draw, arrays).values()) or [0]))
            return file.getvalue()
