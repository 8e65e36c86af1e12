"""What is known of fitted parameters besides the target: Gaussian constraints, in the likelihood as residuals are.

-log L gains (p - c)^T C^-1 (p - c)/2, c and C the values and covariance of the constraint (Review of Particle Physics,
Statistics); a fit to data alone that ends at p_d with information H_d then ends with H_d + C^-1.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.contracts import Unknowns
from lartpc.exceptions import InputError
from lartpc.fit.fitfile import read_fit
from lartpc.parameters import check_parameter

_SMALLEST, _LARGEST = 1e-100, 1e100  # errors whose squares are numbers


class Constraint(NamedTuple):
    """Values of k parameters that were measured elsewhere, with their covariance."""

    names: tuple[str, ...]
    values: np.ndarray  # (k,)
    covariance: np.ndarray  # (k, k)

    @staticmethod
    def of(name: str, value: float, error: float) -> Constraint:
        """value +- error of one parameter. Raises InputError for an error that is not above 0."""
        check_parameter(name, value, f"constraint of {name}")
        if not _SMALLEST < error < _LARGEST:
            raise InputError(f"constraint of {name}: found an error of {error:g}, allowed is a number above 0")
        return Constraint((name,), np.array([value], dtype=np.float64), np.array([[error**2]], dtype=np.float64))

    @staticmethod
    def read(path: str | os.PathLike, names: Sequence[str]) -> Constraint:
        """Those of `names` in the fit.json of another fit, or a JSON file alike.

        That is {"parameters": {NAME: {"value": v, "error": s}, ...}, "correlation": [[...], ...]}, rows in the order of
        the parameters; without correlation they have none. What is not among `names` is integrated over. Raises
        InputError: no such file, not of this form, none of `names` in it, an error that is missing or infinite.
        """
        otherwise = f'{path}: is no fit.json, allowed is JSON with "parameters" and "correlation"'
        found, content = read_fit(path, otherwise)
        rows = [(name, *row) for name, row in found.items()]
        try:
            correlation = np.array(content.get("correlation", np.eye(len(rows))), dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            raise InputError(otherwise) from None
        if correlation.shape != (len(rows), len(rows)):
            raise InputError(f"{path}: correlation has the shape {correlation.shape}, allowed is {(len(rows),) * 2}")
        kept = [k for k, (name, _, _) in enumerate(rows) if name in names]
        if not kept:
            raise InputError(f"{path}: constrains {', '.join(row[0] for row in rows)}, fitted are {', '.join(names)}")
        for name, value, error in (rows[k] for k in kept):
            check_parameter(name, value, f"{path}: {name}")
            if error is None or not _SMALLEST < error < _LARGEST:
                raise InputError(f"{path}: {name} has the error {error}, allowed is a number above 0")
        errors = np.array([rows[k][2] for k in kept], dtype=np.float64)
        covariance = correlation[np.ix_(kept, kept)] * np.outer(errors, errors)
        values = np.array([rows[k][1] for k in kept], dtype=np.float64)
        return Constraint(tuple(rows[k][0] for k in kept), values, covariance)

    def check(self, names: Sequence[str]) -> None:
        """Raise InputError where it constrains what is not among `names`, or its covariance is none."""
        for name in self.names:
            if name not in names:
                raise InputError(f"constraint: {name} is not fitted, allowed are {', '.join(names)}")
        covariance = np.asarray(self.covariance, dtype=np.float64)
        errors = np.sqrt(np.maximum(np.diag(covariance), np.finfo(float).tiny))
        correlation = covariance / np.outer(errors, errors)
        finite = np.isfinite(correlation).all() and np.allclose(correlation, correlation.T, rtol=0.0, atol=1e-9)
        if not finite or np.linalg.eigvalsh(correlation)[0] < 1e-12:
            raise InputError(f"constraint of {', '.join(self.names)}: its covariance is not positive and symmetric")


class Penalty(NamedTuple):
    """What the constraints of n unknowns add to -log L at some values, with its derivatives."""

    value: float
    gradient: np.ndarray  # (n,)
    information: np.ndarray  # (n, n)


def penalty(unknowns: Unknowns, values: np.ndarray) -> Penalty:
    """The sum over the constraints of `unknowns` at `values` (n,)."""
    n = len(values)
    value, gradient, information = 0.0, np.zeros(n), np.zeros((n, n))
    for one in unknowns.constraints:
        at = [unknowns.names.index(name) for name in one.names]
        off, inverse = values[at] - one.values, np.linalg.inv(one.covariance)
        value += 0.5 * float(off @ inverse @ off)
        gradient[at] += inverse @ off
        information[np.ix_(at, at)] += inverse
    return Penalty(value, gradient, information)


class Contribution(NamedTuple):
    """What constraints and data by themselves say of one parameter."""

    name: str
    value: float  # of the constraints
    error: float
    data_value: float  # NaN where the data alone leave it open
    data_error: float  # then infinite

    @property
    def tension(self) -> float:
        """(data - constraint) over the error of this difference; 0 where the data leave it open."""
        return (
            0.0 if np.isinf(self.data_error) else (self.data_value - self.value) / np.hypot(self.error, self.data_error)
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        known = np.isfinite(self.data_error)
        data = {"value": self.data_value, "error": self.data_error} if known else {"value": None, "error": None}
        return {"constraint": {"value": self.value, "error": self.error}, "data": data, "tension": self.tension}

    def __str__(self) -> str:
        known = np.isfinite(self.data_error)
        alone = f"{self.data_value:.7g} +- {self.data_error:.3g} ({self.tension:+.2f} errors off)"
        return (
            f"{self.name}: constraint {self.value:.7g} +- {self.error:.3g}, "
            f"data alone {alone if known else 'leave it open'}"
        )


def contributions(
    unknowns: Unknowns, values: np.ndarray, gradient: np.ndarray, covariance: np.ndarray
) -> tuple[Contribution, ...]:
    """Of what is constrained, at `values` (n,) with the `gradient` (n,) of all; `covariance` (n, n) of data alone."""
    added = penalty(unknowns, values)
    at = np.flatnonzero(np.diag(added.information))
    of_constraints = np.linalg.inv(added.information[np.ix_(at, at)])
    centre = values[at] - of_constraints @ added.gradient[at]
    errors = np.sqrt(np.diag(covariance))
    told = np.where(np.isfinite(covariance), covariance, 0.0)
    alone = np.where(np.isfinite(errors), values - told @ (gradient - added.gradient), np.nan)
    return tuple(
        Contribution(unknowns.names[i], float(c), float(np.sqrt(v)), float(alone[i]), float(errors[i]))
        for i, c, v in zip(at, centre, np.diag(of_constraints), strict=True)
    )
