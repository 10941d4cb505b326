"""The exact optimum of bandwidth and pruning ratios, by clipped water-filling."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike

from optimizers._waterfilling.curve import allocation_of
from optimizers._waterfilling.rate_models import curve_of, optimum
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.compiled import Compiled, numba_is_there
from wirelessfl.allocation.problem import AllocationProblem, Array, Problem
from wirelessfl.allocation.ranges import TABLE_WITHIN
from wirelessfl.errors import InputError

_FILL_FEW = Compiled("optimizers._waterfilling.few", "fill_few", TABLE_WITHIN)
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
        compiled: Whether problems with fixed SNR are solved by compiled code (numba). None: large
            ones without caps and fixed bits, and after 2,000 calls single ones of at most 4,095
            clients, whose answer is the same to the bit. True: all without caps and fixed bits.
    """

    optimal: ClassVar[bool] = True
    compiled: bool | None = None

    def __post_init__(self) -> None:
        if self.compiled and not _numba_is_there():
            raise InputError(
                "compiled must be False or None without numba (pip install numba), got True"
            )

    def solve(self, problem: Problem) -> Allocation:
        """Solve the problem exactly.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The optimal allocation with its prices.
        """
        if self.compiled is False or type(problem) is not AllocationProblem:
            return _with_arrays(problem)
        table = problem.few
        if self._uses_loop(problem, table):
            from optimizers._waterfilling.compiled import allocate

            TABLE_WITHIN.load()  # for the construction of the next problem
            return allocate(problem, _with_arrays)
        if table is not None and (fill_few := _FILL_FEW.worthwhile()) is not None:
            found = _few(problem, table, fill_few)
            if found is not None:
                return found
        return _with_arrays(problem)

    def _uses_loop(self, problem: AllocationProblem, table: Array | None) -> bool:
        if self.compiled:
            return _is_plain(problem)
        large = table is None and math.prod(problem.shape) >= _MANY
        return large and _numba_is_there() and _is_plain(problem)


def _few(
    problem: AllocationProblem, table: Array, fill_few: Callable[..., Any]
) -> Allocation | None:
    """Answer of the compiled code to one problem of few clients, None where it leaves it open."""
    found = np.empty((3, table.shape[1]))
    done, price, deadline_price = fill_few(table, found)
    if not done:
        return None
    return Allocation(
        problem=problem,
        bandwidth_fraction=found[0],
        pruning_ratio=found[1],
        bandwidth_price=cast(Array, np.float64(price)),
        deadline_price=cast(Array, np.float64(deadline_price)),
        exact_kept=found[2],
    )


def _with_arrays(problem: Problem) -> Allocation:
    curve = curve_of(problem)
    return allocation_of(curve, problem, *optimum(curve))


def _is_plain(problem: AllocationProblem) -> bool:
    return _is_all(problem.max_pruning_ratio, 1.0) and _is_all(problem.fixed_upload_bits, 0.0)


def _is_all(values: ArrayLike, value: float) -> bool:
    array = np.asarray(values)
    if not any(array.strides):  # one number for all clients
        return bool(array.flat[0] == value)
    return bool((array == value).all())


def _numba_is_there() -> bool:
    return numba_is_there()
