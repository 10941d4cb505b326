"""A given pruning ratio on equal bands, whatever the deadline."""

from dataclasses import dataclass

import numpy as np

from optimizers._ratios import given_ratios
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem
from wirelessfl.errors import check_number
from wirelessfl.values import PerClient


@dataclass(frozen=True, kw_only=True)
class FixedRatio:
    """b_k = 1/K and rho_k = `pruning_ratio`, one number or one per client; the deadline and the
    caps are ignored.

    Shapes (..., K); prices are 0. Raises `InputError` for a ratio outside [0, 1] or a wrong number
    of ratios.
    """

    pruning_ratio: PerClient = 0.0

    def __post_init__(self) -> None:
        check_number("pruning_ratio", self.pruning_ratio, at_least=0, at_most=1)

    def solve(self, problem: Problem) -> Allocation:
        """The allocation; latencies beyond the deadline are the answer's claim, not an error."""
        clients = problem.shape[-1]
        free = np.zeros(problem.shape[:-1])
        return Allocation(
            problem=problem,
            bandwidth_fraction=np.full(problem.shape, 1.0 / clients),
            pruning_ratio=given_ratios(self.pruning_ratio, problem.shape),
            bandwidth_price=free,
            deadline_price=free,
        )
