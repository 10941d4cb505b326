"""Time to an accuracy as a function of the deadline: rounds needed times round length."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from studies.deadline.laws import Law
from studies.views.simulation.simulation import simulate
from wirelessfl.experiment import Experiment
from wirelessfl.values import Array

SCANNED = 33  # deadlines of the scan
REFINED = 17  # deadlines of the second scan, around the best of the first
Pace = Callable[[float], tuple[float, float]]


def pace_of(experiment: Experiment, rounds: int) -> Pace:
    """Round length and kept model of a cell by deadline, under common random numbers.

    Args:
        experiment: The experiment.
        rounds: Number of simulated rounds of its cell, without training.

    Returns:
        Function from a deadline in s to the mean round length in s and the mean kept fraction.
    """

    @cache
    def at(deadline_s: float) -> tuple[float, float]:
        scenario = replace(experiment.scenario, deadline_s=deadline_s)
        run = replace(experiment.run, rounds=rounds, train=False)
        columns = simulate(replace(experiment, scenario=scenario, run=run)).columns
        return float(columns["round_s"].mean()), float(1.0 - columns["pruning_ratio"].mean())

    return at


def seconds_to(law: Law, pace: Pace, deadlines_s: Array) -> Array:
    """Seconds to the accuracy of a law.

    Args:
        law: Rounds needed by kept fraction.
        pace: Round length and kept fraction by deadline.
        deadlines_s: Deadlines in s; (P,).

    Returns:
        Seconds; (P,), inf where the accuracy is never reached.
    """
    round_s, kept = np.array([pace(float(deadline_s)) for deadline_s in deadlines_s]).T
    return np.asarray(round_s * law.rounds(kept))


@dataclass(frozen=True, eq=False)
class Scan:
    """Model over a range of deadlines.

    The curve has kinks where clients become starved, capped or unpruned, and is not convex, so that
    it is scanned on a logarithmic grid and scanned again between the neighbours of its best point.

    Attributes:
        low_s: Shortest deadline in s.
        high_s: Longest deadline in s.
        pace: Round length and kept fraction by deadline.
    """

    low_s: float
    high_s: float
    pace: Pace

    @property
    def deadlines_s(self) -> Array:
        """Deadlines of the first scan in s; (SCANNED,)."""
        return np.geomspace(self.low_s, self.high_s, SCANNED)

    def best(self, law: Law) -> float:
        """Deadline in s that reaches the accuracy of a law first.

        Args:
            law: Rounds needed by kept fraction.

        Returns:
            The deadline, the shortest one of several.
        """
        grid = self.deadlines_s
        at = int(np.argmin(seconds_to(law, self.pace, grid)))
        finer = np.geomspace(grid[max(at - 1, 0)], grid[min(at + 1, grid.size - 1)], REFINED)
        return float(finer[np.argmin(seconds_to(law, self.pace, finer))])
