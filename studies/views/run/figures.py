"""Figures of one run, drawn from its folder alone."""

import tomllib

from studies.report.one_run.run_figure import draw_allocation, draw_training
from studies.report.output import new_figure
from studies.report.scores import score_label
from wirelessfl.records.run_folder import RunFolder

INCHES = (9.0, 3.6)


def draw_run(folder: RunFolder) -> None:
    """Write `plots/training.png` (where the run trained) and `plots/allocation.png`."""
    records = folder.records()
    tables = tomllib.loads(folder.experiment_file.read_text())
    folder.plots.mkdir(exist_ok=True)
    if records[-1]["loss"] is not None:
        figure = new_figure(*INCHES)
        axes = figure.subplots(1, 2, sharex=True)
        draw_training(axes, records, score_label(tables.get("training", {})))
        figure.savefig(folder.plots / "training.png", dpi=150)
    figure = new_figure(*INCHES)
    draw_allocation(figure.subplots(1, 2), records, tables["scenario"]["deadline_s"])
    figure.savefig(folder.plots / "allocation.png", dpi=150)
