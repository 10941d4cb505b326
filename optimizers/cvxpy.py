"""The independent reference: the same problem given to a conic solver."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from optimizers._curve import allocation_of
from optimizers._reduced import Reduced, reduce
from wirelessfl.allocation import Allocation, AllocationProblem, Array
from wirelessfl.errors import check_number

_LEAST_ROOM = 1e-12  # of the band, beside the fixed bits: what is left is the unit of the programme, never 0
_OPTIMAL = ("optimal", "optimal_inaccurate")


@dataclass(frozen=True, kw_only=True)
class Cvxpy:
    """The optimum of eq. (34) of [WFL] by CVXPY and Clarabel, whose relative tolerance is `tolerance`.

    In kept fractions x the problem is a second-order cone programme: the smallest band that keeps x is
    b(x) = (A x + A0) / (S - T_c x) = A0/S + G (x + (T_c/S) x^2 / (1 - T_c x / S)) with G = A/S + T_c A0 / S^2, so

        max sum w x   subject to   sum G (x + (T_c/S) v) <= 1 - sum A0/S,   v y >= x^2,   y + T_c x / S <= 1,
                                   1 - cap <= x <= 1.

    Prices are the multipliers. Shapes (..., K); a batch is solved problem by problem, a few milliseconds each.
    Raises `RuntimeError` with the solver's status where it gives up.
    """

    optimal: ClassVar[bool] = True
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        check_number("tolerance", self.tolerance, above=0, at_most=1)

    def solve(self, problem: AllocationProblem) -> Allocation:
        """The optimal allocation, its prices included."""
        reduced = reduce(problem)
        band, price = np.array(reduced.floor), np.zeros(problem.shape[:-1])
        deadline_price = np.zeros(problem.shape[:-1])
        for index in np.ndindex(problem.shape[:-1]):
            row = Reduced(**{field.name: getattr(reduced, field.name)[index] for field in fields(reduced)})
            band[index], price[index], deadline_price[index] = self._solve_one(row)
        return replace(allocation_of(reduced, problem, band, price), deadline_price=deadline_price)

    def _solve_one(self, row: Reduced) -> tuple[Array, float, float]:
        """Bands (K,), the band's price and the deadline's price of one problem."""
        takes = row.uses_band | (row.floor > 0)
        band = np.zeros_like(row.floor)
        deadline_price = _price_without_band(row)
        if not takes.any():
            return band, 0.0, deadline_price
        slack_s, upload_s, prunable_s = row.slack_s[takes], row.upload_s[takes], row.prunable_s[takes]
        load, pace, entry = upload_s / slack_s, prunable_s / slack_s, row.fixed_upload_s[takes] / slack_s
        growth = load + pace * entry
        room = max(1.0 - float(entry.sum()), _LEAST_ROOM)
        kept, excess, price, pace_price = self._solve_cone(growth / room, pace, row.weight[takes], 1.0 - row.cap[takes])
        price = price / room
        band[takes] = np.clip(entry + growth * (kept + pace * excess), row.floor[takes], row.top[takes])
        band = band / max(band.sum(), 1.0)
        freed = entry + (load + 2.0 * pace * entry) * kept + pace * (2.0 * load + 3.0 * pace * entry) * excess
        per_client = pace_price * pace * kept + price * freed
        return band, price, deadline_price + float((per_client / slack_s).sum())

    def _solve_cone(self, load: Array, pace: Array, weight: Array, least: Array) -> tuple[Array, Array, float, Array]:
        """Kept fractions, v, the multiplier of the band and those of y <= 1 - pace x."""
        import cvxpy as cp  # slow to import, and listing the plug-ins must not wait for it

        kept, excess, room = cp.Variable(load.size), cp.Variable(load.size), cp.Variable(load.size)
        # Units that bring the variables near 1, or the solver's tolerance means little: for x its value at the whole
        # band; for y, which lies between its own value there and 1, the geometric middle; v follows from v y = x^2.
        unit = 1.0 / np.maximum(pace + load, 1.0)
        room_unit = np.sqrt(np.maximum(1.0 - pace * unit, load * unit))
        excess_unit = unit**2 / room_unit
        whole_band = (load * unit) @ kept + (load * pace * excess_unit) @ excess <= 1
        in_time = cp.multiply(room_unit, room) + cp.multiply(pace * unit, kept) <= 1
        cone = cp.SOC(excess + room, cp.vstack([2 * kept, excess - room]), axis=0)
        scale = weight.max() or 1.0
        scaled = weight * unit / scale
        limits = [whole_band, in_time, cone, kept >= least / unit, kept <= 1 / unit]
        problem = cp.Problem(cp.Maximize(scaled @ kept), limits)
        settings = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), self.tolerance)
        problem.solve(solver=cp.CLARABEL, canon_backend=cp.SCIPY_CANON_BACKEND, **settings)
        if problem.status not in _OPTIMAL:
            raise RuntimeError(f"Clarabel gave up on the allocation problem: {problem.status}")
        found = (kept.value, excess.value, whole_band.dual_value, in_time.dual_value)
        x, v, price, pace_price = (np.asarray(value) for value in found)
        return np.clip(unit * x, 0.0, 1.0), excess_unit * v, scale * max(float(price), 0.0), scale * pace_price


def _price_without_band(row: Reduced) -> float:
    """d(sum w x) / d(deadline) of clients that upload nothing: x = S / T_c, as far as they prune at all."""
    alone = (row.upload_s == 0) & ~row.excluded & (row.slack_s < row.prunable_s)
    return float((row.weight[alone] / row.prunable_s[alone]).sum())
