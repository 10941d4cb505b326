"""`wirelessfl study`: a table or figure of a paper, from its experiments to its claims."""

import json
import os
from pathlib import Path
from typing import Any

import click

from studies.cli._scenario import data_root_option, json_option, set_option

EXAMPLES = """\b
Examples:
  wirelessfl study wfl-table1
  wirelessfl study wfl-fig5 --scale paper --data-root DATA
  wirelessfl study wfl-fig4 --scale paper --learning-rate 0.01 --jobs 4
  wirelessfl study ca-hfp-table1 --scale paper --set run.device=cuda --jobs 1
"""


@click.command(epilog=EXAMPLES, short_help="A table or figure of a paper, with its claims checked.")
@click.argument("name")
@click.option(
    "--scale",
    metavar="small|paper",
    default="small",
    show_default=True,
    help="small: minutes; paper: the full setting.",
)
@click.option("--learning-rate", type=float, help="Train with this rate instead of the study's own.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=os.cpu_count(), help="Runs at the same time [number of cores]."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/studies"),
    show_default=True,
    help="Run folders, shared between studies; complete ones are not run again, partial ones go on.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("runs/results"),
    show_default=True,
    help="Where the folder with CSV and PNG goes.",
)
@set_option
@data_root_option
@json_option
def study(
    name: str,
    scale: str,
    learning_rate: float | None,
    settings: tuple[str, ...],
    jobs: int,
    out: Path,
    results: Path,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Run the study NAME (see `wirelessfl list`); print its table and which of the paper's claims hold."""
    from studies.report.study import Setting, read_runs
    from studies.report.write import claim_records, table_records, write_results
    from wirelessfl import plugins
    from wirelessfl.records import check_folder

    check_folder("--out", out)
    check_folder("--results", results)
    setting = Setting(scale, learning_rate, settings)
    module = plugins.load("studies", name)
    experiments = setting.experiments(module)
    _sweep(experiments, out, jobs, data_root)
    folder = results / setting.folder_name(name)
    table = write_results(folder, name, module, setting, experiments, read_runs(experiments, out))
    claims = claim_records(module, table)
    if as_json:
        found = {"study": name, "scale": scale, "results": str(folder), "table": table_records(table), "claims": claims}
        click.echo(json.dumps(found, indent=2))
        return
    from studies.report.study import headline
    from studies.report.study_tables import print_study

    print_study(headline(name, setting, experiments), table, claims)
    click.echo(f"results: {folder}")


def _sweep(experiments: Any, out: Path, jobs: int, data_root: Path | None) -> None:
    """Bring every run to its end under one progress bar over all rounds of all runs."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from studies.report.sweep import folder_of, sweep, worker_processes

    runs = {folder_of(experiment, out): experiment for seeds in experiments.values() for experiment in seeds}
    total = sum(experiment.run.rounds for experiment in runs.values())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rounds"))
    with (
        Progress(*columns, TimeRemainingColumn(elapsed_when_finished=True), console=Console(stderr=True)) as progress,
        worker_processes(min(jobs, len(runs))) as executor,
    ):
        bar = progress.add_task(f"{len(runs)} runs", total=total)
        sweep(
            runs.values(),
            out,
            executor=executor,
            data_root=data_root,
            on_progress=lambda done: progress.update(bar, completed=done.rounds),
            notify=lambda line: progress.console.print(f"note: {line}", markup=False, soft_wrap=True),
        )
