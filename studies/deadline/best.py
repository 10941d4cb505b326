"""Result of both roads: the best deadline by model and by training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from studies.deadline.halving import Trained, ranked
from studies.deadline.laws import LAWS, Law, ShortRuns
from studies.deadline.model import Scan, seconds_to
from studies.report.results import Sample
from wirelessfl.errors import InputError
from wirelessfl.values import Array

LEAST_DEADLINES = 2  # that two numbers are fitted to


@dataclass(frozen=True, eq=False)
class Fitted:
    """A law fitted to short runs, all seeds together and one seed at a time.

    Attributes:
        law: Law of all seeds together.
        of_seeds: Law of each seed.
        scan: Range of deadlines.
    """

    law: Law
    of_seeds: tuple[Law, ...]
    scan: Scan

    @cached_property
    def best_s(self) -> float:
        """Best deadline in s."""
        return self.scan.best(self.law)

    @cached_property
    def best_of_seeds_s(self) -> Sample:
        """Best deadline in s of each seed."""
        return Sample(tuple(self.scan.best(law) for law in self.of_seeds))

    def seconds(self, deadlines_s: Array) -> tuple[Array, Array]:
        """Seconds to the level, and half of their 95 % interval over seeds; (P,) each."""
        each = np.array([seconds_to(law, self.scan.pace, deadlines_s) for law in self.of_seeds])
        margins = [
            Sample(tuple(column)).margin if np.isfinite(column).all() else math.inf
            for column in each.T.tolist()
        ]
        return seconds_to(self.law, self.scan.pace, deadlines_s), np.array(margins)


def fitted(short: ShortRuns, scan: Scan) -> dict[str, Fitted]:
    """Fit both laws to short runs.

    Args:
        short: The short runs.
        scan: Range of deadlines.

    Returns:
        Name of the law -> its fits.

    Raises:
        InputError: With a seed fewer than two deadlines of different kept fractions reach the
            level.
    """
    needed = short.needed()
    fewest = min(np.unique(kept).size for kept, _ in needed)
    if fewest < LEAST_DEADLINES:
        raise InputError(
            f"--deadlines must have {LEAST_DEADLINES} of different kept models above 0 that reach "
            f"accuracy {short.level:.3g} within {short.seconds:.4g} s, got {fewest}"
        )
    kept, rounds = (np.concatenate(parts) for parts in zip(*needed, strict=True))
    return {
        name: Fitted(fit(kept, rounds), tuple(fit(*one) for one in needed), scan)
        for name, fit in LAWS.items()
    }


@dataclass(frozen=True, eq=False)
class BestDeadline:
    """The best deadline by model and by training.

    Attributes:
        level: Accuracy to which the model counts rounds.
        target: Accuracy to which training is timed; None: the accuracy after `total_s` counts.
        total_s: Simulated seconds of the last rung.
        needed: Kept fractions and rounds to `level`, one pair of arrays per seed.
        models: Name of the law -> its fits.
        trained: Every deadline at its last rung.
    """

    level: float
    target: float | None
    total_s: float
    needed: Sequence[tuple[Array, Array]]
    models: Mapping[str, Fitted]
    trained: Sequence[Trained]

    @property
    def best(self) -> Trained:
        """The best deadline by training."""
        return ranked(self.trained)[0]

    def rows(self) -> list[dict[str, Any]]:
        """One row per deadline, of the scan and of training; None for what a road does not give."""
        scan = next(iter(self.models.values())).scan
        at = {one.deadline_s: one for one in self.trained}
        deadlines_s = np.array(sorted({*at, *scan.deadlines_s.tolist()}))
        models = {name: one.seconds(deadlines_s) for name, one in self.models.items()}
        rows = []
        for index, deadline_s in enumerate(deadlines_s.tolist()):
            round_s, kept = scan.pace(deadline_s)
            row: dict[str, Any] = {"deadline_s": deadline_s, "round_s": round_s, "kept_model": kept}
            for name, (seconds, margins) in models.items():
                row[f"{name}_s"] = _finite(seconds[index])
                row[f"{name}_s_ci95"] = _finite(margins[index])
            rows.append({**row, **_of_training(at.get(deadline_s))})
        return rows

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "level": self.level,
            "target": self.target,
            "total_s": self.total_s,
            "model": {
                name: {
                    "whole_model_rounds": one.law.whole,
                    "shape": one.law.shape,
                    "deadline_s": one.best_s,
                    "deadline_s_ci95": _finite(one.best_of_seeds_s.margin),
                }
                for name, one in self.models.items()
            },
            "trained": {"deadline_s": self.best.deadline_s, **_of_training(self.best)},
            "deadlines": self.rows(),
        }


def _of_training(one: Trained | None) -> dict[str, Any]:
    if one is None:
        return dict.fromkeys(
            ("trained_s", "rung", "accuracy", "accuracy_ci95", "seconds_to", "seconds_to_ci95")
        ) | {"reached": None}
    return {
        "trained_s": one.seconds,
        "rung": one.rung,
        "accuracy": one.accuracy.mean,
        "accuracy_ci95": _finite(one.accuracy.margin),
        "seconds_to": None if one.time is None else one.time.mean,
        "seconds_to_ci95": None if one.time is None else _finite(one.time.margin),
        "reached": one.reached,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
