"""A given pruning ratio on equal bands, without regard to the deadline."""

from dataclasses import dataclass

import numpy as np

from optimizers._ratios import given_ratios
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem
from wirelessfl.errors import check_number
from wirelessfl.values import PerClient


@dataclass(frozen=True, kw_only=True)
class FixedRatio:
    """Equal bands b_k = 1/K and given ratios; the deadline and the caps are ignored. Prices are 0.

    Attributes:
        pruning_ratio: rho within [0, 1], one number or one per client.
    """

    pruning_ratio: PerClient = 0.0

    def __post_init__(self) -> None:
        check_number("pruning_ratio", self.pruning_ratio, at_least=0, at_most=1)

    def solve(self, problem: Problem) -> Allocation:
        """Divide the band equally.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation, prices 0; latencies may exceed the deadline.

        Raises:
            InputError: Neither 1 nor K ratios.
        """
        clients = problem.shape[-1]
        free = np.zeros(problem.shape[:-1])
        return Allocation(
            problem=problem,
            bandwidth_fraction=np.full(problem.shape, 1.0 / clients),
            pruning_ratio=given_ratios(self.pruning_ratio, problem.shape),
            bandwidth_price=free,
            deadline_price=free,
        )
