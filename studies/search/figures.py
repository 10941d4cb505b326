"""Figure of a search: parallel coordinates of its trials."""

from pathlib import Path
from typing import Any

import numpy as np

from studies.report.output import new_figure, write_figure
from studies.search.ranges import Choice, LogUniform
from studies.search.search import Search, SearchResult


def draw_trials(path: Path, one: Search, found: SearchResult) -> None:
    """Draw one line per judged trial over the searched fields and the metric, coloured by it.

    Args:
        path: Picture file.
        one: The search.
        found: Its result.
    """
    from matplotlib import colormaps

    trials = [trial for trial in found.trials if trial.score is not None]
    fields = list(one.space)
    figure: Any = new_figure(1.6 * (len(fields) + 1) + 1.2, 3.2)
    axes = figure.subplots()
    scores = np.array([trial.score for trial in trials], dtype=np.float64)
    heights = [_places(one, name, [trial.values[name] for trial in trials]) for name in fields]
    heights.append(_scaled(scores))
    colours = colormaps["viridis"](heights[-1])
    for number, trial in enumerate(trials):
        chosen = trial in found.chosen.values()
        row = [column[number] for column in heights]
        axes.plot(row, color=colours[number], linewidth=2.5 if chosen else 0.8)
    names = [*(name.partition(".")[2].replace("_", "\n") for name in fields), one.metric]
    axes.set_xticks(range(len(names)), names, fontsize="small")
    axes.set_yticks([0.0, 1.0], ["low", "high"])
    axes.grid(axis="x")
    write_figure(path, figure)


def _places(one: Search, name: str, values: list[Any]) -> Any:
    where = one.space[name]
    if isinstance(where, Choice):
        order = list(where.values)
        return np.array([order.index(value) for value in values]) / max(1, len(order) - 1)
    ends = np.array([getattr(where, end) for end in ("low", "high")], dtype=np.float64)
    scale = np.log if isinstance(where, LogUniform) else np.asarray
    low, high = scale(ends)
    return (scale(np.asarray(values, dtype=np.float64)) - low) / max(high - low, 1e-300)


def _scaled(values: Any) -> Any:
    spread = np.ptp(values) if len(values) else 0.0
    return (values - values.min()) / spread if spread else np.full(len(values), 0.5)
