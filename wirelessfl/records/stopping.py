"""Early end of a run, decided by its records alone: an accuracy, patience, simulated time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wirelessfl.experiment import RunSettings


@dataclass(frozen=True)
class RunProgress:
    """RunProgress of a run, a fold over its records in order.

    Attributes:
        rounds: Number of rounds.
        clock_s: Simulated time in s.
        best: Highest accuracy so far; None before the first evaluation.
        since_best: Number of evaluations since the best one.
    """

    rounds: int = 0
    clock_s: float = 0.0
    best: float | None = None
    since_best: int = 0

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]]) -> "RunProgress":
        """RunProgress after these records.

        Args:
            records: Records of all rounds in order.

        Returns:
            The progress.
        """
        found = cls()
        for record in records:
            found = found.after(record["accuracy"], record["clock_s"])
        return found

    def after(self, accuracy: float | None, clock_s: float) -> "RunProgress":
        """RunProgress after one more round.

        Args:
            accuracy: Accuracy of the round; None without an evaluation.
            clock_s: Simulated time at its end in s.

        Returns:
            The new progress.
        """
        found = replace(self, rounds=self.rounds + 1, clock_s=clock_s)
        if accuracy is None:
            return found
        if self.best is None or accuracy > self.best:
            return replace(found, best=accuracy, since_best=0)
        return replace(found, since_best=self.since_best + 1)

    def ended(self, settings: RunSettings) -> str | None:
        """Reason for which the run ends here before `run.rounds`.

        Args:
            settings: Run settings with the limits.

        Returns:
            One line; None while the run goes on.
        """
        target = settings.stop_at_accuracy
        if target is not None and self.best is not None and self.best >= target:
            return f"accuracy {self.best:.4g} has reached run.stop_at_accuracy = {target:g}"
        if settings.patience is not None and self.since_best >= settings.patience:
            return f"no better accuracy in run.patience = {settings.patience} evaluations"
        limit_s = settings.max_simulated_s
        if limit_s is not None and self.clock_s >= limit_s:
            return f"simulated time {self.clock_s:.6g} s has reached run.max_simulated_s"
        return None


def evaluation_due(settings: RunSettings, rounds: int, clock_s: float) -> bool:
    """True where a round ends with an evaluation: every `eval_every`-th one and the last one.

    Args:
        settings: Run settings.
        rounds: Number of the round, from 1.
        clock_s: Simulated time at its end in s.

    Returns:
        True where the accuracy is evaluated.
    """
    limit_s = settings.max_simulated_s
    return (
        rounds % settings.eval_every == 0
        or rounds == settings.rounds
        or (limit_s is not None and clock_s >= limit_s)
    )
