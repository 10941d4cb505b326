"""The exact optimum of bandwidth and pruning ratios, by clipped water-filling."""

from dataclasses import dataclass
from typing import ClassVar

from optimizers._curve import allocation_of
from optimizers._rate_models import curve_of, optimum
from wirelessfl.allocation import Allocation, Problem


@dataclass(frozen=True, kw_only=True)
class Exact:
    """min sum_k w_k rho_k subject to T_k <= deadline, sum_k b_k <= 1, rho_k <= cap (eq. 34 of [WFL]), to rounding.

    b_k = clip((sqrt(w_k S_k A_k / lambda) - A_k) / T_c,k, b_min,k, b_max,k) with the price lambda at which the bands
    sum to 1, or lambda = 0 and rho = 0 where band is left over; rho_k = max(0, 1 - S_k / (T_c,k + A_k / b_k)).
    Shapes (..., K); batches are solved at once. A client with S_k < 0, or with rate 0, gets no band and rho = 1.
    Where the caps do not fit together the optimum without caps is returned, and `Allocation.status` names the
    clients above theirs.

    **Differs:** [WFL] forgets the importance latency in S_k (erratum W1; here it is part of `fixed_s`) and drops the
    bounds on b (W3), so its eq. (47) returns negative bands.

    With fixed upload bits everybody takes part; `Allocation.reason` says what is missing where that cannot be.
    """

    optimal: ClassVar[bool] = True

    def solve(self, problem: Problem) -> Allocation:
        """The optimal allocation, its prices included."""
        curve = curve_of(problem)
        return allocation_of(curve, problem, *optimum(curve))
