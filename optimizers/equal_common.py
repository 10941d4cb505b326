"""Equal resource pruning with one ratio for all clients."""

from dataclasses import dataclass, replace

import numpy as np

from optimizers.equal import Equal
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem


@dataclass(frozen=True, kw_only=True)
class EqualCommon:
    """Equal bands and one common ratio: the mean of the individual ratios of `Equal`.

    This reading of "Equal Resource Pruning" reproduces [WFL] Table I: clients that would need more
    than the mean ratio finish after the deadline. A client with S_k < 0 gets no band and rho = 1,
    and is excluded from the mean. Prices are 0.
    """

    def solve(self, problem: Problem) -> Allocation:
        """Divide the band equally and prune all clients alike.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation, prices 0; latencies may exceed the deadline.
        """
        own = Equal().solve(problem)
        late = problem.slack_s < 0
        sharing = np.maximum((~late).sum(axis=-1, keepdims=True), 1)
        mean = np.where(late, 0.0, own.pruning_ratio).sum(axis=-1, keepdims=True) / sharing
        return replace(own, pruning_ratio=np.where(late, 1.0, mean))
