"""Best deadline by training: successive halving over deadlines.

All deadlines start with a short simulated time; the better half goes on with twice as much, from
where its runs stopped, until the budget is spent (Jamieson and Talwalkar, 2016). A deadline that is
better only after a long time can be out by then.
"""

import math
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w

from studies.deadline.model import Pace
from studies.report.one_run.run import Run
from studies.report.results import Sample
from studies.report.summaries import first_index, mean_of_last
from studies.runner.single_run import folder_of, is_complete, run_lock
from wirelessfl.config.scenario_file import to_tables
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import HALF_MADE, RunFolder, write_atomically

SPARE = 1.2  # of the expected number of rounds, which the simulated time limits
RunAll = Callable[[list[Experiment], str], None]


@dataclass(frozen=True)
class Trained:
    """Training of one deadline up to its last rung.

    Attributes:
        deadline_s: The deadline in s.
        seconds: Simulated time that its runs were given, in s.
        rung: Number of its last rung, from 1.
        accuracy: Accuracy at the end, over seeds.
        seconds_to: Simulated seconds to the target of each seed; inf where it is not reached, or
            where there is none.
    """

    deadline_s: float
    seconds: float
    rung: int
    accuracy: Sample
    seconds_to: tuple[float, ...]

    @property
    def reached(self) -> int:
        """Number of seeds that reach the target."""
        return sum(seconds < math.inf for seconds in self.seconds_to)

    @property
    def time(self) -> Sample | None:
        """Seconds to the target, over seeds; None unless all of them reach it."""
        return Sample(self.seconds_to) if self.reached == len(self.seconds_to) else None

    @property
    def rank(self) -> tuple[float, ...]:
        """Smaller is better: more seeds at the target, then less time to it, then accuracy."""
        spent = [min(seconds, self.seconds) for seconds in self.seconds_to]
        return (-self.reached, sum(spent) if self.reached else 0.0, -self.accuracy.mean)


@dataclass(frozen=True, kw_only=True, eq=False)
class Halving:
    """Successive halving over deadlines.

    Attributes:
        experiment: The experiment; its deadline and its limits are replaced.
        deadlines_s: The deadlines in s.
        seeds: Number of seeds of each.
        total_s: Simulated seconds of the last rung.
        rungs: Number of rungs.
        target: Accuracy in [0, 1] at which runs end; None: none, the accuracy at the end counts.
        pace: Round length by deadline, from which the number of rounds follows.
    """

    experiment: Experiment
    deadlines_s: Sequence[float]
    seeds: int
    total_s: float
    rungs: int
    target: float | None
    pace: Pace

    def seconds(self, rung: int) -> float:
        """Simulated seconds of a rung, from 1."""
        return self.total_s * 0.5 ** (self.rungs - rung)

    def experiments(self, deadline_s: float, rung: int) -> list[Experiment]:
        """The runs of a deadline in a rung, one per seed.

        Args:
            deadline_s: The deadline in s.
            rung: Number of the rung, from 1.

        Returns:
            The experiments.
        """
        base = self.experiment
        rounds = math.ceil(SPARE * self.seconds(rung) / self.pace(deadline_s)[0]) + 1
        return [
            replace(
                base,
                scenario=replace(base.scenario, deadline_s=deadline_s),
                run=replace(
                    base.run,
                    seed=base.run.seed + seed,
                    rounds=rounds,
                    max_simulated_s=self.seconds(rung),
                    stop_at_accuracy=self.target,
                ),
            )
            for seed in range(self.seeds)
        ]

    def run(self, root: Path, run_all: RunAll) -> tuple[list[Trained], list[list[Run]]]:
        """Train.

        Args:
            root: Folder of the run folders.
            run_all: Completes experiments, given with a description.

        Returns:
            Every deadline at its last rung, in their order, and the runs of the first rung.
        """
        found: dict[float, Trained] = {}
        first: list[list[Run]] = []
        left = list(self.deadlines_s)
        for rung in range(1, self.rungs + 1):
            asked = {deadline_s: self.experiments(deadline_s, rung) for deadline_s in left}
            if rung > 1:
                for deadline_s, longer in asked.items():
                    for short, long in zip(
                        self.experiments(deadline_s, rung - 1), longer, strict=True
                    ):
                        go_on(short, long, root)
            run_all(
                [one for seeds in asked.values() for one in seeds], f"rung {rung} of {self.rungs}"
            )
            for deadline_s, seeds in asked.items():
                runs = [Run.read(folder_of(one, root)) for one in seeds]
                found[deadline_s] = self._trained(deadline_s, rung, runs)
                if rung == 1:
                    first.append(runs)
            ranked = sorted(left, key=lambda deadline_s: found[deadline_s].rank)
            left = ranked[: math.ceil(len(left) / 2)]
        return [found[deadline_s] for deadline_s in self.deadlines_s], first

    def _trained(self, deadline_s: float, rung: int, runs: Sequence[Run]) -> Trained:
        target = math.inf if self.target is None else self.target
        indices = [first_index(run, target) for run in runs]
        return Trained(
            deadline_s=deadline_s,
            seconds=self.seconds(rung),
            rung=rung,
            accuracy=Sample(tuple(mean_of_last(run, 1) for run in runs)),
            seconds_to=tuple(
                math.inf if index is None else float(run.series("clock_s")[index])
                for run, index in zip(runs, indices, strict=True)
            ),
        )


def go_on(short: Experiment, long: Experiment, root: Path) -> None:
    """Let a longer run of an experiment start from where a complete shorter one stopped.

    Args:
        short: The experiment with the shorter limits.
        long: The experiment with the longer limits.
        root: Folder of the run folders.
    """
    done, wanted = folder_of(short, root), folder_of(long, root)
    with run_lock(wanted), tempfile.TemporaryDirectory(prefix=HALF_MADE, dir=root) as made:
        if wanted.exists() or not is_complete(done, short):
            return
        folder = RunFolder(Path(made) / wanted.name)
        shutil.copytree(done, folder.path)
        folder.clear_summary()
        tables = tomllib.loads(folder.experiment_file.read_text(encoding="utf-8"))
        tables["run"] = to_tables(long)["run"]
        write_atomically(folder.experiment_file, tomli_w.dumps(tables).encode())
        os.replace(folder.path, wanted)


def ranked(trained: Sequence[Trained]) -> list[Trained]:
    """Deadlines from the best to the worst: those of later rungs first.

    Args:
        trained: Every deadline at its last rung.

    Returns:
        The same in order.
    """
    return sorted(trained, key=lambda one: (-one.rung, one.rank))
