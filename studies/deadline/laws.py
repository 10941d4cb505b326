"""Rounds to an accuracy as a function of the kept model, fitted to short runs.

Two laws of the mean kept fraction x, each with the rounds G1 of the whole model and one shape:

    power   G(x) = G1 / x^p,                   p >= 0,
    bound   G(x) = G1 / (1 - q (1 - x)),       q >= 0.

The second has the form of [WFL] eq. (31): after G rounds the mean squared gradients are at most
a / G + A1 + c (1 - x), so a level e takes G = a / (e - A1 - c (1 - x)) rounds, with q = c / (e -
A1); where q (1 - x) >= 1 no number of rounds is enough. The constants of the theorem are not
evaluated: a and c count by what the short runs show ([WFL] erratum W11).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from studies.report.one_run.run import Run
from studies.report.summaries import first_index
from wirelessfl.values import Array

SHORT_OF = 0.95  # of the highest common accuracy: its own first round would be the last evaluation


@dataclass(frozen=True)
class Law:
    """Rounds to an accuracy.

    Attributes:
        name: `power` or `bound`.
        whole: Rounds G1 with the whole model.
        shape: p of `power`, q of `bound`.
    """

    name: str
    whole: float
    shape: float

    def rounds(self, kept: ArrayLike) -> Array:
        """Rounds G(x).

        Args:
            kept: Mean kept fractions x; any shape.

        Returns:
            Rounds; inf where no number of them is enough.
        """
        x = np.asarray(kept, dtype=np.float64)
        pace = x**self.shape if self.name == "power" else 1.0 - self.shape * (1.0 - x)
        return np.where(pace > 0, self.whole / np.where(pace > 0, pace, 1.0), np.inf)


def power_law(kept: ArrayLike, rounds: ArrayLike) -> Law:
    """Fit `power` by least squares of ln G; NaN without any rounds.

    Args:
        kept: Mean kept fractions above 0; (N,).
        rounds: Rounds that were needed; (N,).

    Returns:
        The law; p is 0 where fewer rounds were needed with less of the model.
    """
    if not np.size(rounds):
        return Law("power", math.nan, 0.0)
    x, logs = np.log(np.asarray(kept)), np.log(np.asarray(rounds))
    shape = max(-_slope(x, logs), 0.0)
    return Law("power", float(np.exp((logs + shape * x).mean())), shape)


def bound_law(kept: ArrayLike, rounds: ArrayLike) -> Law:
    """Fit `bound` by least squares of 1 / G; NaN without any rounds.

    Args:
        kept: Mean kept fractions; (N,).
        rounds: Rounds that were needed; (N,).

    Returns:
        The law; q is 0 where fewer rounds were needed with less of the model.
    """
    if not np.size(rounds):
        return Law("bound", math.nan, 0.0)
    pruned, pace = 1.0 - np.asarray(kept), 1.0 / np.asarray(rounds)
    slope = min(_slope(pruned, pace), 0.0)
    whole = float(pace.mean() - slope * pruned.mean())
    return Law("bound", 1.0 / whole, -slope / whole)


LAWS: Mapping[str, Callable[[ArrayLike, ArrayLike], Law]] = {
    "power": power_law,
    "bound": bound_law,
}


def _slope(x: Array, y: Array) -> float:
    """Slope of the least-squares line; 0 where all x are equal."""
    offset = x - x.mean()
    return float(offset @ y / (offset @ offset)) if offset.any() else 0.0


@dataclass(frozen=True, eq=False)
class ShortRuns:
    """Runs of several deadlines over a short simulated time, one per seed and deadline.

    Attributes:
        runs: Runs of each deadline, one per seed.
        seconds: Simulated seconds of which the runs count.
        target: Accuracy that is asked for; None: none.
    """

    runs: Sequence[Sequence[Run]]
    seconds: float
    target: float | None = None

    @property
    def level(self) -> float:
        """Accuracy at which rounds are counted.

        The target, where every run reaches it; else `SHORT_OF` of the accuracy that more than half
        of the deadlines reach with every seed.
        """
        best = sorted((min(map(self._best, seeds)) for seeds in self.runs), reverse=True)
        if self.target is not None and best[-1] >= self.target:
            return self.target
        level = SHORT_OF * best[len(best) // 2]
        return level if self.target is None else min(level, self.target)

    def needed(self) -> list[tuple[Array, Array]]:
        """Kept fractions above 0 and rounds to `level` of the deadlines that reach it, by seed."""
        level = self.level
        found = []
        for seeds in zip(*self.runs, strict=True):
            pairs = [
                (kept_model(run), float(run.series("round")[index]))
                for run in seeds
                if (index := first_index(run, level)) is not None
                and run.series("clock_s")[index] <= self.seconds
            ]
            kept, rounds = np.array(pairs).reshape(-1, 2).T
            found.append((kept[kept > 0], rounds[kept > 0]))
        return found

    def _best(self, run: Run) -> float:
        accuracy = run.series("accuracy")[run.series("clock_s") <= self.seconds]
        return float(np.nanmax(accuracy, initial=0.0))


def kept_model(run: Run) -> float:
    """Mean kept fraction of a run over its rounds and clients."""
    return float(1.0 - run.series("pruning_ratio").mean())
