"""The trials of a search as a table: for a file, as JSON and for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from studies.report.results import Sample
from studies.report.terminal import terminal
from studies.search.search import SearchResult, Trial
from wirelessfl.config.scenario_file import experiment_hash

MOST_ROWS = 60  # of the terminal; the file has all
WIDTH = 120  # of a table that is not printed to a terminal


def trial_records(found: SearchResult) -> list[dict[str, Any]]:
    """One row per trial.

    Args:
        found: The result of searches.

    Returns:
        Rows of label, stage, trial, the searched fields, score, status, reason, run and chosen.
    """
    fields = _fields(found.trials)
    return [
        {
            "label": trial.label,
            "stage": trial.stage,
            "trial": trial.number,
            **{name: trial.values.get(name) for name in fields},
            "score": trial.score,
            "status": "complete" if trial.reason is None else "out",
            "reason": trial.reason,
            "run": experiment_hash(trial.experiment),
            "chosen": found.chosen[trial.label] is trial,
        }
        for trial in found.trials
    ]


def print_trials(found: SearchResult) -> None:
    """Print all trials, or only the chosen ones of many, and the numbers of rejected trials."""
    few = len(found.trials) <= MOST_ROWS
    shown = found.trials if few else tuple(found.chosen.values())
    fields = _fields(found.trials)
    labels = ["label"] if len(found.chosen) > 1 else []
    title = f"{len(found.trials)} trials" if few else f"chosen of {len(found.trials)} trials"
    table = Table(*labels, "stage", "trial", *fields, "score", title=title)
    for column in table.columns[len(labels) :]:
        column.justify = "right"
    for trial in shown:
        cells = [trial.label] if labels else []
        cells += [
            str(trial.stage),
            str(trial.number),
            *(_text(trial.values.get(name)) for name in fields),
        ]
        score = "out" if trial.reason is not None else _text(trial.score)
        best = found.chosen[trial.label] is trial
        table.add_row(*cells, score, style="bold" if best else None)
    console = _console()
    console.print(table)
    for reason, count in _reasons(found.trials).items():
        console.print(f"out: {count} of {len(found.trials)} trials, {reason}", soft_wrap=True)


def print_best(report: Mapping[str, Any]) -> None:
    """Print the chosen settings and their score when repeated.

    Args:
        report: The result of `write_search`.
    """
    values = ", ".join(f"{name} = {_text(value)}" for name, value in report["best"].items())
    again = report["repeated"]
    sample = Sample(tuple(again["values"]))
    rows = f" on the {again['evaluate_on']} rows" if again["evaluate_on"] else ""
    score = f"{report['metric']} {_text(report['score'])}"
    line = f"best: {values}; {score}, repeated with {len(sample.values)} seeds{rows}"
    _console().print(f"{line}: {sample}", soft_wrap=True)


def _fields(trials: Iterable[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.values))


def _reasons(trials: Sequence[Trial]) -> dict[str, int]:
    """Number of rejected trials per kind of reason, by the first reason of that kind.

    Reasons are of one kind if they begin alike.
    """
    counts: dict[str, tuple[str, int]] = {}
    for trial in trials:
        if trial.reason is not None:
            first, count = counts.get(trial.reason[:20], (trial.reason, 0))
            counts[trial.reason[:20]] = first, count + 1
    return dict(counts.values())


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _console() -> Console:
    console = terminal()
    if not console.is_terminal:
        console.width = WIDTH
    return console
