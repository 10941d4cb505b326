"""Optimum of a problem with other weights."""

from dataclasses import replace
from typing import Any, cast

from optimizers.exact import Exact
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Array, Problem


def with_weights(problem: Problem, weight: Array) -> Problem:
    """Replace the weights of a problem.

    Args:
        problem: The problem, arrays (..., K).
        weight: Weights, 0 or at least 1e-65; (..., K).

    Returns:
        The problem with these weights.
    """
    return cast(Problem, replace(cast(Any, problem), weight=weight))


def weighted_optimum(problem: Problem, weight: Array) -> Allocation:
    """Maximise the kept fractions with other weights than the problem's.

    Args:
        problem: The problem, arrays (..., K).
        weight: Weights, 0 or at least 1e-65; (..., K).

    Returns:
        The allocation of `problem`, with the prices of the weighted objective.
    """
    return replace(Exact().solve(with_weights(problem, weight)), problem=problem)
