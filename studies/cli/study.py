"""`wirelessfl study`: a table or figure of a paper, from its experiments to its claims."""

import os
from functools import partial
from pathlib import Path

import click

from studies.cli._scenario import data_root_option, echo, json_option, print_json, set_option
from studies.cli._sweep import sweep_with_progress, try_with_progress

EXAMPLES = """\b
Examples:
  wirelessfl study wfl-table1
  wirelessfl study wfl-fig5 --scale paper --data-root DATA
  wirelessfl study wfl-fig4 --scale paper --learning-rate 0.01 --jobs 4
  wirelessfl study ca-hfp-table1 --scale paper --set run.device=cuda --jobs 1
  wirelessfl study sps-table1 --scale reduced --data-root DATA
"""


@click.command(epilog=EXAMPLES, short_help="A table or figure of a paper, with its claims checked.")
@click.argument("name")
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
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count(),
    help="Runs at the same time [number of cores].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/studies"),
    show_default=True,
    help="Run folders, shared between studies; complete ones are skipped, partial ones resumed.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("runs/results"),
    show_default=True,
    help="Folder in which the folder with CSV and PNG files is written.",
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
    """Run the study NAME (see `wirelessfl list`); print its table and its checked claims."""
    from studies.study.study import Setting, read_runs
    from studies.study.write import claim_records, table_records, write_results
    from wirelessfl import plugins
    from wirelessfl.records.run_folder import check_folder

    check_folder("--out", out)
    check_folder("--results", results)
    setting = Setting(scale, learning_rate, settings)
    module = plugins.load("studies", name)
    experiments = setting.experiments(module)
    searches = setting.searches(module)
    found = None
    if searches:
        from studies.search.search import find_best

        found = find_best(
            searches, experiments, out, partial(try_with_progress, out, jobs, data_root)
        )
        experiments = found.experiments
    sweep_with_progress(experiments, out, jobs, data_root)
    folder = results / setting.folder_name(name)
    table = write_results(
        folder, name, module, setting, experiments, read_runs(experiments, out), found
    )
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
