"""Run folders on the page: a list, and the series of the chosen runs."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np

from studies.page.parts import html_table
from studies.page.pictures.lines import Line, lines_picture
from studies.report.one_run.overview import overview
from studies.report.one_run.run import Run
from studies.report.one_run.run_series import RunSeries
from studies.report.scores import score_label
from wirelessfl.config.scenario_file import to_tables
from wirelessfl.errors import InputError
from wirelessfl.records.run_folder import RunFolder

DEEPEST = 4  # folders below the root in which runs are looked for
MOST_LISTED = 300
MOST_SHOWN = 6
FILES = ("experiment.toml", "rounds.jsonl")
KEPT = 32  # runs whose series stay in memory


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run as the page shows it.

    Attributes:
        name: Its folder, relative to the root.
        overview: Origin and outcome: quantity -> value.
        series: Its series.
        deadline_s: Its deadline in s.
        score: Name of its score and of its mean.
        complete: Whether it has ended.
    """

    name: str
    overview: dict[str, str]
    series: RunSeries
    deadline_s: float
    score: str
    complete: bool


def listed(root: Path) -> list[str]:
    """Run folders below a folder, the newest first, as paths relative to it."""
    found = sorted(_folders(root), key=lambda path: -(path / FILES[1]).stat().st_mtime)
    return [path.relative_to(root).as_posix() for path in found[:MOST_LISTED]]


def _folders(root: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(root):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(here.relative_to(root).parts) >= DEEPEST:
            folders.clear()
        if all(name in files for name in FILES):
            folders.clear()
            yield here


def chosen(query: str, names: Sequence[str]) -> list[str]:
    """The runs that a URL names.

    Args:
        query: The part of the URL after `?`.
        names: The known runs.

    Returns:
        Their names; the newest where the URL names none.

    Raises:
        InputError: A run is unknown, or there are too many.
    """
    asked = [value for key, value in parse_qsl(query) if key == "run"]
    asked = list(dict.fromkeys(asked))
    for name in asked:
        if name not in names:
            raise InputError(
                f"URL parameter run must name a run folder below the root, got {name!r}"
            )
    if len(asked) > MOST_SHOWN:
        raise InputError(f"at most {MOST_SHOWN} runs can be compared, got {len(asked)}")
    return asked or list(names[:1])


def shown_run(root: Path, name: str) -> ShownRun:
    """Read a run, unless it has not changed since it was read.

    Raises:
        InputError: The folder is no run folder, or a record is damaged.
    """
    at = (root / name / FILES[1]).stat()
    return _read(root / name, name, at.st_size, at.st_mtime_ns)


@lru_cache(KEPT)
def _read(path: Path, name: str, size: int, changed_ns: int) -> ShownRun:
    run = Run.read(path)
    experiment = run.experiment
    return ShownRun(
        name,
        overview(run) if size else {"rounds": f"0 of {experiment.run.rounds}"},
        RunSeries.of(run.records),
        experiment.scenario.deadline_s,
        score_label(to_tables(experiment)["training"]),
        RunFolder(path).summary_file.is_file() or run.stopped is not None,
    )


def table(runs: Sequence[ShownRun]) -> str:
    """Origins and outcomes side by side."""
    names = dict.fromkeys(quantity for run in runs for quantity in run.overview)
    names.pop("folder", None)
    rows = [[name, *(run.overview.get(name, "") for run in runs)] for name in names]
    return html_table(["", *(run.name for run in runs)], rows)


def pictures(runs: Sequence[ShownRun], width: float) -> dict[str, str]:
    """Pictures of the runs: score and loss over simulated time, latency and ratio over rounds.

    Args:
        runs: The runs.
        width: Width of each picture in px.

    Returns:
        Name -> SVG; empty where no run has the quantity.
    """
    score, loss, latency, ratio = [], [], [], []
    for run in runs:
        series = run.series
        rounds = np.arange(1.0, series.clock_s.size + 1)
        evaluated = ~np.isnan(series.accuracy)
        score.append(Line(run.name, series.clock_s[evaluated], 100 * series.accuracy[evaluated]))
        loss.append(Line(run.name, series.clock_s, series.loss))
        latency.append(Line(run.name, rounds, 1e3 * series.slowest_s, limit=1e3 * run.deadline_s))
        ratio.append(Line(run.name, rounds, 100 * series.mean_ratio))
    label = runs[0].score if runs else ""
    whole = (0.0, 100.0) if label.startswith("accuracy") else (None, None)  # R² may be below 0
    time = "simulated time (s)"
    slowest = "latency of the slowest client (ms)"
    return {
        "score": lines_picture(score, time, f"test {label} (%)", width, whole),
        "loss": lines_picture(loss, time, "training loss", width),
        "latency": lines_picture(latency, "round", slowest, width, (0.0, None)),
        "ratio": lines_picture(ratio, "round", "mean pruning ratio (%)", width, (0.0, 100.0)),
    }
