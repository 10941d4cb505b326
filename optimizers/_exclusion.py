"""Exclusion of clients from an allocation problem."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.problem import Problem


def without_clients(problem: Problem, excluded: NDArray[np.bool_]) -> Problem:
    """The problem in which the clients `excluded`, shape (..., K), take no part.

    Their fixed work is made to miss the deadline, which is how every solver recognises clients
    that it must leave without band.
    """
    if not np.any(excluded):
        return problem
    fixed_s = np.where(excluded, 2.0 * np.asarray(problem.deadline_s), problem.fixed_s)
    return cast(Problem, replace(cast(Any, problem), fixed_s=fixed_s))
