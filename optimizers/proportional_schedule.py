"""Proportional fairness over rounds: the sum of the logarithms of the mean kept fractions."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optimizers._weighted import weighted_optimum
from optimizers.exact import Exact
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.history import History
from wirelessfl.allocation.problem import Problem


@dataclass(frozen=True, kw_only=True)
class ProportionalSchedule:
    """max sum_k w_k log(mean over rounds of x_k), by the gradient in every round.

    The weight of a client is w_k over its mean kept fraction so far, so a round is the problem of
    `Exact` with these weights (the gradient algorithm of Stolyar, 2005; proportional-fair
    scheduling in cellular networks). With channels that vary independently from round to round the
    mean kept fractions converge to the optimum over all rounds. Before the first round every client
    counts as having kept a whole model once. Without a history it is `Exact`.
    """

    memory: ClassVar[bool] = True

    def solve(self, problem: Problem, history: History | None = None) -> Allocation:
        """Maximise the kept fractions with weights by the rounds so far.

        Args:
            problem: The problem, arrays (K,), or (..., K) without a history.
            history: Course of the run; None: no round yet.

        Returns:
            The allocation with the prices of the weighted objective.
        """
        if history is None:
            return Exact().solve(problem)
        mean = (1.0 + history.kept_sum) / (1.0 + history.rounds)
        return weighted_optimum(problem, np.asarray(problem.weight) / mean)
