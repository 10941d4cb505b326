"""The exact optimum of bandwidth and pruning ratios, by clipped water-filling."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from optimizers._waterfilling.curve import allocation_of
from optimizers._waterfilling.rate_models import curve_of, optimum
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import AllocationProblem, Problem
from wirelessfl.errors import InputError

_MANY = 4096  # clients times problems from which loading the compiled loop pays


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Optimum of [WFL] eq. (34), to rounding.

    min sum_k w_k rho_k subject to T_k <= deadline, sum_k b_k <= 1, rho_k <= cap, solved by

        b_k = clip((sqrt(w_k S_k A_k / lambda) - A_k) / T_c,k, b_min,k, b_max,k),
        rho_k = max(0, 1 - S_k / (T_c,k + A_k / b_k)),

    with the price lambda at which the bands sum to 1, or lambda = 0 and rho = 0 where band is left
    over. Batches are solved at once. A client with S_k < 0, or with rate 0, gets no band and rho =
    1. Where the caps cannot all be kept, the optimum without caps is returned, and
    `Allocation.status` names the clients above theirs. With fixed upload bits all clients take
    part; `Allocation.reason` says what is missing where that is impossible.

    **Differs:** [WFL] omits the importance latency in S_k ([WFL] erratum W1; here it is part of
    `fixed_s`) and drops the bounds on b ([WFL] erratum W3), so [WFL] eq. (47) returns negative
    bands.

    Attributes:
        compiled: Whether problems with fixed SNR and without caps and fixed bits are solved by a
            compiled loop; None: large ones where numba is installed. True needs numba.
    """

    optimal: ClassVar[bool] = True
    compiled: bool | None = None

    def __post_init__(self) -> None:
        if self.compiled and not _numba_is_there():
            raise InputError(
                "compiled must be False or None without numba "
                "(pip install wirelessfl[fast]), got True"
            )

    def solve(self, problem: Problem) -> Allocation:
        """Solve the problem exactly.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The optimal allocation with its prices.
        """
        if (
            isinstance(problem, AllocationProblem)
            and self._compiles(problem)
            and _is_plain(problem)
        ):
            from optimizers._waterfilling.compiled import allocate

            return allocate(problem, _with_arrays)
        return _with_arrays(problem)

    def _compiles(self, problem: AllocationProblem) -> bool:
        if self.compiled is None:
            return np.size(problem.fixed_s) >= _MANY and _numba_is_there()
        return self.compiled


def _with_arrays(problem: Problem) -> Allocation:
    curve = curve_of(problem)
    return allocation_of(curve, problem, *optimum(curve))


def _is_plain(problem: AllocationProblem) -> bool:
    return bool(
        np.all(np.equal(problem.max_pruning_ratio, 1.0)) and not np.any(problem.fixed_upload_bits)
    )


@cache
def _numba_is_there() -> bool:
    return find_spec("numba") is not None
