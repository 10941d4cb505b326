"""Curves over rounds: means and standard errors over seeds, and how they are drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.report.isolated import points
from studies.report.one_run.run import Run
from studies.report.results import Runs
from studies.report.scores import score_label
from wirelessfl.config.scenario_file import to_tables

Array = NDArray[np.float64]
# The palette of Okabe and Ito, safe for colour-blind readers; the lines differ in black and white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


@dataclass(frozen=True)
class Quantity:
    """A quantity that a curve can show.

    Attributes:
        axis: The label of its axis.
        series: Its value in every round of a run, (rounds,), NaN where it was not measured.
    """

    axis: str
    series: Callable[[Run], Array]


QUANTITIES: Mapping[str, Quantity] = {
    "loss": Quantity("training loss", lambda run: run.series("loss")),
    "accuracy": Quantity("test accuracy, mean over clients", lambda run: run.series("accuracy")),
    "mean_ratio": Quantity(
        "mean pruning ratio", lambda run: run.series("pruning_ratio").mean(axis=1)
    ),
    "delivered_weights": Quantity(
        "weights delivered (millions)",
        lambda run: run.series("uplink_bits").sum(axis=1).cumsum() / 32e6,
    ),
}


@dataclass(frozen=True)
class SeedCurve:
    """A quantity over the rounds in which it was measured, averaged over seeds.

    All arrays have shape (n,), where n is the number of rounds in which all runs measured it.

    Attributes:
        round: The rounds, counted from 1.
        clock_s: Simulated time at the end of each round, mean over seeds, in seconds.
        mean: The mean over seeds.
        standard_error: The standard error of the mean; 0 for a single run.
    """

    round: NDArray[np.int64]
    clock_s: Array
    mean: Array
    standard_error: Array

    @classmethod
    def of(cls, runs: Sequence[Run], quantity: str) -> "SeedCurve":
        """The curve of a quantity.

        Runs of different lengths, which follow a budget of local steps, are compared up to the
        length of the shortest.

        Args:
            runs: One run per seed.
            quantity: A key of `QUANTITIES`.

        Returns:
            Its mean and standard error over the runs.
        """
        rounds = min(len(run) for run in runs)
        values = np.array([QUANTITIES[quantity].series(run)[:rounds] for run in runs])
        measured = ~np.isnan(values).any(axis=0)
        values = values[:, measured]
        count = len(runs)
        mean: Array = values.mean(axis=0)
        error: Array = (
            values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros_like(mean)
        )
        clock_s: Array = np.mean([run.series("clock_s")[:rounds] for run in runs], axis=0)[measured]
        return cls(np.flatnonzero(measured) + 1, clock_s, mean, error)


def _axis(quantity: str, runs: Runs) -> str:
    """The label of a quantity's axis; the score of runs that have a folder by its own name."""
    first = next((run for seeds in runs.values() for run in seeds), None)
    if quantity != "accuracy" or first is None or first.folder is None:
        return QUANTITIES[quantity].axis
    return f"test {score_label(to_tables(first.experiment)['training'])}"


def draw_curves(axes: Any, runs: Runs, quantity: str, title: str) -> None:
    """Draw one line per label over the rounds, with a band of one standard error.

    Args:
        axes: Matplotlib axes.
        runs: Label -> one run per seed.
        quantity: A key of `QUANTITIES`.
        title: The title of the axes.
    """
    _draw(axes, runs, quantity, lambda curve: curve.round)
    axes.set(xlabel="round", title=title)


def draw_over_time(axes: Any, runs: Runs, quantity: str, title: str) -> None:
    """Draw one line per label over simulated seconds (mean over seeds), with a standard-error band.

    Args:
        axes: Matplotlib axes.
        runs: Label -> one run per seed.
        quantity: A key of `QUANTITIES`.
        title: The title of the axes.
    """
    _draw(axes, runs, quantity, lambda curve: curve.clock_s)
    axes.set(xlabel="simulated time (s)", title=title)


def _draw(axes: Any, runs: Runs, quantity: str, place: Callable[[SeedCurve], NDArray[Any]]) -> None:
    for index, (label, seeds) in enumerate(runs.items()):
        curve = SeedCurve.of(seeds, quantity)
        colour, line = COLOURS[index % len(COLOURS)], LINES[index % len(LINES)]
        axes.plot(
            place(curve),
            curve.mean,
            color=colour,
            linestyle=line,
            linewidth=1.4,
            label=label,
            **points(curve.mean),
        )
        low, high = curve.mean - curve.standard_error, curve.mean + curve.standard_error
        axes.fill_between(place(curve), low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_ylabel(_axis(quantity, runs))
    axes.grid(alpha=0.3)


def panels(figure: Any, count: int) -> Any:
    """Create `count` axes side by side in `figure`, in the size that papers print."""
    figure.set_size_inches(3.4 * count, 3.5)
    return figure.subplots(1, count, squeeze=False)[0]


def legend_below(figure: Any, axes: Any) -> None:
    """Draw one legend for all panels below them, with the labels of `axes`."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(len(labels), 5),
        fontsize="small",
        title="mean ± standard error over seeds",
        title_fontsize="small",
    )


def curve_rows(runs: Runs) -> list[dict[str, str | float]]:
    """Every curve in long form.

    Args:
        runs: Label -> one run per seed.

    Returns:
        Rows of label, quantity, round, clock_s (mean over seeds), mean and standard_error.
    """
    rows: list[dict[str, str | float]] = []
    for label, seeds in runs.items():
        for quantity in QUANTITIES:
            curve = SeedCurve.of(seeds, quantity)
            points = zip(curve.round, curve.clock_s, curve.mean, curve.standard_error, strict=True)
            for number, clock_s, mean, error in points:
                rows.append(
                    {
                        "label": label,
                        "quantity": quantity,
                        "round": int(number),
                        "clock_s": float(clock_s),
                        "mean": float(mean),
                        "standard_error": float(error),
                    }
                )
    return rows
