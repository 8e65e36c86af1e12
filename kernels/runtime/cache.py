"""Compiled kernels on disk: a file for each launcher and types of arguments, made anew where it is damaged.

They lie in a folder whose name holds a hash of all that they are made of. Numba's own check looks at the file of the
launcher alone, and would serve stale code after an edit elsewhere.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import numba
from numba.core.codegen import JITCPUCodegen
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

ALONE = "each process compiles its own"
SUFFIX = ".kernel"


@functools.cache
def cache_directory():
    """The folder for compiled kernels, '' where none can be made. It need not be writable."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
        folder = base / "lartpc" / source_hash()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except RuntimeError:  # of Path.home()
        tell(f"there is no home folder to keep compiled kernels in (set XDG_CACHE_HOME): {ALONE}")
        return ""
    except OSError as failure:
        tell(f"compiled kernels cannot be kept: {failure.filename}: {failure.strerror}; {ALONE}")
        return ""
    return str(folder)


def source_hash():
    """Of every source of kernels and adjoints, however deep, and of the compiler and the Python that read them."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.implementation.cache_tag}".encode())
    for package in ("lartpc.kernels", "lartpc.adjoint"):
        folder = files(package)
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package} {path.relative_to(folder).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def kept(target):
    """Whether there are compiled kernels on disk for a target, cpu or cuda."""
    folder = cache_directory()
    return bool(folder) and any(Path(folder).glob(f"launch_{target}_*{SUFFIX}"))


@functools.cache
def tell(line):
    """One line on stderr, once a process."""
    print(f"lartpc: {line}", file=sys.stderr)


class Store:
    """The files of one launcher. `body` is the function that it launches, whose file may lie outside the packages."""

    def __init__(self, launcher, body):
        self.name = launcher.__name__
        try:
            source = Path(body.__code__.co_filename).read_bytes()
        except OSError:  # typed in: a second process may have something else under that name
            source = None
        self.folder = cache_directory() if source is not None else ""
        self.of = (hashlib.sha256(source or b"").digest(), body.__code__.co_firstlineno)

    def path(self, key):
        digest = hashlib.sha256(repr((self.of, key)).encode()).hexdigest()[:32]
        return Path(self.folder) / f"{self.name}-{digest}{SUFFIX}"

    def read(self, key):
        """What was written under `key`, None where there is nothing or nothing whole."""
        if not self.folder:
            return None
        path = self.path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as failure:
            tell(f"{self.folder}: compiled kernels cannot be read: {failure.strerror}; {ALONE}")
            return None
        if content[:32] != hashlib.sha256(content[32:]).digest():
            tell(f"{self.folder}: a compiled kernel is damaged; it is thrown away and made anew")
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return content[32:]

    def write(self, key, content):
        """Keep `content`, all of it or nothing."""
        if not self.folder:
            return
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
                temporary = file.name
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(temporary, self.path(key))
        except OSError as failure:
            tell(f"{self.folder}: compiled kernels cannot be kept: {failure.strerror}; {ALONE}")
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)


class Compiled:
    """What a launcher for the CPU runs, in place of Numba's cache: always code that went through its form on disk.

    Code just compiled has parts that were optimised once; in code from the disk they were optimised with their callers,
    and sums are added in another order: a first run would differ from later ones in the last bits, and so would every
    run where nothing can be kept. Parts that two launchers share would be those of the one loaded first, so each is
    loaded for itself. `again` makes a second launcher, which only compiles.
    """

    cache_path = property(lambda self: self.store.folder)

    def __init__(self, store, again):
        self.store, self.again = store, again

    def load_overload(self, signature, context):
        context.refresh()
        key = (signature, context.codegen().magic_tuple())
        content = self.store.read(key)
        if content is None:
            content = self.compile(signature)
            self.store.write(key, content)
        shared, context._internal_codegen = context._internal_codegen, JITCPUCodegen("lartpc")
        try:
            return CompileResult._rebuild(context, *pickle.loads(content))
        finally:
            context._internal_codegen = shared

    def compile(self, signature):
        launcher = self.again()
        launcher.compile(signature)
        result = launcher.overloads[signature]
        if result.library.has_dynamic_globals:
            raise TypeError(f"{self.store.name}: refers to memory of this process, as that of a large global array")
        return dumps(result._reduce())

    def save_overload(self, signature, result):
        """Nothing: what Numba compiles itself does not get here."""


class CompiledForCuda:
    """What a launcher for CUDA asks for compiled code, in place of numba-cuda's cache: files as for the CPU."""

    cache_path = property(lambda self: self.store.folder)

    def __init__(self, store):
        self.store = store

    def key(self, signature, codegen):
        """With the versions of numba-cuda and CUDA and what the device can do."""
        import numba_cuda

        return (signature, numba_cuda.__version__, codegen.magic_tuple())

    def load_overload(self, signature, context):
        from numba.cuda.dispatcher import _Kernel

        context.refresh()
        content = self.store.read(self.key(signature, context.codegen()))
        return None if content is None else _Kernel._rebuild(**pickle.loads(content))

    def save_overload(self, signature, kernel):
        from numba.cuda.serialize import dumps

        content = dumps(kernel._reduce_states())
        self.store.write(self.key(signature, kernel.target_context.codegen()), content)
