"""`wirelessfl study`: a table or figure of a paper, from its experiments to its claims."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from studies.cli.options.completion import plugin_completion
from studies.cli.options.grid import plot_option
from studies.cli.options.reporting import Reporting, reporting_options
from studies.cli.options.scenario import data_root_option, echo, json_option, print_json, set_option
from studies.cli.options.sweep import (
    backend_options,
    out_option,
    sweep_with_progress,
    try_with_progress,
)

EXAMPLES = """\b
Examples:
  wirelessfl study wfl-table1
  wirelessfl study wfl-fig5 --scale paper --data-root DATA
  wirelessfl study wfl-fig4 --scale paper --learning-rate 0.01 --jobs 4
  wirelessfl study deadline-misses --seeds 5 --plot misses.pdf
  wirelessfl study ca-hfp-table1 --scale paper --set run.device=cuda --jobs 1
  wirelessfl study sps-table1 --scale reduced --data-root DATA
  wirelessfl study wfl-fig5 --scale paper --data-root DATA --dry-run
  wirelessfl study wfl-fig5 --scale paper --data-root DATA --for 2h
"""


@click.command(epilog=EXAMPLES, short_help="A table or figure of a paper, with its claims checked.")
@click.argument("name", shell_complete=plugin_completion("studies"))
@click.option(
    "--scale",
    metavar="small|reduced|paper",
    default="small",
    show_default=True,
    help="small: minutes; reduced (some studies): hours on two cores; paper: the full setting.",
)
@click.option(
    "--learning-rate", type=float, help="Train with this rate instead of the study's own."
)
@click.option("--seeds", type=int, help="Number of seeds instead of the study's own.")
@click.option(
    "--for",
    "duration",
    metavar="TIME",
    help="Stop after this time, such as 2h or 30min; the same command goes on.",
)
@click.option("--only", metavar="GLOB", help="Run only the labels that match, such as 'fedalt*'.")
@click.option("--dry-run", is_flag=True, help="Print runs, rounds, CPU hours and disk, and end.")
@click.option("--status", is_flag=True, help="Print the state of the runs of every label, and end.")
@backend_options
@out_option("runs/studies")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("runs/results"),
    show_default=True,
    help="Folder in which the folder with CSV and PNG files is written.",
)
@plot_option
@set_option
@reporting_options
@data_root_option
@json_option
def study(
    name: str,
    scale: str,
    learning_rate: float | None,
    seeds: int | None,
    settings: tuple[str, ...],
    duration: str | None,
    only: str | None,
    dry_run: bool,
    status: bool,
    backend: Any,
    out: Path,
    results: Path,
    plot_file: Path | None,
    reporting: Reporting,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Run the study NAME (see `wirelessfl list`); print its table and its checked claims."""
    from studies.report.output import PICTURES, check_output
    from studies.runner.task import OutOfTime, Until
    from studies.study.outlook import Outlook, common_seeds
    from studies.study.outlook import only as chosen
    from studies.study.study import Setting, read_runs
    from studies.study.write import (
        claim_records,
        table_records,
        write_results,
        write_study_figure,
    )
    from wirelessfl import plugins
    from wirelessfl.records.run_folder import check_folder

    check_folder("--out", out)
    check_folder("--results", results)
    check_output("--plot", plot_file, PICTURES)
    setting = Setting(scale, learning_rate, settings, seeds)
    module = plugins.load("studies", name)
    experiments = setting.experiments(module)
    searches = setting.searches(module)
    found = None
    shown = chosen(experiments, only)
    if dry_run or status:
        _print_outlook(shown, searches, out, status, as_json)
        return
    deadline = None if duration is None else Until(time.time() + _seconds(duration))
    if deadline is not None:
        backend = replace(backend, stops=(deadline,))
    try:
        with reporting.reporter() as reporter:
            if searches:
                from studies.search.search import find_best

                attempt = partial(try_with_progress, out, backend, data_root, reporter)
                found = find_best(searches, experiments, out, attempt)
                experiments = found.experiments
                shown = chosen(experiments, only)
            sweep_with_progress(shown, out, backend, data_root, reporter)
    except OutOfTime:
        pass
    planned = Outlook.of(experiments, out)
    if planned.complete < len(planned.runs):
        experiments = {} if found is None and searches else common_seeds(experiments, out)
        echo(f"{planned.sentence()}; the same command goes on", err=as_json)
        if not experiments:
            return
    partly = len(planned.runs) > sum(map(len, experiments.values()))
    folder = results / (setting.folder_name(name) + ("-partial" if partly else ""))
    runs = read_runs(experiments, out)
    table = write_results(folder, name, module, setting, experiments, runs, found)
    if plot_file is not None:
        write_study_figure(plot_file, module, runs)
    claims = claim_records(module, table)
    if as_json:
        report = {
            "study": name,
            "scale": scale,
            "results": str(folder),
            "table": table_records(table),
            "claims": claims,
        }
        print_json(report)
        return
    from studies.study.study import headline
    from studies.study.tables import print_study

    if found is not None:
        from studies.search.tables import print_trials

        print_trials(found)
    print_study(headline(name, setting, experiments), table, claims)
    echo(f"results: {folder}")


def _seconds(duration: str) -> float:
    from wirelessfl.errors import InputError
    from wirelessfl.units import parse_quantity

    try:
        seconds = parse_quantity("duration_s", duration)
    except InputError:
        seconds = None
    if seconds is None or not seconds > 0:
        raise InputError(f"--for must be a time above 0 such as 2h or 30min, got {duration!r}")
    return seconds


def _print_outlook(
    experiments: Any, searches: Any, out: Path, by_label: bool, as_json: bool
) -> None:
    """Print the state of the runs, or only the totals."""
    from studies.report.terminal import print_table, print_text
    from studies.study.outlook import Outlook

    outlook = Outlook.of(experiments, out)
    trials = sum(one.trials + one.second_trials for one in searches.values())
    if as_json:
        print_json({**outlook.totals(), "trials": trials, "labels": outlook.rows()})
        return
    if by_label:
        rows = [[_cell(cell) for cell in row.values()] for row in outlook.rows()]
        print_table([name.replace("_", " ") for name in outlook.rows()[0]], rows)
    print_text(outlook.sentence())
    if trials:
        print_text(f"the {trials} trials of the study's searches are not counted")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
