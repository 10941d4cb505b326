"""`wirelessfl deadline`: the best deadline of a scenario, by model and by training."""

from pathlib import Path
from typing import Any

import click

from studies.cli.options.grid import plot_option
from studies.cli.options.reporting import Reporting, reporting_options
from studies.cli.options.scenario import (
    DEFAULT_PRESET,
    changed,
    data_root_option,
    echo,
    json_option,
    print_json,
    scenario_argument,
    scenario_tables,
    set_option,
)
from studies.cli.options.sweep import backend_options, out_option, sweep_with_progress

EXAMPLES = """\b
Examples:
  wirelessfl deadline --to-accuracy 0.9 --set run.eval_every=1
  wirelessfl deadline wfl-fmnist --data-root DATA --total-seconds 4 --deadlines log:12ms:60ms:8 \\
      --seeds 5 --csv deadlines.csv --plot deadlines.pdf
"""


@click.command(epilog=EXAMPLES, short_help="The best deadline, by model and by training.")
@scenario_argument
@click.option("--to-accuracy", type=float, help="Test accuracy in [0, 1] to reach first.")
@click.option(
    "--total-seconds",
    type=float,
    help="Simulated seconds after which the accuracy counts, or, with --to-accuracy, the most that "
    "a run gets [run.rounds times the deadline].",
)
@click.option(
    "--deadlines",
    metavar="VALUES",
    help="Deadlines, as in --vary [log:a:b:7 from 1.1 times the fixed work to twice that of "
    "SCENARIO].",
)
@click.option("--seeds", type=int, default=3, show_default=True, help="Runs per deadline.")
@click.option("--rungs", type=int, default=3, show_default=True, help="Rungs of the halving.")
@click.option(
    "--draws",
    type=int,
    default=20,
    show_default=True,
    help="Rounds of the cell per deadline of the model.",
)
@set_option
@backend_options
@out_option("runs/studies")
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path), help="Write the table to this file."
)
@plot_option
@reporting_options
@data_root_option
@json_option
def deadline(
    scenario: str | None,
    to_accuracy: float | None,
    total_seconds: float | None,
    deadlines: str | None,
    seeds: int,
    rungs: int,
    draws: int,
    settings: tuple[str, ...],
    backend: Any,
    out: Path,
    csv_file: Path | None,
    plot_file: Path | None,
    reporting: Reporting,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Find the deadline at which SCENARIO (a TOML file or a preset) learns fastest.

    Short runs of all deadlines give the rounds needed by kept model, and successive halving trains
    the better ones further.
    """
    from studies.deadline.search import DeadlineSearch
    from studies.deadline.tables import print_best
    from studies.report import output
    from wirelessfl.config.scenario_file import from_tables
    from wirelessfl.records.run_folder import check_folder

    check_folder("--out", out)
    output.check_output("--csv", csv_file)
    output.check_output("--plot", plot_file, output.PICTURES)
    base = from_tables(changed(scenario_tables(scenario or DEFAULT_PRESET), settings))
    search = DeadlineSearch.of(
        base,
        deadlines=deadlines,
        to_accuracy=to_accuracy,
        total_seconds=total_seconds,
        seeds=seeds,
        rungs=rungs,
        draws=draws,
    )
    with reporting.reporter() as reporter:

        def run_all(experiments: list[Any], title: str) -> None:
            reporter.note(title)
            sweep_with_progress({title: experiments}, out, backend, data_root, reporter)

        found = search.run(out, run_all)
    if csv_file is not None:
        rows = found.rows()
        nan = float("nan")
        columns = {
            name: [nan if row[name] is None else row[name] for row in rows] for name in rows[0]
        }
        output.write_columns(csv_file, columns)
    if plot_file is not None:
        from studies.deadline.figures import draw_best

        title = f"{scenario or DEFAULT_PRESET}, {seeds} seeds, {found.total_s:.4g} simulated s"
        output.write_figure(plot_file, draw_best(found, title))
    if as_json:
        print_json(found.as_dict())
        return
    print_best(found)
    for file in (csv_file, plot_file):
        if file is not None:
            echo(f"written: {file}")
