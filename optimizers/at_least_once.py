"""Participation of every client at least once in m rounds."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from optimizers._weighted import with_weights
from optimizers.exact import Exact
from optimizers.select import Select
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.history import History
from wirelessfl.allocation.problem import Problem
from wirelessfl.errors import check_count, check_number


@dataclass(frozen=True, kw_only=True)
class AtLeastOnce:
    """`Exact`, in which the ceil(K / m) clients with the oldest updates must take part.

    A client is then served at least once in any m rounds, provided that the band of each round
    suffices for those that must take part: they keep at least `least_kept`. Where it does not, the
    set with the largest sum of ages is served, a 0/1 knapsack as in `Select`, and a client that has
    not delivered for m - 1 rounds must take part until it does. Without a history it is `Exact`.

    Attributes:
        window: Number m of rounds in which every client takes part at least once; at least 1.
        least_kept: Smallest kept fraction of a client that must take part; above 0, at most 1.
    """

    memory: ClassVar[bool] = True
    window: int = 5
    least_kept: float = 0.1

    def __post_init__(self) -> None:
        check_count("window", self.window)
        check_number("least_kept", self.least_kept, above=0, at_most=1)

    def solve(self, problem: Problem, history: History | None = None) -> Allocation:
        """Maximise the weighted kept fractions with the clients that are due.

        Args:
            problem: The problem, arrays (K,), or (..., K) without a history.
            history: Course of the run; None: no round yet.

        Returns:
            The allocation with its prices.
        """
        if history is None:
            return Exact().solve(problem)
        age = history.age
        oldest = np.argsort(-age, kind="stable")[: math.ceil(age.size / self.window)]
        due = age >= self.window - 1
        due[oldest] = True
        cap = np.asarray(problem.max_pruning_ratio)
        limited = np.where(due, np.minimum(cap, 1.0 - self.least_kept), 1.0)
        obliged = _with_cap(with_weights(problem, np.where(due, age + 1.0, 0.0)), limited)
        served = due & (Select(objective="weight").solve(obliged).pruning_ratio < 1.0)
        final = _with_cap(problem, np.where(served, limited, np.where(due, 1.0, cap)))
        return replace(Exact().solve(final), problem=problem)


def _with_cap(problem: Problem, cap: Any) -> Problem:
    return cast(Problem, replace(cast(Any, problem), max_pruning_ratio=cap))
