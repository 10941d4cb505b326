"""Allocation of a round from the answer to its joint problem."""

import numpy as np
from numpy.typing import NDArray

from optimizers._joint.curve import JointCurve
from optimizers._joint.problem import JointAllocation, JointProblem
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem
from wirelessfl.errors import InputError, check_number
from wirelessfl.values import PerClient


def checked_budget(energy_budget_j: PerClient) -> None:
    """Refuse energy budgets that are not above 0.

    Args:
        energy_budget_j: Joules per round, one number or one per client; inf is no budget.

    Raises:
        InputError: A budget is 0 or less, or NaN.
    """
    finite = [float(j) for j in np.ravel(energy_budget_j) if j != np.inf]
    if finite:
        check_number("energy_budget_j", tuple(finite), above=0)


def joint_problem(problem: Problem, energy_budget_j: PerClient) -> JointProblem | None:
    """Joint problem of a round under energy budgets.

    Args:
        problem: The problem, arrays (..., K).
        energy_budget_j: Joules per round, one number or one per client; inf is no budget.

    Returns:
        The joint problem; None for a problem without `costs` and budget.

    Raises:
        InputError: Not one budget per client, or the problem is not one of `JointProblem`.
    """
    budget_j = np.asarray(energy_budget_j, dtype=np.float64)
    clients = problem.shape[-1]
    if budget_j.shape not in ((), (clients,)):
        raise InputError(
            f"energy_budget_j must be 1 number or {clients}, one per client, got {budget_j.size}"
        )
    if problem.costs is None and np.all(budget_j == np.inf):
        return None
    return JointProblem.of_problem(problem, energy_budget_j=budget_j)


def as_allocation(
    problem: Problem,
    best: JointAllocation,
    cheapest: JointAllocation | None = None,
    spare: NDArray[np.bool_] | None = None,
) -> Allocation:
    """Allocation of a round, with the prices of the kept weight.

    Args:
        problem: The problem of the round, arrays (..., K).
        best: Answer to its joint problem.
        cheapest: Answer with the least energy at the same ratios.
        spare: Problems of the batch in which its bands are taken; (...,).

    Returns:
        The allocation; clients whose fixed work alone exceeds their budget are `left_out`.
    """
    band, upload_s = best.bandwidth_fraction, best.upload_s
    if cheapest is not None and spare is not None:
        band = np.where(spare[..., None], cheapest.bandwidth_fraction, band)
        upload_s = np.where(spare[..., None], cheapest.upload_s, upload_s)
    kept = best.objective == "kept"
    free = np.zeros(problem.shape[:-1])
    return Allocation(
        problem=problem,
        bandwidth_fraction=band,
        pruning_ratio=best.pruning_ratio,
        bandwidth_price=np.asarray(best.bandwidth_price) if kept else free,
        deadline_price=np.asarray(best.deadline_price) if kept else free,
        left_out=JointCurve(best.problem).excluded & (problem.slack_s >= 0) if kept else None,
        exact_kept=best.exact_kept,
        cpu_hz=best.problem.cpu_hz(best.kept_fraction, upload_s),
    )
