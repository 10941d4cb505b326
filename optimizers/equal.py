"""Equal resource pruning: equal bands, and each client prunes as much as its deadline requires."""

from dataclasses import dataclass

import numpy as np

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem, ratio


@dataclass(frozen=True, kw_only=True)
class Equal:
    """Equal bands with individual pruning ratios, the individual-ratio reading of [WFL].

        b_k = 1/K,    rho_k = clip(1 - (S_k - A0_k / b_k) / (T_c,k + A_k / b_k), 0, 1)

    with A0_k the upload time of the fixed bits over the whole band; with a noise spectral density
    the speed v(1/K) of an equal share takes the place of b_k. A client with S_k < 0 gets no band
    and rho = 1. A cap on the ratio gives way to the deadline: `Allocation.status` names the clients
    above it. Prices are 0.
    """

    def solve(self, problem: Problem) -> Allocation:
        """Divide the band equally.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation, prices 0.
        """
        slack_s = problem.slack_s
        clients = problem.shape[-1]
        late = slack_s < 0
        speed = problem.speed(np.full(problem.shape, 1.0 / clients))
        room_s = np.maximum(slack_s - ratio(problem.fixed_upload_s, speed), 0.0)
        work_s = np.asarray(problem.prunable_s) + ratio(problem.upload_s, speed)
        fits = (work_s <= room_s) & ~late
        kept = np.where(fits, 1.0, room_s / np.where(work_s > 0, work_s, 1.0))
        free = np.zeros(problem.shape[:-1])
        return Allocation(
            problem=problem,
            bandwidth_fraction=np.where(late, 0.0, 1.0 / clients),
            pruning_ratio=np.where(late, 1.0, 1.0 - kept),
            bandwidth_price=free,
            deadline_price=free,
        )
