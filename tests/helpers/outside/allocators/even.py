"""An external allocator: equal bands, and for every client the ratio that meets its deadline."""

from dataclasses import dataclass

import numpy as np

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import AllocationProblem
from wirelessfl.errors import check_number


@dataclass(frozen=True, kw_only=True)
class Even:
    """A fraction `share` of the band, split evenly.

    The ratio ends the round exactly at the deadline; it is 1 where no ratio does.
    """

    share: float = 1.0

    def __post_init__(self) -> None:
        check_number("allocation.share", self.share, above=0, at_most=1)

    def solve(self, problem: AllocationProblem) -> Allocation:
        band = np.full(problem.shape, self.share / problem.shape[-1])
        full_s = problem.prunable_s + problem.upload_s / band
        ratio = np.clip(1.0 - problem.slack_s / full_s, 0.0, 1.0)
        price = np.zeros(problem.shape[:-1])
        return Allocation(
            problem=problem,
            bandwidth_fraction=band,
            pruning_ratio=ratio,
            bandwidth_price=price,
            deadline_price=price,
        )
