"""Panels of one run: loss, score, latency and pruning ratios, drawn from its records."""

import math
from typing import Any

import numpy as np

from studies.report.isolated import points
from studies.report.one_run.recorded import Recorded
from studies.report.one_run.run_series import RunSeries
from studies.report.output import new_figure
from studies.report.scores import score_label
from wirelessfl.config.scenario_file import to_tables

MOST_LABELS = 12  # client numbers that fit on an axis
MOST_BOXES = 100  # boxes that can be told apart
MOST_POINTS = 2000  # rounds of a line; of more rounds the extremes of equal parts are shown
QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
PANEL_INCHES = (4.5, 3.4)


def run_figure(run: Recorded) -> Any:
    """Draw a run.

    Args:
        run: A run with its experiment.

    Returns:
        A matplotlib figure: loss and score (where the run trained), latency and pruning ratios.
    """
    experiment = run.experiment
    series = RunSeries.of(run.records)
    trains = experiment.run.train
    width, height = PANEL_INCHES
    figure = new_figure(2 * width, height * (1 + trains))
    rows = figure.subplots(1 + trains, 2, squeeze=False)
    if trains:
        draw_training(rows[0], series, score_label(to_tables(experiment)["training"]))
    draw_allocation(rows[-1], series, experiment.scenario.deadline_s)
    return figure


def draw_training(axes: Any, run: RunSeries, score: str) -> None:
    """Draw training loss and test score over simulated time.

    Args:
        axes: Two axes.
        run: Series of a run with training.
        score: Name of the score and of its mean, see `score_label`.
    """
    loss_axes, accuracy_axes = axes
    loss_axes.plot(run.clock_s, run.loss, **points(run.loss))
    loss_axes.set(xlabel="simulated time (s)", ylabel="training loss", title="Loss")
    evaluated = ~np.isnan(run.accuracy)
    accuracy_axes.plot(
        run.clock_s[evaluated], 100 * run.accuracy[evaluated], marker="o", markersize=3
    )
    name = score.partition(",")[0]
    title = f"{score[0].upper()}{score[1:]}"
    accuracy_axes.set(xlabel="simulated time (s)", ylabel=f"test {name} (%)", title=title)
    if name == "accuracy":
        accuracy_axes.set_ylim(0, 100)  # R² may be below 0
    for one in (loss_axes, accuracy_axes):
        one.grid(alpha=0.3)


def draw_allocation(axes: Any, run: RunSeries, deadline_s: float) -> None:
    """Draw latency over rounds and the pruning ratios of each client.

    Args:
        axes: Two axes.
        run: Series of a run.
        deadline_s: Deadline in s.
    """
    latency_axes, ratio_axes = axes
    _draw_latency(latency_axes, run, deadline_s)
    clients = list(run.ratios)
    if len(clients) <= MOST_BOXES:
        ratio_axes.boxplot(list(run.ratios.values()), whis=(0, 100))
    else:
        _draw_quantiles(ratio_axes, run)
    step = math.ceil(len(clients) / MOST_LABELS)
    ratio_axes.set_xticks(
        range(1, len(clients) + 1, step), labels=[str(client) for client in clients[::step]]
    )
    ratio_axes.set(
        xlabel="client",
        ylabel="pruning ratio",
        title="Pruning ratio: quartiles and range",
        ylim=(-0.03, 1.03),
    )
    ratio_axes.grid(alpha=0.3, axis="y")


def _draw_quantiles(axes: Any, run: RunSeries) -> None:
    """Quartiles and range as bands over the clients, where boxes would touch and take minutes."""
    ratios = list(run.ratios.values())
    lengths = {len(values) for values in ratios}
    if len(lengths) == 1:  # all clients took part equally often: much faster
        found = np.quantile(np.array(ratios), QUARTILES, axis=1)
    else:
        found = np.array([np.quantile(values, QUARTILES) for values in ratios]).T
    low, first, middle, third, high = found
    places = np.arange(1, len(low) + 1)
    axes.fill_between(places, low, high, alpha=0.2, label="range")
    axes.fill_between(places, first, third, alpha=0.4, label="quartiles")
    axes.plot(places, middle, linewidth=1, label="median")
    axes.legend(loc="best")


def _draw_latency(axes: Any, run: RunSeries, deadline_s: float) -> None:
    rounds = np.arange(1, len(run.slowest_s) + 1)
    bins = np.arange(0, len(rounds), math.ceil(len(rounds) / MOST_POINTS))
    # NaN for lost updates, which fmax and fmin ignore.
    slowest_ms = 1e3 * np.fmax.reduceat(run.slowest_s, bins)
    fastest_ms = 1e3 * np.fmin.reduceat(run.fastest_s, bins)
    top_ms = float(np.fmax(np.fmax.reduce(slowest_ms), 1e3 * deadline_s))
    shown = rounds[bins]
    axes.fill_between(shown, fastest_ms, slowest_ms, alpha=0.3, label="all clients")
    axes.plot(shown, slowest_ms, label="slowest client", **points(slowest_ms))
    axes.axhline(1e3 * deadline_s, color="black", linestyle="--", linewidth=1, label="deadline")
    missed = f": {run.miss_rate:.1%} of client-rounds miss the deadline"
    axes.set(
        xlabel="round",
        ylabel="latency (ms)",
        title=f"Latency{missed if run.miss_rate > 0 else ''}",
        ylim=(0, 1.15 * top_ms),
    )
    axes.legend(loc="best")
    axes.grid(alpha=0.3)
