"""The points of a grid: a combination of values, and one experiment per seed."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wirelessfl.border.budget import check_budget
from wirelessfl.config.axis import Axis
from wirelessfl.config.scenario_file import Tables, from_tables
from wirelessfl.errors import InputError, check_count
from wirelessfl.experiment import Experiment


@dataclass(frozen=True)
class Point:
    """One combination of values.

    Attributes:
        values: `section.field` -> value.
        experiments: One experiment per seed.
    """

    values: Mapping[str, Any]
    experiments: tuple[Experiment, ...]

    @property
    def label(self) -> str:
        """The values as text, `deadline_s=0.025, method=exact`."""
        return ", ".join(
            f"{name.rpartition('.')[2]}={_text(value)}" for name, value in self.values.items()
        )


def grid(
    tables: Tables, axes: Sequence[Axis], *, seeds: int = 1, zipped: bool = False
) -> list[Point]:
    """All points of a grid.

    Args:
        tables: The scenario.
        axes: The varied fields.
        seeds: Number of seeds per point, counted from the scenario's `run.seed`.
        zipped: Whether to combine the first values, the second values and so on, instead of all
            combinations.

    Returns:
        The points, the last axis varying fastest.

    Raises:
        InputError: A value is invalid, a field is varied twice, zipped axes differ in length, or
            the grid has more runs than the budget.
    """
    check_count("--seeds", seeds)
    names = [axis.name for axis in axes]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{twice[0]} is varied twice")
    if "run.seed" in names:
        raise InputError("run.seed must not be varied: --seeds does that")
    lengths = [len(axis.values) for axis in axes]
    if zipped and len(set(lengths)) > 1:
        raise InputError(f"--zip needs axes of equal length, got {', '.join(map(str, lengths))}")
    runs = seeds * (max(lengths, default=1) if zipped else math.prod(lengths))
    size = " x ".join(map(str, lengths))
    check_budget(f"the grid of {size} points with --seeds {seeds}", "runs", runs)
    values = [axis.values for axis in axes]
    combined: Iterable[tuple[Any, ...]] = (
        zip(*values, strict=True) if zipped else itertools.product(*values)
    )
    return [_point(tables, axes, combination, seeds) for combination in combined]


def _point(tables: Tables, axes: Sequence[Axis], combination: tuple[Any, ...], seeds: int) -> Point:
    for axis, value in zip(axes, combination, strict=True):
        tables = axis.applied(tables, value)
    first = from_tables(tables)
    experiments = tuple(
        replace(first, run=replace(first.run, seed=first.run.seed + seed)) for seed in range(seeds)
    )
    named = {axis.name: value for axis, value in zip(axes, combination, strict=True)}
    return Point(named, experiments)


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
