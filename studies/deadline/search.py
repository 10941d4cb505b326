"""Search for the best deadline: settings, short runs, model and successive halving."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from studies.deadline.best import BestDeadline, fitted
from studies.deadline.halving import Halving, RunAll
from studies.deadline.laws import ShortRuns
from studies.deadline.model import Pace, Scan, pace_of
from wirelessfl.border import gate
from wirelessfl.border.budget import check_budget
from wirelessfl.cell.closed_form import fixed_s
from wirelessfl.config.axis import Axis
from wirelessfl.errors import InputError, check_count, check_number
from wirelessfl.experiment import Experiment

COUNT = 7  # deadlines without --deadlines
SHORTEST, LONGEST = 0.125, 2.0  # their range, relative to the deadline of the scenario
ABOVE = 1.1  # least deadline over the fixed work of the slowest client


@dataclass(frozen=True, kw_only=True, eq=False)
class DeadlineSearch:
    """Settings of a search for the best deadline.

    Attributes:
        experiment: The experiment.
        deadlines_s: The deadlines that are trained, in s, from the shortest to the longest.
        target: Accuracy in [0, 1] to reach; None: the accuracy after `total_s` counts.
        total_s: Simulated seconds of the last rung.
        seeds: Number of seeds of each deadline.
        rungs: Number of rungs of the halving.
        pace: Round length and kept fraction by deadline.
    """

    experiment: Experiment
    deadlines_s: Sequence[float]
    target: float | None
    total_s: float
    seeds: int
    rungs: int
    pace: Pace

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        *,
        deadlines: str | None,
        to_accuracy: float | None,
        total_seconds: float | None,
        seeds: int,
        rungs: int,
        draws: int,
    ) -> "DeadlineSearch":
        """Check the options of the command.

        Args:
            experiment: The experiment.
            deadlines: Deadlines as in `--vary`, or None.
            to_accuracy: Accuracy to reach, or None.
            total_seconds: Simulated seconds, or None.
            seeds: Number of seeds of each deadline.
            rungs: Number of rungs of the halving.
            draws: Rounds of the cell per deadline of the model.

        Returns:
            The search.

        Raises:
            InputError: An option is invalid, or nothing is trained.
        """
        if to_accuracy is None and total_seconds is None:
            raise InputError("--to-accuracy or --total-seconds must be given, got neither")
        if to_accuracy is not None:
            check_number("--to-accuracy", to_accuracy, above=0, at_most=1)
        if total_seconds is not None:
            check_number("--total-seconds", total_seconds, above=0)
        for name, value in (("--seeds", seeds), ("--rungs", rungs), ("--draws", draws)):
            check_count(name, value)
        if not experiment.run.train:
            raise InputError(
                "run.train must be true, got false: deadlines are compared by training"
            )
        asked = _usual(experiment) if deadlines is None else _parsed(deadlines)
        if len(asked) < 2:
            raise InputError(f"--deadlines must be at least 2, got {len(asked)}")
        check_budget(
            f"--seeds {seeds} of {len(asked)} deadlines", "runs", seeds * len(asked) * rungs
        )
        usual_s = experiment.run.rounds * experiment.scenario.deadline_s
        return cls(
            experiment=experiment,
            deadlines_s=asked,
            target=to_accuracy,
            total_s=usual_s if total_seconds is None else total_seconds,
            seeds=seeds,
            rungs=rungs,
            pace=pace_of(experiment, draws),
        )

    def run(self, root: Path, run_all: RunAll) -> BestDeadline:
        """Train, fit and scan.

        Args:
            root: Folder of the run folders.
            run_all: Completes experiments, given with a description.

        Returns:
            The best deadline of both roads.
        """
        halving = Halving(
            experiment=self.experiment,
            deadlines_s=self.deadlines_s,
            seeds=self.seeds,
            total_s=self.total_s,
            rungs=self.rungs,
            target=self.target,
            pace=self.pace,
        )
        trained, first = halving.run(root, run_all)
        short = ShortRuns(first, halving.seconds(1), self.target)
        scan = Scan(self.deadlines_s[0], self.deadlines_s[-1], self.pace)
        return BestDeadline(
            level=short.level,
            target=self.target,
            total_s=self.total_s,
            needed=short.needed(),
            models=fitted(short, scan),
            trained=trained,
        )


def _parsed(text: str) -> list[float]:
    axis = Axis.parse(f"scenario.deadline_s={text}")
    if not axis.numeric:
        raise InputError(f"--deadlines must be seconds, got {text!r}")
    check_number("--deadlines", axis.values, above=0)
    return sorted({float(value) for value in axis.values})


def _usual(experiment: Experiment) -> list[float]:
    """Deadlines from the fixed work, or an eighth of that of the scenario, to twice that."""
    scenario = experiment.scenario
    demand = gate.first_demand(experiment.algorithm, scenario.clients)
    least_s = ABOVE * float(fixed_s(scenario, demand).max())
    low_s = max(SHORTEST * scenario.deadline_s, least_s)
    if not math.isfinite(low_s):
        raise InputError("--deadlines must be given: the fixed work of a client never ends")
    high_s = max(LONGEST * scenario.deadline_s, 2.0 * low_s)
    return [float(f"{value:.3g}") for value in np.geomspace(low_s, high_s, COUNT)]
