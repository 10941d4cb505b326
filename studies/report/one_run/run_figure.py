"""Panels of one run: loss, score, latency and pruning ratios, drawn from its records."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from studies.report.isolated import points
from studies.report.one_run.recorded import Recorded
from studies.report.output import new_figure
from studies.report.scores import score_label
from wirelessfl.config.scenario_file import to_tables

MOST_LABELS = 12  # client numbers that fit on an axis
PANEL_INCHES = (4.5, 3.4)


def run_figure(run: Recorded) -> Any:
    """Draw a run.

    Args:
        run: A run with its experiment.

    Returns:
        A matplotlib figure: loss and score (where the run trained), latency and pruning ratios.
    """
    experiment = run.experiment
    records = list(run.records)
    trains = experiment.run.train
    width, height = PANEL_INCHES
    figure = new_figure(2 * width, height * (1 + trains))
    rows = figure.subplots(1 + trains, 2, squeeze=False)
    if trains:
        draw_training(rows[0], records, score_label(to_tables(experiment)["training"]))
    draw_allocation(rows[-1], records, experiment.scenario.deadline_s)
    return figure


def draw_training(axes: Any, records: Sequence[Mapping[str, Any]], score: str) -> None:
    """Draw training loss and test score over simulated time.

    Args:
        axes: Two axes.
        records: Records of a run with training, in order.
        score: Name of the score and of its mean, see `score_label`.
    """
    loss_axes, accuracy_axes = axes
    losses = np.array([record["loss"] for record in records], dtype=np.float64)
    loss_axes.plot([record["clock_s"] for record in records], losses, **points(losses))
    loss_axes.set(xlabel="simulated time (s)", ylabel="training loss", title="Loss")
    evaluated = [record for record in records if record["accuracy"] is not None]
    accuracy_axes.plot(
        [record["clock_s"] for record in evaluated],
        [100 * record["accuracy"] for record in evaluated],
        marker="o",
        markersize=3,
    )
    name = score.partition(",")[0]
    title = f"{score[0].upper()}{score[1:]}"
    accuracy_axes.set(xlabel="simulated time (s)", ylabel=f"test {name} (%)", title=title)
    if name == "accuracy":
        accuracy_axes.set_ylim(0, 100)  # R² may be below 0
    for one in (loss_axes, accuracy_axes):
        one.grid(alpha=0.3)


def _latency_title(records: Sequence[Mapping[str, Any]]) -> str:
    """The title of the latency panel, with the deadline-miss rate if there are misses."""
    misses = 1.0 - np.mean([record["delivered"] for record in records])
    return f"Latency: {misses:.1%} of client-rounds miss the deadline" if misses > 0 else "Latency"


def draw_allocation(axes: Any, records: Sequence[Mapping[str, Any]], deadline_s: float) -> None:
    """Draw latency over rounds and the pruning ratios of each client.

    Args:
        axes: Two axes.
        records: Records of a run in order.
        deadline_s: Deadline in s.
    """
    latency_axes, ratio_axes = axes
    rounds = [record["round"] for record in records]
    # NaN for lost updates, which fmax and fmin ignore.
    latency_ms = 1e3 * np.array([record["latency_s"] for record in records], dtype=np.float64)
    slowest_ms, fastest_ms = np.fmax.reduce(latency_ms, axis=1), np.fmin.reduce(latency_ms, axis=1)
    top_ms = float(np.fmax(np.fmax.reduce(slowest_ms), 1e3 * deadline_s))
    latency_axes.fill_between(rounds, fastest_ms, slowest_ms, alpha=0.3, label="all clients")
    latency_axes.plot(rounds, slowest_ms, label="slowest client", **points(slowest_ms))
    latency_axes.axhline(
        1e3 * deadline_s, color="black", linestyle="--", linewidth=1, label="deadline"
    )
    latency_axes.set(
        xlabel="round",
        ylabel="latency (ms)",
        title=_latency_title(records),
        ylim=(0, 1.15 * top_ms),
    )
    latency_axes.xaxis.get_major_locator().set_params(integer=True)
    latency_axes.legend(loc="best")
    latency_axes.grid(alpha=0.3)
    ratios: dict[int, list[float]] = {}
    for record in records:
        for client, ratio in zip(record["clients"], record["pruning_ratio"], strict=True):
            ratios.setdefault(client, []).append(ratio)
    there = sorted(ratios)
    ratio_axes.boxplot([ratios[client] for client in there], whis=(0, 100))
    step = math.ceil(len(there) / MOST_LABELS)
    ratio_axes.set_xticks(
        range(1, len(there) + 1, step), labels=[str(client) for client in there[::step]]
    )
    ratio_axes.set(
        xlabel="client",
        ylabel="pruning ratio",
        title="Pruning ratio: quartiles and range",
        ylim=(-0.03, 1.03),
    )
    ratio_axes.grid(alpha=0.3, axis="y")
