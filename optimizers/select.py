"""Client selection where not all clients fit into the band: most clients, or largest weight."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optimizers._exclusion import without_clients
from optimizers._knapsack import knapsack
from optimizers._waterfilling.curve import ROUNDING
from optimizers.exact import Exact
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.errors import check_choice

_FULL = 1.0 + ROUNDING


@dataclass(frozen=True, kw_only=True)
class Select:
    """A largest set of clients that can take part together, then `Exact` among them.

    A client takes part with the band b_min,k that its fixed bits and its cap rho_k <= rho_max,k
    need before the deadline, so a set is possible when sum b_min,k <= 1. The set is chosen by

    - `clients`: the number of clients. Taking them in order of b_min is optimal: any m clients need
      at least as much band as the m with the smallest needs.
    - `weight`: the sum of their weights, a 0/1 knapsack solved problem by problem
      (`optimizers._knapsack`).

    All other clients have b = 0, rho = 1 and the status `left out`, late clients are `infeasible`,
    and `Allocation.reason` says what was missing for each. The set is chosen first: among sets of
    the same size it is not always the one with the smallest weighted ratios.

    Attributes:
        objective: `clients` or `weight`.
    """

    objective: Literal["clients", "weight"] = "clients"

    def __post_init__(self) -> None:
        check_choice("objective", self.objective, ("clients", "weight"))

    def solve(self, problem: Problem) -> Allocation:
        """Select clients and solve for them.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation, optimal among the selected clients, with the prices of their problem.
        """
        late = problem.slack_s < 0
        needed = np.where(late, np.inf, np.maximum(problem.min_bandwidth, problem.entry_bandwidth))
        chosen = _cheapest(needed)
        if self.objective == "weight":
            chosen = chosen.copy()
            for index in np.ndindex(problem.shape[:-1]):
                chosen[index] = _heaviest(needed[index], np.asarray(problem.weight)[index])
        allocation = Exact().solve(without_clients(problem, ~chosen))
        return replace(allocation, problem=problem, left_out=~chosen & ~late)


def _cheapest(needed: Array) -> NDArray[np.bool_]:
    """The clients with the smallest needs, as many as fit; (..., K)."""
    order = np.argsort(needed, axis=-1, kind="stable")
    fits = np.cumsum(np.take_along_axis(needed, order, axis=-1), axis=-1) <= _FULL
    chosen = np.zeros(needed.shape, dtype=np.bool_)
    np.put_along_axis(chosen, order, fits, axis=-1)
    return chosen


def _heaviest(needed: Array, weight: Array) -> NDArray[np.bool_]:
    """The set of largest weight that fits, completed with weightless clients; (K,)."""
    alone_fits = needed <= _FULL
    if needed[alone_fits].sum() <= _FULL:
        return alone_fits
    chosen = needed == 0.0
    contested = np.flatnonzero(alone_fits & ~chosen & (weight > 0))
    chosen[contested[knapsack(needed[contested], weight[contested], _FULL)]] = True
    for client in np.argsort(needed, kind="stable"):
        chosen[client] |= needed[chosen].sum() + needed[client] <= _FULL
    return np.asarray(chosen)
