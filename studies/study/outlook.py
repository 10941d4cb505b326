"""State of a study's runs, and an estimate of the work that is left."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean
from typing import Any

from studies.report.results import Experiments
from studies.runner.single_run import folder_of, is_complete, is_locked, recorded
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import RunFolder

HOUR_S = 3600.0


@dataclass(frozen=True)
class RunOutlook:
    """State of one run.

    Attributes:
        label: Label of the run in the study.
        done: Number of recorded rounds.
        rounds: Number of rounds of the whole run.
        complete: Whether the run has ended.
        in_progress: Whether a process works on it.
        round_s: Mean recorded wall-clock seconds per round; None without a record.
        bytes: Size of the run folder.
    """

    label: str
    done: int
    rounds: int
    complete: bool
    in_progress: bool
    round_s: float | None
    bytes: int

    @classmethod
    def of(cls, label: str, experiment: Experiment, root: Path) -> "RunOutlook":
        """State of the run of an experiment under `root`."""
        path = folder_of(experiment, root)
        done = recorded(path)
        files = path.rglob("*") if path.exists() else ()
        return cls(
            label=label,
            done=done,
            rounds=experiment.run.rounds,
            complete=is_complete(path, experiment),
            in_progress=is_locked(path),
            round_s=_round_s(RunFolder(path)),
            bytes=sum(file.stat().st_size for file in files if file.is_file()),
        )


@dataclass(frozen=True)
class Outlook:
    """State of all runs of a study.

    Attributes:
        runs: The runs.
    """

    runs: tuple[RunOutlook, ...]

    @classmethod
    def of(cls, experiments: Experiments, root: Path) -> "Outlook":
        """State of the runs of experiments under `root`."""
        return cls(
            tuple(
                RunOutlook.of(label, experiment, root)
                for label, seeds in experiments.items()
                for experiment in seeds
            )
        )

    @property
    def complete(self) -> int:
        """Number of complete runs."""
        return sum(run.complete for run in self.runs)

    @property
    def rounds_left(self) -> int:
        """Number of rounds to do, if no run ends early."""
        return sum(_left(run) for run in self.runs)

    @property
    def cpu_hours_left(self) -> float | None:
        """Hours of one core, from the recorded seconds per round of a label or else of all.

        None where no run has recorded any.
        """
        known = {run.label: _mean(self._recorded_s(run.label)) for run in self.runs}
        every = _mean(self._recorded_s(None))
        if every is None:
            return None
        seconds = 0.0
        for run in self.runs:
            own = known[run.label]
            seconds += _left(run) * (every if own is None else own)
        return seconds / HOUR_S

    @property
    def bytes_at_end(self) -> float | None:
        """Size of all run folders at the end, from the bytes per recorded round so far."""
        begun = [run for run in self.runs if run.done]
        if not begun:
            return None
        per_round = sum(run.bytes for run in begun) / sum(run.done for run in begun)
        return sum(run.bytes for run in self.runs) + per_round * self.rounds_left

    def _recorded_s(self, label: str | None) -> list[float]:
        found = [run.round_s for run in self.runs if label in (None, run.label)]
        return [seconds for seconds in found if seconds is not None]

    def rows(self) -> list[dict[str, Any]]:
        """One row per label: runs, complete ones, those in progress, rounds and seconds a round."""
        labels = dict.fromkeys(run.label for run in self.runs)
        return [_row(label, [run for run in self.runs if run.label == label]) for label in labels]

    def totals(self) -> dict[str, Any]:
        """Totals of all runs."""
        return {
            "runs": len(self.runs),
            "complete": self.complete,
            "rounds": sum(run.rounds for run in self.runs),
            "rounds_left": self.rounds_left,
            "cpu_hours_left": self.cpu_hours_left,
            "bytes_at_end": self.bytes_at_end,
        }

    def sentence(self) -> str:
        """The totals in one line."""
        hours, size = self.cpu_hours_left, self.bytes_at_end
        parts = [
            f"{self.complete} of {len(self.runs)} runs complete",
            f"{self.rounds_left:,} of {sum(run.rounds for run in self.runs):,} rounds left",
            "CPU hours unknown before the first recorded rounds"
            if hours is None
            else f"about {hours:.3g} CPU hours",
        ]
        if size is not None:
            parts.append(f"about {size / 1e6:.3g} MB on disk at the end")
        return ", ".join(parts)


def seeds_first(experiments: Experiments) -> list[Experiment]:
    """All experiments, the first seed of every label before the second ones."""
    most = max(map(len, experiments.values()), default=0)
    rows = list(experiments.values())
    return [seeds[number] for number in range(most) for seeds in rows if number < len(seeds)]


def only(experiments: Experiments, pattern: str | None) -> Experiments:
    """The labels that match a pattern.

    Args:
        experiments: Label -> one experiment per seed.
        pattern: Pattern with `*` and `?`; None: all.

    Returns:
        The matching part.

    Raises:
        InputError: No label matches.
    """
    if pattern is None:
        return experiments
    found = {label: seeds for label, seeds in experiments.items() if fnmatchcase(label, pattern)}
    if not found:
        names = ", ".join(experiments)
        raise InputError(f"--only must match a label of the study ({names}), got {pattern!r}")
    return found


def common_seeds(experiments: Experiments, root: Path) -> dict[str, list[Experiment]]:
    """The first seeds that are complete for every label; empty if there is none."""
    complete = [
        [is_complete(folder_of(one, root), one) for one in seeds] for seeds in experiments.values()
    ]
    count = min((_prefix(row) for row in complete), default=0)
    return {label: list(seeds[:count]) for label, seeds in experiments.items()} if count else {}


def _prefix(flags: Sequence[bool]) -> int:
    return next((at for at, flag in enumerate(flags) if not flag), len(flags))


def _left(run: RunOutlook) -> int:
    return 0 if run.complete else max(0, run.rounds - run.done)


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None


def _row(label: str, runs: Sequence[RunOutlook]) -> dict[str, Any]:
    return {
        "label": label,
        "runs": len(runs),
        "complete": sum(run.complete for run in runs),
        "in_progress": sum(run.in_progress for run in runs),
        "rounds": sum(run.rounds for run in runs),
        "rounds_left": sum(_left(run) for run in runs),
        "round_s": _mean(run.round_s for run in runs if run.round_s is not None),
    }


def _round_s(folder: RunFolder) -> float | None:
    """Mean wall-clock seconds of the recorded rounds."""
    file = folder.path / "wall.jsonl"
    if not file.exists():
        return None
    rows: list[Mapping[str, float]] = []
    for line in file.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # torn
            break
    return _mean(sum(value for name, value in row.items() if name.endswith("_s")) for row in rows)
