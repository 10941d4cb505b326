"""`wirelessfl search`: settings of an algorithm by random search, judged on held-out rows."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from studies.cli.options.reporting import Reporting, reporting_options
from studies.cli.options.scenario import (
    DEFAULT_PRESET,
    changed,
    data_root_option,
    echo,
    json_option,
    print_json,
    rounds_option,
    scenario_argument,
    scenario_tables,
    set_option,
)
from studies.cli.options.sweep import backend_options, out_option, try_with_progress

EXAMPLES = """\b
Examples:
  wirelessfl search digits --over training.learning_rate=1e-3:1 --evaluate-on test --trials 8
  wirelessfl search sps-blog --over training.learning_rate=1e-5:8e-5 \\
      --over training.probability=1e-3:1e-1 --local-steps 20000 --data-root DATA
  wirelessfl search mine.toml --over "training.batch_size={8,16,32}" \\
      --over training.momentum=lin:0:0.95 --metric loss
  wirelessfl search digits --over training.learning_rate=1e-3:1 --evaluate-on test \\
      --sampler tpe --pruner hyperband --trials 30 --storage runs/search/journal.log
"""


@click.command(epilog=EXAMPLES, short_help="Good settings by a two-stage random search.")
@scenario_argument
@click.option(
    "--over",
    "ranges",
    multiple=True,
    metavar="SECTION.FIELD=RANGE",
    help="A field to search: low:high (log-uniform), lin:low:high or {a,b,...}; may be repeated.",
)
@click.option(
    "--trials",
    type=int,
    default=14,
    show_default=True,
    help="Trials of the first stage, at random.",
)
@click.option(
    "--second-trials",
    type=int,
    default=6,
    show_default=True,
    help="Trials around the best of the first.",
)
@click.option(
    "--shrink",
    type=float,
    default=0.3,
    show_default=True,
    help="Width of the second ranges relative to the first.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("accuracy",),
    show_default="accuracy",
    help="accuracy, best-accuracy, loss, r2, round-seconds, bits, energy, seconds-to-accuracy, "
    "bits-to-accuracy or energy-to-accuracy; twice with --sampler nsga2.",
)
@click.option("--to-accuracy", type=float, help="The accuracy of metrics ...-to-accuracy.")
@click.option(
    "--sampler",
    help="tpe, random, grid or nsga2 of Optuna propose --trials settings, in place of two stages.",
)
@click.option(
    "--pruner",
    default="none",
    show_default=True,
    help="median, halving or hyperband: stop bad trials after 1/9 or 1/3 of their rounds.",
)
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="METRIC<=VALUE",
    help="A limit of a metric, for --sampler tpe or nsga2; may be repeated.",
)
@click.option(
    "--storage",
    type=click.Path(path_type=Path),
    help="Journal file with the trials, which several processes and machines may share.",
)
@click.option(
    "--evaluate-on",
    default="validation",
    show_default=True,
    help="Rows on which trials are judged [training.evaluate_on]; repeats use those of SCENARIO.",
)
@click.option(
    "--repeats",
    type=int,
    default=5,
    show_default=True,
    help="Number of seeds with which the best trial is repeated.",
)
@click.option(
    "--seed",
    type=int,
    help="Seed of the draws and of the trials [run.seed]; repeats use the following ones.",
)
@click.option(
    "--local-steps", type=int, help="Budget of local steps per run, in place of run.rounds."
)
@set_option
@rounds_option
@backend_options
@out_option("runs/search")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Folder for trials.csv, best.toml and search.json [runs/results/search-SCENARIO].",
)
@reporting_options
@data_root_option
@json_option
def search(
    scenario: str | None,
    ranges: tuple[str, ...],
    trials: int,
    second_trials: int,
    shrink: float,
    metrics: tuple[str, ...],
    to_accuracy: float | None,
    sampler: str | None,
    pruner: str,
    constraints: tuple[str, ...],
    storage: Path | None,
    evaluate_on: str,
    repeats: int,
    seed: int | None,
    local_steps: int | None,
    settings: tuple[str, ...],
    rounds: int | None,
    backend: Any,
    out: Path,
    results: Path | None,
    reporting: Reporting,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Search settings of SCENARIO (a TOML file or a preset) at random, then around the best.

    The best settings are repeated with further seeds.
    """
    from dataclasses import replace

    from studies.search.ranges import parse_space
    from studies.search.search import Search, find_best
    from studies.search.tables import print_best, print_explanation, print_trials
    from studies.search.write import write_search
    from wirelessfl.border.budget import check_budget
    from wirelessfl.config.scenario_file import from_tables
    from wirelessfl.errors import check_count
    from wirelessfl.records.run_folder import check_folder

    name = Path(scenario or DEFAULT_PRESET).stem
    folder = results or Path("runs/results") / f"search-{name}"
    check_folder("--out", out)
    check_folder("--results", folder)
    check_count("--repeats", repeats)
    check_budget(f"--repeats {repeats}", "runs", repeats)
    base = from_tables(
        changed(
            scenario_tables(scenario or DEFAULT_PRESET),
            settings,
            run__rounds=rounds,
            run__seed=seed,
        )
    )
    one = Search(
        space=parse_space(ranges),
        trials=trials,
        second_trials=second_trials if sampler is None else 0,
        shrink=shrink,
        seed=base.run.seed,
        metric=metrics[0],
        to_accuracy=to_accuracy,
        evaluate_on=evaluate_on,
        local_steps=local_steps,
    )
    seeds = range(one.seed + 1, one.seed + 1 + repeats)
    planned = [replace(base, run=replace(base.run, seed=number)) for number in seeds]
    sampled = _sampled(one, metrics, sampler, pruner, constraints, storage, backend.jobs)
    more: dict[str, Any] = {}
    with reporting.reporter() as reporter:
        attempt = partial(try_with_progress, out, backend, data_root, reporter)
        if sampled is None:
            found = find_best({name: one}, {name: planned}, out, attempt)
        else:
            from studies.search.sampled import sample_best

            result = sample_best(name, sampled, planned, out, attempt)
            found = result.found
            more = {
                "sampler": sampler,
                "pruner": pruner,
                "importance": dict(result.importance),
                "front": list(result.front),
                "values": {str(number): list(row) for number, row in result.values.items()},
            }
        report = write_search(folder, out, name, one, found, more)
        if sampled is not None:
            from studies.search.figures import draw_trials

            draw_trials(folder / "trials.png", one, found)
    if as_json:
        print_json(report)
        return
    print_trials(found)
    print_best(report)
    if sampled is not None:
        print_explanation(report, metrics)
    echo(f"results: {folder}")


def _sampled(
    one: Any,
    metrics: tuple[str, ...],
    sampler: str | None,
    pruner: str,
    constraints: tuple[str, ...],
    storage: Path | None,
    jobs: int,
) -> Any:
    """The search by a sampler; None for the random search in two stages."""
    from studies.search.metrics import Constraint
    from studies.search.sampled import SampledSearch
    from wirelessfl.errors import InputError

    if sampler is None:
        given = {
            "--pruner": pruner != "none",
            "--constraint": constraints,
            "--storage": storage,
            "a second --metric": len(metrics) > 1,
        }
        for option, value in given.items():
            if value:
                raise InputError(f"{option} needs --sampler, got none")
        return None
    if len(metrics) > 2:
        raise InputError(f"--metric must be given at most twice, got {len(metrics)} times")
    return SampledSearch(
        search=one,
        sampler=sampler,
        pruner=pruner,
        second_metric=metrics[1] if len(metrics) > 1 else None,
        constraints=tuple(map(Constraint.parse, constraints)),
        storage=storage,
        batch=jobs,
    )
