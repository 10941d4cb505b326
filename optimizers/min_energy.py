"""Bands and CPU frequencies that minimise the energy of a round, at given pruning ratios."""

from dataclasses import dataclass

from optimizers._joint.answer import as_allocation, checked_budget, joint_problem
from optimizers._joint.energy import minimise_energy
from optimizers._ratios import given_ratios
from optimizers.min_latency import MinLatency
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem
from wirelessfl.errors import check_number
from wirelessfl.values import PerClient


@dataclass(frozen=True, kw_only=True)
class MinEnergy:
    """min over b and f of sum_k e_k at given ratios, every client within deadline and budget.

    The energy e = kappa c f^2 + p tau counts computation and transmission; a frequency f lies
    between `scenario.min_cpu_hz` and `scenario.cpu_hz`, and the cell obeys it. The optimum is exact
    (`minimise_energy`). Where not all clients can meet the deadline, bands are shared in
    proportion to the need of each, and `status` names the late clients. Prices are 0. Without
    `costs` of the problem it is `MinLatency`.

    Attributes:
        pruning_ratio: rho within [0, 1], one number or one per client.
        energy_budget_j: Energy per round and client in J; above 0; inf is no budget.
    """

    pruning_ratio: PerClient = 0.0
    energy_budget_j: PerClient = float("inf")

    def __post_init__(self) -> None:
        check_number("pruning_ratio", self.pruning_ratio, at_least=0, at_most=1)
        checked_budget(self.energy_budget_j)

    def solve(self, problem: Problem) -> Allocation:
        """Minimise the energy of all clients.

        Args:
            problem: The problem with its `costs`, arrays (..., K).

        Returns:
            The allocation with its CPU frequencies, prices 0.

        Raises:
            InputError: Neither 1 nor K ratios or budgets, a budget for a problem without `costs`,
                fixed upload bits, or noise of a given density.
        """
        joint = joint_problem(problem, self.energy_budget_j)
        ratio = given_ratios(self.pruning_ratio, problem.shape)
        if joint is None:
            return MinLatency(pruning_ratio=self.pruning_ratio).solve(problem)
        return as_allocation(problem, minimise_energy(joint, ratio))
