"""The deadline as a decision: the choice of a model fitted to short runs against training."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from studies.deadline.laws import LAWS, ShortRuns, kept_model
from studies.papers.wfl._wfl import SCENARIO_S
from studies.report.curves import COLOURS, LINES, draw_over_time, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table, Verdict, over_seeds
from studies.report.summaries import first_reached
from wirelessfl.config.scenario_file import Tables, from_tables, merge, read_tables
from wirelessfl.experiment import Experiment

SEEDS = (0, 1, 2)
DIGITS = Path(__file__).parents[2] / "presets" / "digits.toml"
DEADLINES_MS = {
    "small": (6.5, 9.0, 13.0, 18.0, 25.0, 35.0),
    "paper": (7.0, 10.0, 15.0, 20.0, 25.0, 35.0),
}
TOTAL_S = {"small": 0.9, "paper": 8.0}  # simulated seconds of a run
EVAL_EVERY = {"small": 1, "paper": 2}
TARGETS = (0.75, 0.9)  # accuracies
SHORT = 1 / 3  # part of a run that the model sees
TOLERANCE = 0.1  # excess of time over the best deadline that a choice may cost
PAPER: Tables = {"training": {"learning_rate": 0.01}}  # 0.001 would take some hours of training
SECONDS = {target: f"seconds_to_{100 * target:.0f}" for target in TARGETS}
MODEL = {name: f"{name}_seconds" for name in LAWS}


def label_of(deadline_ms: float) -> str:
    """The row of a deadline."""
    return f"{deadline_ms:g} ms"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Scenario S (small: the digits) for the same simulated time under every deadline and seed."""
    base = merge(SCENARIO_S, PAPER) if scale == "paper" else read_tables(DIGITS)
    planned = {}
    for deadline_ms in DEADLINES_MS[scale]:
        rounds = round(1e3 * TOTAL_S[scale] / deadline_ms)
        run = {"rounds": rounds, "eval_every": EVAL_EVERY[scale]}
        one = from_tables(
            {**merge(base, {"scenario": {"deadline_s": deadline_ms / 1e3}}), "run": run}
        )
        planned[label_of(deadline_ms)] = [
            replace(one, run=replace(one.run, seed=seed)) for seed in SEEDS
        ]
    return planned


def table(runs: Runs) -> Table:
    """Kept model, round length, seconds to both accuracies, rounds, and the models' seconds.

    Where a run does not reach an accuracy the seconds are those of its end.
    """
    models = _model_seconds(runs)
    return Table(
        tuple(
            {
                "deadline": label,
                "kept_model": over_seeds(seeds, kept_model),
                "round_ms": over_seeds(seeds, lambda run: 1e3 * _round_s(run)),
                "rounds_to": over_seeds(seeds, lambda run: first_reached(run, TARGETS[0])),
                **{SECONDS[target]: over_seeds(seeds, _seconds_to(target)) for target in TARGETS},
                **{MODEL[name]: samples[label] for name, samples in models.items()},
            }
            for label, seeds in runs.items()
        )
    )


def _seconds_to(target: float) -> Callable[[Run], float]:
    return lambda run: first_reached(run, target, "clock_s")


def _round_s(run: Run) -> float:
    return float(run.series("round_s").mean())


def _model_seconds(runs: Runs) -> dict[str, dict[str, Sample]]:
    """Law -> deadline -> seconds to a level by a law fitted to the start of the runs, per seed."""
    every = list(runs.values())
    total_s = min(float(run.series("clock_s")[-1]) for seeds in every for run in seeds)
    short = ShortRuns(every, SHORT * total_s)
    found: dict[str, dict[str, Sample]] = {}
    for name, fit in LAWS.items():
        laws = [fit(*needed) for needed in short.needed()]
        found[name] = {
            label: Sample(
                tuple(
                    _round_s(run) * float(law.rounds(kept_model(run)))
                    for law, run in zip(laws, seeds, strict=True)
                )
            )
            for label, seeds in runs.items()
        }
    return found


def _labels(table: Table) -> list[str]:
    return [str(row["deadline"]) for row in table.rows]


def _least(table: Table, column: str) -> str:
    """The deadline with the least mean of a column."""
    return min(_labels(table), key=lambda label: table.sample(label, column).mean)


def _choice_is_near(table: Table, name: str, target: float) -> Verdict:
    """Check that the choice of a law takes at most `TOLERANCE` more time than the best deadline."""
    chosen, best = _least(table, MODEL[name]), _least(table, SECONDS[target])
    mine, least = (table.sample(label, SECONDS[target]) for label in (chosen, best))
    return Verdict.of(
        [least.scaled(1.0 + TOLERANCE) - mine],
        f"chosen {chosen}: {mine} s, best by training {best}: {least} s",
    )


def _best_is_inside(table: Table, target: float) -> Verdict:
    labels, column = _labels(table), SECONDS[target]
    best = _least(table, column)
    inside = best not in (labels[0], labels[-1])
    rivals = [labels[0], labels[-1]] if inside else [label for label in labels if label != best]
    least = table.sample(best, column)
    leads = [table.sample(label, column) - least for label in rivals]
    figures = ", ".join(f"{label}: {table.sample(label, column)} s" for label in labels)
    verdict = Verdict.of(leads, f"best {best}; {figures}")
    return replace(verdict, holds=inside)


def _more_model_needs_fewer_rounds(table: Table) -> Verdict:
    labels = _labels(table)
    first, last = (table.sample(label, "rounds_to") for label in (labels[0], labels[-1]))
    return Verdict.of([first - last], f"{labels[0]}: {first} rounds, {labels[-1]}: {last} rounds")


def _paper_deadline_is_slower(table: Table, target: float) -> Verdict:
    best = _least(table, SECONDS[target])
    least, paper = (table.sample(label, SECONDS[target]) for label in (best, label_of(25.0)))
    return Verdict.of([paper - least], f"25 ms: {paper} s, {best}: {least} s")


CLAIMS = (
    *(
        Claim(
            f"To accuracy {target:g}, {chosen} from the first third of the runs takes at most 10 % "
            "more time than the best deadline",
            partial(_choice_is_near, name=name, target=target),
        )
        for target in TARGETS
        for name, chosen in (
            ("power", "the choice of the power law"),
            ("bound", "the choice of the form of the bound, [WFL] eq. (31),"),
        )
    ),
    *(
        Claim(
            f"The best deadline to accuracy {target:g} is neither the shortest nor the longest",
            partial(_best_is_inside, target=target),
        )
        for target in TARGETS
    ),
    Claim("A longer deadline needs fewer rounds", _more_model_needs_fewer_rounds),
    *(
        Claim(
            f"To accuracy {target:g}, the deadline of the paper, 25 ms, takes longer than the best",
            partial(_paper_deadline_is_slower, target=target),
        )
        for target in TARGETS
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) time to the accuracies over the deadline, both roads; (b) accuracy over time."""
    left, right = panels(figure, 2)
    found = table(runs)
    labels = _labels(found)
    places = np.array([float(label.removesuffix(" ms")) for label in labels])
    names = {SECONDS[target]: f"trained, to {target:g}" for target in TARGETS} | {
        column: f"model, {name}" for name, column in MODEL.items()
    }
    for index, (column, name) in enumerate(names.items()):
        samples = [found.sample(label, column) for label in labels]
        least = min(sample.mean for sample in samples)
        left.errorbar(
            places * (1.0 + 0.01 * index),
            [sample.mean / least for sample in samples],
            yerr=[sample.standard_error / least for sample in samples],
            label=name,
            color=COLOURS[index],
            linestyle=LINES[index % len(LINES)],
            marker="o",
            markersize=4,
            capsize=3,
        )
    left.set(
        xlabel="deadline (ms)",
        ylabel="time over the least",
        title="(a) time to accuracy",
        ylim=(0, None),
    )
    left.grid(alpha=0.3)
    left.legend(fontsize="x-small", frameon=False)
    draw_over_time(right, runs, "accuracy", "(b) training")
    legend_below(figure, right)
