"""Mutations of HDF5 files, drawn by hypothesis: fields and rows of tables, objects, attributes."""

import json

import h5py
import numpy as np
from mutations import NUMBERS, TEXTS, mutated_bytes, mutated_tree, some_array, with_value

TYPES = ["i1", "u1", "i8", "u8", "f2", "f4", "f8", "?", "c16", "S5", "V6", h5py.string_dtype()]
TYPES += [("f4", (3,)), ("i8", (2, 2)), [("a", "f4"), ("b", "i8")], h5py.enum_dtype({"a": 1, "b": 2}), "i8", "f8"]
TYPES += [h5py.vlen_dtype("f8"), ("f4", (1,)), ">f8", ">i4"]


def mutated_file(draw, content, path, only=None):
    """Write `content`, an HDF5 file, to `path`, with other bytes or other objects; `only`: names that are touched."""
    if draw.whole(0, 4) == 0:
        path.write_bytes(mutated_bytes(draw, content))
        return
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        for _ in range(draw.whole(1, 2)):
            mutate(draw, file, only)


def mutate(draw, file, only):
    found = []
    file.visit(found.append)
    names = [name for name in found if only is None or name.split("/")[0] in only]
    attributes = [(name, key) for name in ["/", *names] for key in _attributes(file, name)]
    tables = [name for name in names if _is_table(file, name)]
    arrays = [name for name in names if _is_array(file, name)]
    ways = {"field": tables, "rows": tables, "values": tables, "object": names, "attribute": attributes}
    ways["numbers"] = arrays
    way = draw.one([way for way in ("values", "values", "field", "field", *ways) if ways[way]] or ["new"])
    if way == "attribute":
        mutate_attribute(draw, file, *draw.one(attributes))
    elif way == "object":
        mutate_object(draw, file, draw.one(names))
    elif way == "numbers":
        name = draw.one(arrays)
        replace(file, name, mutate_numbers(draw, file[name][()]))
    elif way == "new":
        file.attrs["new"] = draw.one(TEXTS[:10])
    else:
        name = draw.one(tables)
        raw = file[name][()]
        changed = {"field": mutate_field, "rows": mutate_rows, "values": mutate_values}[way](draw, raw)
        replace(file, name, changed)


def _attributes(file, name):
    try:
        return list(file[name].attrs)
    except (KeyError, OSError, RuntimeError):  # a link to nowhere, of an earlier mutation
        return []


def _is_table(file, name):
    try:
        item = file[name]
        return isinstance(item, h5py.Dataset) and item.dtype.names is not None and item.ndim == 1 and len(item) < 10**5
    except (KeyError, OSError, RuntimeError):
        return False


def _is_array(file, name):
    try:
        item = file[name]
        return isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and item.ndim > 0 and item.size < 10**5
    except (KeyError, OSError, RuntimeError):
        return False


def replace(file, name, data):
    """Another dataset under the name of one, with its attributes."""
    attributes = dict(file[name].attrs)
    del file[name]
    put_attributes(file.create_dataset(name, data=data), attributes)


def put_attributes(item, attributes):
    """Text of earlier mutations that h5py reads, but would not write, as its bytes."""
    for key, value in attributes.items():
        item.attrs[key] = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def _built(raw, types):
    """The table with the fields of `types`, of the values that they have in `raw` where these can be so."""
    made = np.zeros(len(raw), dtype=types)
    for name in made.dtype.names:
        if name in raw.dtype.names and raw.dtype[name].kind in "iufb" and made.dtype[name].kind in "iufb":
            with np.errstate(all="ignore"):
                made[name] = raw[name]
        elif made.dtype[name].kind == "O":
            for row in range(len(made)):
                made[name][row] = b"text" if h5py.check_string_dtype(made.dtype[name]) else np.zeros(2)
    return made


def mutate_field(draw, raw):
    """A field dropped, renamed, of another type, or added."""
    types = [(name, raw.dtype[name]) for name in raw.dtype.names]
    k = draw.whole(0, len(types) - 1)
    name = types[k][0]
    match draw.one(["drop", "rename", "type", "type", "type", "add"]):
        case "drop" if len(types) > 1:
            del types[k]
        case "rename":
            other = draw.one([f"{name}x", "µ", "y" * 3000, name.upper() + "_", "x y"])
            types = [(other, kind) if one == name else (one, kind) for one, kind in types if one != other]
        case "add":
            other, kind = draw.one(["new", "z" * 400]), draw.one(TYPES)
            types = [*(one for one in types if one[0] != other), (other, kind)]  # an earlier mutation may have added it
        case _:
            kind = draw.one(TYPES)
            types[k] = (name, *kind) if isinstance(kind, tuple) else (name, kind)
    return _built(raw, types)


def mutate_rows(draw, raw):
    """No rows, one, rows twice, in another order, or in two dimensions."""
    once = draw.one([raw[:0], raw[:1], np.concatenate((raw, raw)), raw[::-1], raw[None], raw.reshape(-1, 1)])
    return np.ascontiguousarray(once)


def mutate_values(draw, raw):
    """Numbers of a field that are others, in one row or in all."""
    raw = raw.copy()
    for _ in range(draw.whole(1, 2)):
        name = draw.one(raw.dtype.names)
        if raw.dtype[name].kind not in "iuf" or not len(raw):
            continue
        value = draw.one(n for n in NUMBERS if isinstance(n, float) or abs(n) < 2**64)
        rows = draw.one([slice(None), draw.whole(0, len(raw) - 1)])
        if raw.dtype[name].kind in "iu":
            limits = np.iinfo(raw.dtype[name])
            value = 0 if value != value else int(max(limits.min, min(limits.max, value)))
        with np.errstate(all="ignore"):
            raw[name][rows] = value
    return raw


def mutate_numbers(draw, array):
    """Other numbers, fewer or more of them, or in another shape."""
    array = np.array(with_value(draw, array))
    ways = [array, array, array[:-1], np.concatenate((array, array)), array[None], array.ravel(), array.T]
    return np.ascontiguousarray(draw.one(ways))


def mutate_object(draw, file, name):
    """A dataset or group that is gone, elsewhere, a link, of another type, or far larger than what is written of it."""
    item = file[name]
    if name not in file or not isinstance(item, h5py.Dataset | h5py.Group):
        return
    dtype = item.dtype if isinstance(item, h5py.Dataset) else np.dtype("f8")
    way = draw.one(["drop", "rename", "group", "array", "array", "link", "sparse", "never", "wide"])
    if way == "rename":
        file.move(name, draw.one([f"{name}x", "other", "hits", "tracks", "packets"]) + "_")
        return
    attributes = dict(item.attrs)
    del file[name]
    match way:
        case "group":
            made = file.create_group(name)
        case "array":
            array = some_array(draw)
            if array.dtype.kind in "UMO":
                array = np.full(array.shape, b"text", dtype=h5py.string_dtype())
            made = file.create_dataset(name, data=array)
        case "link":
            links = [h5py.SoftLink("/nowhere"), h5py.SoftLink(f"/{name}"), h5py.SoftLink("/")]
            file[name] = draw.one([*links, h5py.ExternalLink("nowhere.h5", "/x"), h5py.ExternalLink("a" * 900, "/x")])
            return
        case "sparse" | "never":
            shape = (draw.one([10**6, 10**9, 2**40]),)
            made = file.create_dataset(name, shape, dtype, maxshape=(None,), chunks=(1024,))
            if way == "sparse":
                made[-1:] = np.full(1, b"", dtype) if dtype.kind == "O" else np.zeros(1, dtype)
        case "wide":
            made = file.create_dataset(name, (2, 3), dtype)
        case _:
            return
    put_attributes(made, attributes)


def mutate_attribute(draw, file, name, key):
    """An attribute that is gone, or holds something else; one of JSON, another tree."""
    attributes = file[name].attrs
    value = attributes[key]
    way = draw.one(["drop", "tree", "tree", "text", "number", "array", "empty", "type"])
    del attributes[key]
    if way == "tree" and (tree := _tree(value)) is not None:
        attributes[key] = _text(mutated_tree(draw, tree))
    elif way in ("text", "tree"):
        attributes[key] = draw.one([text.replace("\0", "?") for text in TEXTS])
    elif way == "number":
        attributes[key] = draw.one(n for n in NUMBERS if isinstance(n, float) or abs(n) < 2**63)
    elif way == "array":
        array = some_array(draw, draw.one([(), (0,), (3,), (2, 2)]))
        attributes[key] = array if array.dtype.kind in "iufb" else np.array(["a", "b"], dtype=h5py.string_dtype())
    elif way == "empty":
        attributes[key] = h5py.Empty("f8")
    elif way == "type":
        attributes[key] = draw.one([b"\xff\xfe", np.void(b"\0\1"), np.array([(1, 2.0)], dtype="i4,f8"), np.bool_(True)])


def _tree(value):
    """What a text of JSON says, None where it is none."""
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else None
    except ValueError:  # of an earlier mutation
        return None


def _text(tree):
    try:
        return json.dumps(tree)[:60_000].replace("\\u0000", "?")
    except (ValueError, TypeError):
        return "{"
