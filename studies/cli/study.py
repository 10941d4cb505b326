"""`wirelessfl study`: a table or figure of a paper, from its experiments to its claims."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from studies.cli._scenario import data_root_option, echo, json_option, print_json, set_option
from studies.cli.options.completion import plugin_completion
from studies.cli.options.grid import plot_option
from studies.cli.options.reporting import Reporting, reporting_options
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
    with reporting.reporter() as reporter:
        if searches:
            from studies.search.search import find_best

            attempt = partial(try_with_progress, out, backend, data_root, reporter)
            found = find_best(searches, experiments, out, attempt)
            experiments = found.experiments
        sweep_with_progress(experiments, out, backend, data_root, reporter)
        folder = results / setting.folder_name(name)
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
