"""Bandwidth, pruning ratios and CPU frequencies under energy budgets of a round."""

from dataclasses import dataclass

import numpy as np

from optimizers._analysis.certificate import certify
from optimizers._analysis.residuals import Certificate
from optimizers._joint.answer import as_allocation, checked_budget, joint_problem
from optimizers._joint.energy import minimise_energy
from optimizers._joint.solve import solve_joint
from optimizers.exact import Exact
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem
from wirelessfl.values import PerClient


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Most kept weight over bands, ratios and CPU frequencies, each client within its budget.

    Every client spends at most E_k joules in a round on computation and transmission,

        kappa c f^2 + p tau <= E_k,    c = c0 + (1 - rho) c1 cycles,

    at a frequency f between `scenario.min_cpu_hz` and `scenario.cpu_hz`, which the cell obeys. The
    optimum is exact (`solve_joint`). Where band is left over it is divided so that the clients
    need the least energy at the same ratios (`minimise_energy`). A client whose fixed work exceeds
    its budget is `left out`. Without a budget the ratios are those of `Exact`.

    Attributes:
        energy_budget_j: Energy per round and client in J; above 0; inf is no budget.
    """

    energy_budget_j: PerClient = float("inf")

    def __post_init__(self) -> None:
        checked_budget(self.energy_budget_j)

    def solve(self, problem: Problem) -> Allocation:
        """Maximise the kept weight.

        Args:
            problem: The problem with its `costs`, arrays (..., K); without a budget any problem.

        Returns:
            The allocation with its CPU frequencies and prices.

        Raises:
            InputError: Not one budget per client, or a budget for a problem without `costs`, with
                fixed upload bits, or with noise of a given density.
        """
        joint = joint_problem(problem, self.energy_budget_j)
        if joint is None:
            return Exact().solve(problem)
        best = solve_joint(joint)
        cheapest = minimise_energy(joint, best.pruning_ratio)
        spare = (best.bandwidth_price == 0.0) & (cheapest.duality_gap < np.inf)
        return as_allocation(problem, best, cheapest, spare)

    def certificate(self, problem: Problem) -> Certificate:
        """Certify that no bands, ratios and frequencies within the budgets keep more.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            Residuals and gap of the optimum of `solve`.
        """
        joint = joint_problem(problem, self.energy_budget_j)
        if joint is None:
            return certify(problem, Exact().solve(problem))
        return certify(joint, solve_joint(joint))
