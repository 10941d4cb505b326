"""Figures of one run, drawn from its folder alone."""

import math
import tomllib
from typing import Any

import numpy as np

from studies.report.curves import points
from studies.report.scores import score_label
from wirelessfl.records.run_folder import RunFolder

MOST_LABELS = 12  # client numbers that fit on an axis


def draw_run(folder: RunFolder) -> None:
    """Write `plots/training.png` (where the run trained) and `plots/allocation.png`."""
    records = folder.records()
    tables = tomllib.loads(folder.experiment_file.read_text())
    folder.plots.mkdir(exist_ok=True)
    if records[-1]["loss"] is not None:
        _draw_training(folder, records, score_label(tables.get("training", {})))
    _draw_allocation(folder, records, tables["scenario"]["deadline_s"])


def _figure() -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_training(folder: RunFolder, records: list[dict[str, Any]], score: str) -> None:
    figure = _figure()
    loss_axes, accuracy_axes = figure.subplots(1, 2, sharex=True)
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
    for axes in (loss_axes, accuracy_axes):
        axes.grid(alpha=0.3)
    figure.savefig(folder.plots / "training.png", dpi=150)


def _latency_title(records: list[dict[str, Any]]) -> str:
    """The title of the latency panel, with the deadline-miss rate if there are misses."""
    misses = 1.0 - np.mean([record["delivered"] for record in records])
    return f"Latency: {misses:.1%} of client-rounds miss the deadline" if misses > 0 else "Latency"


def _draw_allocation(folder: RunFolder, records: list[dict[str, Any]], deadline_s: float) -> None:
    figure = _figure()
    latency_axes, ratio_axes = figure.subplots(1, 2)
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
    figure.savefig(folder.plots / "allocation.png", dpi=150)
