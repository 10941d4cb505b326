"""The independent reference: the same problem given to a conic solver."""

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from optimizers._reduced import Reduced, reduce
from wirelessfl.allocation import Allocation, AllocationProblem, Array

_OPTIMAL = ("optimal", "optimal_inaccurate")


@dataclass(frozen=True, kw_only=True)
class Cvxpy:
    """The optimum of eq. (34) of [WFL] by CVXPY and its solver `solver`, to that solver's tolerance (about 1e-8).

    In kept fractions x the problem is a second-order cone programme: the smallest band that keeps x is
    b(x) = (A/S) (x + (T_c/S) x^2 / (1 - T_c x / S)), so

        max sum w x   subject to   sum (A/S) (x + (T_c/S) v) <= 1,   v y >= x^2,   y + T_c x / S <= 1,
                                   1 - cap <= x <= 1.

    Prices are the multipliers. Shapes (..., K); a batch is solved problem by problem, a few milliseconds each.
    Raises `InputError` for nonzero `fixed_upload_bits`, `RuntimeError` with the solver's status where it gives up.
    """

    optimal: ClassVar[bool] = True
    solver: str = "CLARABEL"

    def solve(self, problem: AllocationProblem) -> Allocation:
        """The optimal allocation, its prices included."""
        reduced = reduce(problem, "cvxpy")
        band, price = np.array(reduced.floor), np.zeros(problem.shape[:-1])
        deadline_price = np.zeros(problem.shape[:-1])
        for index in np.ndindex(problem.shape[:-1]):
            row = Reduced(**{field.name: getattr(reduced, field.name)[index] for field in fields(reduced)})
            band[index], price[index], deadline_price[index] = self._solve_one(row)
        return replace(reduced.allocation(problem, band, price), deadline_price=deadline_price)

    def _solve_one(self, row: Reduced) -> tuple[Array, float, float]:
        """Bands (K,), the band's price and the deadline's price of one problem."""
        takes = row.uses_band | (row.floor > 0)
        band = np.zeros_like(row.floor)
        deadline_price = _price_without_band(row)
        if not takes.any():
            return band, 0.0, deadline_price
        slack_s, upload_s, prunable_s = row.slack_s[takes], row.upload_s[takes], row.prunable_s[takes]
        load, pace = upload_s / slack_s, prunable_s / slack_s
        kept, excess, price, pace_price = self._solve_cone(load, pace, row.weight[takes], 1.0 - row.cap[takes])
        # A client never gets more band than lets it keep everything, nor all clients more than there is.
        exact = load * kept / np.maximum(1.0 - pace * kept, 1e-300)
        band[takes] = np.clip(exact, row.floor[takes], row.top[takes])
        band = band / max(band.sum(), 1.0)
        per_client = pace_price * pace * kept + price * load * (kept + 2.0 * pace * excess)
        return band, price, deadline_price + float((per_client / slack_s).sum())

    def _solve_cone(self, load: Array, pace: Array, weight: Array, least: Array) -> tuple[Array, Array, float, Array]:
        """Kept fractions, v, the multiplier of the band and those of y <= 1 - pace x."""
        import cvxpy as cp  # slow to import, and listing the plug-ins must not wait for it

        kept, excess, room = cp.Variable(load.size), cp.Variable(load.size), cp.Variable(load.size)
        whole_band = load @ kept + (load * pace) @ excess <= 1
        in_time = room + cp.multiply(pace, kept) <= 1
        cone = cp.SOC(excess + room, cp.vstack([2 * kept, excess - room]), axis=0)
        problem = cp.Problem(cp.Maximize(weight @ kept), [whole_band, in_time, cone, kept >= least, kept <= 1])
        problem.solve(solver=self.solver, canon_backend=cp.SCIPY_CANON_BACKEND)
        if problem.status not in _OPTIMAL:
            raise RuntimeError(f"solver {self.solver} gave up on the allocation problem: {problem.status}")
        values: list[Any] = [kept.value, excess.value, whole_band.dual_value, in_time.dual_value]
        return np.clip(values[0], 0.0, 1.0), values[1], max(float(values[2]), 0.0), values[3]


def _price_without_band(row: Reduced) -> float:
    """d(sum w x) / d(deadline) of clients that upload nothing: x = S / T_c, as far as they prune at all."""
    alone = (row.upload_s == 0) & ~row.late & (row.slack_s < row.prunable_s)
    return float((row.weight[alone] / row.prunable_s[alone]).sum())
