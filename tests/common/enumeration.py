"""The modules and kernels of a package, at any depth."""

import importlib
import pkgutil

import lartpc.adjoint
import lartpc.kernels
from lartpc.kernels.runtime.launch import Kernel


def modules_of(*packages):
    """Every module of the packages, imported."""
    for package in packages:
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield importlib.import_module(info.name)


def kernels_of(*packages):
    """The set of kernels that are written in the modules of the packages."""
    return {
        value
        for module in modules_of(*packages)
        for value in vars(module).values()
        if isinstance(value, Kernel) and value.body.__module__ == module.__name__
    }


def all_kernels():
    """Every kernel and adjoint, by (module, name)."""
    return {(k.body.__module__, k.name): k for k in kernels_of(lartpc.kernels, lartpc.adjoint)}
