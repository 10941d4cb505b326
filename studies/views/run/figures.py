"""Figures of one run, drawn from its folder alone."""

import tomllib
from typing import Any

from studies.report.one_run.run_figure import draw_allocation, draw_training
from studies.report.one_run.run_series import SHOWN, RunSeries
from studies.report.output import new_figure, render
from studies.report.scores import score_label
from wirelessfl.records.run_folder import RunFolder, write_atomically

INCHES = (9.0, 3.6)


def draw_run(folder: RunFolder) -> None:
    """Write `plots/training.png` (where the run trained) and `plots/allocation.png`."""
    series = RunSeries.of(folder.each_record(SHOWN))
    tables = tomllib.loads(folder.experiment_file.read_text())
    folder.plots.mkdir(exist_ok=True)
    if series.trains:
        figure = new_figure(*INCHES)
        axes = figure.subplots(1, 2, sharex=True)
        draw_training(axes, series, score_label(tables.get("training", {})))
        _write(folder, "training", figure)
    figure = new_figure(*INCHES)
    draw_allocation(figure.subplots(1, 2), series, tables["scenario"]["deadline_s"])
    _write(folder, "allocation", figure)


def _write(folder: RunFolder, name: str, figure: Any) -> None:
    write_atomically(folder.plots / f"{name}.png", render(figure, format="png", dpi=150))
