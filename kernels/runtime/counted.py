"""What CUDA compiles of a body: loops that count, and indices without a sign.

Numba's `range` asks in every turn whether another one is left, and an index below 0 counts from the end of its array.
The compiler for CPUs sees through both, that for CUDA does not: they were half of its instructions.
"""

import ast
import inspect
import textwrap

import numpy as np

# Names that begin with an underscore are none of a body's: see `Kernel`.
COUNTING = """
{following}, {end} = _signed({start}), _signed({stop})
while {following} {below} {end}:
    {target} = {following}
    {following} += _signed({step})
"""


def counted(function):
    """Code of `function` that counts where it says `for x in range(...)`, and the globals that it needs.

    No index may be below 0. A loop goes down where its step is a number below 0, otherwise up. Raises TypeError where a
    loop is not over a range, or has an `else`, and for an index that is a number below 0.
    """
    source = getattr(function, "source", None) or inspect.getsource(function)
    tree = ast.parse(textwrap.dedent(source))
    tree.body[0].decorator_list = []
    tree = ast.fix_missing_locations(Counting().visit(tree))
    names = dict(function.__globals__, _signed=np.int64, _unsigned=np.uint64)
    exec(compile(tree, function.__code__.co_filename, "exec"), names)
    return names[function.__name__].__code__, names


class Counting(ast.NodeTransformer):
    """See `counted`."""

    loops = 0

    def visit_For(self, node):
        self.generic_visit(node)
        over = node.iter.func if isinstance(node.iter, ast.Call) else None
        if not isinstance(over, ast.Name) or over.id != "range" or node.orelse:
            raise TypeError(f"a kernel's loop is over a range and has no else: {ast.unparse(node)}")
        self.loops += 1
        start, stop, step = bounds(*(ast.unparse(one) for one in node.iter.args))
        *before, loop = ast.parse(
            COUNTING.format(
                target=ast.unparse(node.target),
                following=f"_following{self.loops}",
                end=f"_end{self.loops}",
                below=">" if step.startswith("-") else "<",
                start=start,
                stop=stop,
                step=step,
            )
        ).body
        loop.body += node.body
        return [*before, loop]

    def visit_Subscript(self, node):
        self.generic_visit(node)
        if isinstance(node.slice, ast.Tuple):
            node.slice.elts = [unsigned(one) for one in node.slice.elts]
        else:
            node.slice = unsigned(node.slice)
        return node


def bounds(first, stop=None, step="1"):
    """The three arguments of `range`."""
    return (first, stop, step) if stop is not None else ("0", first, step)


def unsigned(index):
    """An index without a sign; a number, as of an axis of a shape, stays as it is."""
    if isinstance(index, ast.Constant):
        return index
    if isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.USub):
        raise TypeError(f"a kernel's index is 0 or more: {ast.unparse(index)}")
    return ast.Call(ast.Name("_unsigned", ast.Load()), [index], [])
