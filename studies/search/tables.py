"""The trials of a search as a table: for a file, as JSON and for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studies.report.results import Sample
from studies.report.terminal import print_table, print_text
from studies.search.search import SearchResult, Trial
from wirelessfl.config.scenario_file import experiment_hash

MOST_ROWS = 60  # of the terminal; the file has all


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
    rows = []
    for trial in shown:
        label = [trial.label] if labels else []
        values = [_text(trial.values.get(name)) for name in fields]
        score = "out" if trial.reason is not None else _text(trial.score)
        rows.append([*label, str(trial.stage), str(trial.number), *values, score])
    print_table(
        [*labels, "stage", "trial", *fields, "score"],
        rows,
        title=title,
        keys=len(labels) + 2,
        bold=[at for at, trial in enumerate(shown) if found.chosen[trial.label] is trial],
    )
    for reason, count in _reasons(found.trials).items():
        print_text(f"out: {count} of {len(found.trials)} trials, {reason}")


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
    several = " (± one standard error)" if "±" in str(sample) else ""
    print_text(f"{line}: {sample}{several}")


def print_explanation(report: Mapping[str, Any], metrics: Sequence[str]) -> None:
    """Print the importance of the fields, and the trials that no other one beats in all metrics.

    Args:
        report: The result of `write_search` for a search by a sampler.
        metrics: Names of the metrics.
    """
    if report["importance"]:
        parts = [f"{name} {value:.0%}" for name, value in report["importance"].items()]
        print_text(f"importance: {', '.join(parts)}")
    if len(metrics) > 1:
        rows = [
            [str(number), *map(_text, report["values"][str(number)])] for number in report["front"]
        ]
        print_table(["trial", *metrics], rows, title="trials that no other one beats")


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
