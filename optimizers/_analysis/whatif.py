"""What-if analysis: one allocation problem over a grid of values, solved in one batched call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizers._solve import solve
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.interface import client_fields
from wirelessfl.allocation.problem import AllocationProblem, Array, Problem
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.protocols import Allocator
from wirelessfl.records.correlated_mean import standard_error

FIELDS = (
    "deadline_s",
    "fixed_s",
    "prunable_s",
    "upload_bits",
    "fixed_upload_bits",
    "rate_bps",
    "snr",
    "bandwidth_hz",
    "weight",
    "max_pruning_ratio",
)
COUNTED = {"starved": "starved", "infeasible": "infeasible", "left_out": "left out"}  # status
COUNTS = (*COUNTED, "late")
MEASURES = ("mean_ratio", "latency_s", *COUNTS, "bandwidth_price", "deadline_price")
_HALVINGS = 30  # of the distance between neighbouring grid values


@dataclass(frozen=True, kw_only=True, eq=False)
class WhatIf:
    """Measures over a grid of values, the same draws at all points, so that differences are paired.

    The measures are `mean_ratio` over clients, `latency_s` of the slowest client, the numbers of
    `starved`, `infeasible` and `left_out` clients and of clients that finish `late` for any reason,
    `bandwidth_price` of the whole band and `deadline_price` per second.

    Attributes:
        axes: Names of the varied fields with their values, in the order of the grid.
        measured: Per measure an array (*grid, draws).
        consecutive: Whether the draws are rounds in order, which may be correlated.
    """

    axes: dict[str, Array]
    measured: dict[str, Array]
    consecutive: bool = False

    def mean(self, measure: str) -> Array:
        """Average a measure over the draws.

        Args:
            measure: Name of the measure.

        Returns:
            The mean; (*grid,).

        Raises:
            InputError: Unknown measure.
        """
        found: Array = self._of(measure).mean(axis=-1)
        return found

    def standard_error(self, measure: str) -> Array:
        """Estimate the standard deviation of a mean from the spread over the draws.

        Args:
            measure: Name of the measure.

        Returns:
            The standard error; (*grid,), NaN for a single draw.

        Raises:
            InputError: Unknown measure.
        """
        values = self._of(measure)
        if self.consecutive:
            return standard_error(values)
        draws = values.shape[-1]
        if draws == 1:
            return np.full(values.shape[:-1], np.nan)
        with np.errstate(
            invalid="ignore"
        ):  # a client that never finishes has latency inf, whose spread is NaN
            found: Array = values.std(axis=-1, ddof=1) / sqrt(draws)
            return found

    def front(self) -> Array:
        """Find the Pareto front of deadline against kept model.

        A point is on the front where no shorter deadline keeps as much, other fields alike. A point
        at which a client is late in any draw misses its deadline and is never on the front.

        Returns:
            Whether each point is on the front; (*grid,).

        Raises:
            InputError: No deadline is varied.
        """
        names = [name for name in self.axes if name.rpartition(".")[2] == "deadline_s"]
        if not names:
            raise InputError(f"the front needs deadline_s to be varied, got {', '.join(self.axes)}")
        axis = list(self.axes).index(names[0])
        deadline_s = self.axes[names[0]]
        in_time = self._of("late").max(axis=-1) == 0
        kept = np.moveaxis(np.where(in_time, 1.0 - self.mean("mean_ratio"), -np.inf), axis, -1)
        shorter = deadline_s[None, :] < deadline_s[:, None]
        best = np.where(shorter, kept[..., None, :], -np.inf).max(axis=-1)
        return np.moveaxis(kept > best + 1e-12, -1, axis)

    def table(self) -> dict[str, Array]:
        """Tabulate the grid: per varied field a column, per measure its mean and standard error.

        Returns:
            Columns (points,), in the form that `pandas.DataFrame` takes.
        """
        grid = np.meshgrid(*self.axes.values(), indexing="ij")
        columns = {name: values.ravel() for name, values in zip(self.axes, grid, strict=True)}
        for measure in self.measured:
            columns[measure] = self.mean(measure).ravel()
            columns[f"{measure}_standard_error"] = self.standard_error(measure).ravel()
        if any(name.rpartition(".")[2] == "deadline_s" for name in self.axes):
            columns["pareto"] = self.front().ravel()
        return columns

    def _of(self, measure: str) -> Array:
        check_choice("measure", measure, self.measured)
        return self.measured[measure]


@dataclass(frozen=True, kw_only=True)
class Breakpoint:
    """A value at which the active set changes.

    Attributes:
        value: Value of the varied parameter.
        client: Index of the client whose status changes.
        before: Its status below the value.
        after: Its status above the value.
    """

    value: float
    client: int
    before: str
    after: str


def what_if(
    problem: Problem, vary: Mapping[str, ArrayLike], method: str | Allocator = "exact"
) -> WhatIf:
    """Solve a problem for every combination of given values, all in one call.

    Args:
        problem: The problem, (K,) or (draws, K).
        vary: Fields that the problem has (of `FIELDS`) with their 1-D values, for all clients.
            `bandwidth_hz` also scales the rates: at the same SNR where the noise power is fixed;
            for a `NoisePsdProblem` at the same power and noise density, so that the SNR falls as
            the band grows.
        method: Name of an allocator, or an allocator.

    Returns:
        The measures at every point and draw.

    Raises:
        InputError: Another field, `bandwidth_hz` of a problem without its own, or values that are
            not a 1-D list of numbers.

    Example:
        >>> from optimizers import AllocationProblem, what_if
        >>> problem = AllocationProblem(
        ...     deadline_s=1.0, fixed_s=0.0, prunable_s=0.5, upload_bits=1e6, rate_bps=[1e6, 2e6]
        ... )
        >>> what_if(problem, {"deadline_s": [0.5, 1.0, 2.0]}).mean("mean_ratio").shape
        (3,)
    """
    if not vary:
        raise InputError("vary must name at least 1 field, got 0")
    values = {name: _axis(name, given) for name, given in vary.items()}
    grid = tuple(numbers.size for numbers in values.values())
    draws = _in_draws(problem)
    # The band comes last: it scales rates and bits that another axis may have replaced.
    order = sorted(enumerate(values.items()), key=lambda item: item[1][0] == "bandwidth_hz")
    for axis, (name, numbers) in order:
        along = numbers.reshape((-1, *(1,) * (len(grid) - axis + 1)))
        draws = replace(draws, **_changes(draws, name, along, problem.bandwidth_hz))
    allocation = solve(draws, method)
    return WhatIf(
        axes=values,
        measured={name: of.reshape(*grid, -1) for name, of in measures(allocation).items()},
    )


def breakpoints(
    at: Callable[[Array], Problem], values: ArrayLike, method: str | Allocator = "exact"
) -> list[Breakpoint]:
    """Find where clients change their status, by bisection between neighbouring values.

    A client that changes twice between two neighbouring values is found once, or not at all if it
    returns to the same status.

    Args:
        at: Function from values (P,) to the problem (P, K).
        values: Values of the parameter, any order.
        method: Name of an allocator, or an allocator.

    Returns:
        The changes, in order of value and client.
    """
    points = np.unique(np.asarray(values, dtype=np.float64))
    status = solve(at(points), method).status
    interval, client = np.nonzero(status[1:] != status[:-1])
    if not interval.size:
        return []
    before, after = status[interval, client], status[interval + 1, client]
    low, high = points[interval], points[interval + 1]
    row = np.arange(interval.size)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        same = solve(at(middle), method).status[row, client] == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    found = [
        Breakpoint(value=float(value), client=int(k), before=str(old), after=str(new))
        for value, k, old, new in zip(high, client, before, after, strict=True)
    ]
    return sorted(found, key=lambda point: (point.value, point.client))


def measures(allocation: Allocation) -> dict[str, Array]:
    """Measure a batch of allocations.

    Args:
        allocation: Allocations, arrays (..., K).

    Returns:
        The measures of `WhatIf`, each of shape (...,).
    """
    status = allocation.status
    found = {
        "mean_ratio": allocation.pruning_ratio.mean(axis=-1),
        "latency_s": allocation.latency_s.max(axis=-1),
        **{name: _count(status == counted) for name, counted in COUNTED.items()},
        "late": _count(allocation.late),
        "bandwidth_price": np.asarray(allocation.bandwidth_price),
        "deadline_price": np.asarray(allocation.deadline_price),
    }
    return {name: found[name] for name in MEASURES}


def _count(clients: NDArray[np.bool_]) -> Array:
    """Number of clients in each allocation of a batch, (...,)."""
    found: Array = clients.sum(axis=-1).astype(np.float64)
    return found


def _axis(name: str, given: ArrayLike) -> Array:
    check_choice("vary", name, FIELDS)
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"vary {name} must be a list of numbers, got {given!r}") from None
    if values.ndim != 1 or values.size == 0:
        raise InputError(f"vary {name} must be a list of values, got shape {values.shape}")
    return values


def _in_draws(problem: Any) -> Any:
    """The problem with one batch axis, its draws, without `bandwidth_hz` where rates are given."""
    changes: dict[str, Any] = {
        name: np.reshape(getattr(problem, name), (-1, problem.shape[-1]))
        for name in client_fields(problem)
    }
    if isinstance(problem, AllocationProblem):
        changes["bandwidth_hz"] = None
    return replace(problem, **changes)


def _changes(problem: Any, name: str, values: Array, old_hz: float | None) -> dict[str, Any]:
    """The fields that change with `name`; rates in proportion to the band."""
    if name not in (field.name for field in fields(problem)):
        raise InputError(
            f"vary {name} needs a problem with this field, got {type(problem).__name__}"
        )
    if name != "bandwidth_hz":
        return {name: values}
    if old_hz is None:
        raise InputError("vary bandwidth_hz needs a problem with its own bandwidth_hz, got None")
    check_number("bandwidth_hz", values.ravel(), above=0)
    wider = values / old_hz
    if isinstance(problem, AllocationProblem):
        return {"rate_bps": np.asarray(problem.rate_bps) * wider}
    # A problem has one band, so fewer bits take the place of more hertz.
    names = ("snr", "upload_bits", "fixed_upload_bits")
    return {changed: np.asarray(getattr(problem, changed)) / wider for changed in names}
