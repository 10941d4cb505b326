"""Exclusion of clients from an allocation problem."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.problem import Problem


def without_clients(problem: Problem, excluded: NDArray[np.bool_]) -> Problem:
    """Exclude clients from a problem.

    Their fixed work is made to miss the deadline, which is how every solver recognises clients that
    take no part.

    Args:
        problem: The problem, arrays (..., K).
        excluded: Clients to exclude, (..., K).

    Returns:
        The problem in which they get no band and a pruning ratio of 1.
    """
    if not np.any(excluded):
        return problem
    fixed_s = np.where(excluded, 2.0 * np.asarray(problem.deadline_s), problem.fixed_s)
    return cast(Problem, replace(cast(Any, problem), fixed_s=fixed_s))
