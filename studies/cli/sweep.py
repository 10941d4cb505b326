"""`wirelessfl sweep`: a grid over any fields, several seeds per point, with or without training."""

import os
from pathlib import Path

import click

from studies.cli._scenario import (
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
from studies.cli._sweep import all_with_progress

EXAMPLES = """\b
Examples:
  wirelessfl sweep --vary scenario.deadline_s=15ms:35ms:5 --vary allocation.method=exact,equal
  wirelessfl sweep --vary scenario.bandwidth_hz=2MHz,4MHz,8MHz --set run.train=false --seeds 20
  wirelessfl sweep wfl-fmnist --vary scenario.deadline_s=10ms:40ms:7 --vary \\
      training.algorithm=fedalt,fedsim --seeds 5 --to-accuracy 0.9 --csv t.csv --plot t.pdf
"""


@click.command(epilog=EXAMPLES, short_help="A grid over any fields, with seeds, tables and plots.")
@scenario_argument
@click.option(
    "--vary",
    "varied",
    multiple=True,
    required=True,
    metavar="SECTION.FIELD=VALUES",
    help="A field and its values: a:b:n, log:a:b:n or a list, with units such as 5MHz or 23dBm.",
)
@click.option("--zip", "zipped", is_flag=True, help="Vary the fields together, not as a grid.")
@click.option("--seeds", type=int, default=5, show_default=True, help="Runs per point.")
@click.option("--to-accuracy", type=float, help="Report seconds, bits and joules to it, in [0, 1].")
@click.option("--rounds", type=int, help="Number of rounds [run.rounds].")
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
    help="Run folders; complete ones are not run again, partial ones are continued.",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path),
    help="Table with a row per run; NAME-points.csv beside it has a row per point.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Figure: .pdf, .svg or .png.")
@click.option("--measure", "measures", multiple=True, help="Measure to plot; may be repeated.")
@click.option("--size", metavar="WxH", help="Size of a panel in inches [3.5x2.6].")
@set_option
@data_root_option
@json_option
def sweep(
    scenario: str | None,
    varied: tuple[str, ...],
    zipped: bool,
    seeds: int,
    to_accuracy: float | None,
    rounds: int | None,
    jobs: int,
    out: Path,
    csv_file: Path | None,
    plot: Path | None,
    measures: tuple[str, ...],
    size: str | None,
    settings: tuple[str, ...],
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Run SCENARIO (a TOML file or a preset) for all combinations of the varied fields."""
    from studies.grid.axis import Axis
    from studies.grid.figures import PANEL_INCHES, draw_sweep
    from studies.grid.measures import SHOWN
    from studies.grid.points import grid
    from studies.grid.result import SweepResult
    from studies.grid.tables import print_sweep
    from studies.report.csv_files import write_records
    from studies.report.output import PICTURES, check_output, write_figure
    from wirelessfl.errors import InputError, check_choice, check_number
    from wirelessfl.records.run_folder import check_folder

    points_file = csv_file and csv_file.with_name(f"{csv_file.stem}-points{csv_file.suffix}")
    check_folder("--out", out)
    check_output("--csv", csv_file)
    check_output("--csv", points_file)
    check_output("--plot", plot, PICTURES)
    for name in measures:
        check_choice("--measure", name, tuple(SHOWN))
    panel_inches = PANEL_INCHES if size is None else _inches(size)
    if to_accuracy is not None:
        check_number("--to-accuracy", to_accuracy, at_least=0, at_most=1)
    tables = changed(scenario_tables(scenario or DEFAULT_PRESET), settings, run__rounds=rounds)
    axes = [Axis.parse(text) for text in varied]
    points = grid(tables, axes, seeds=seeds, zipped=zipped)
    failures = all_with_progress(
        [experiment for point in points for experiment in point.experiments], out, jobs, data_root
    )
    result = SweepResult.read(axes, points, out, to_accuracy)
    if not result.names:
        raise InputError(failures[0])
    if csv_file is not None and points_file is not None:
        write_records(csv_file, result.run_rows())
        write_records(points_file, result.point_rows())
    if plot is not None:
        write_figure(plot, draw_sweep(result, measures or None, panel_inches))
    if as_json:
        print_json({"points": result.point_rows(), "runs": result.run_rows()})
    else:
        print_sweep(result)
        for file in (csv_file, points_file, plot):
            if file is not None:
                echo(f"written: {file}")
    if failures:
        total = sum(len(point.experiments) for point in points)
        raise InputError(f"{len(failures)} of {total} runs failed: {failures[0]}")


def _inches(size: str) -> tuple[float, float]:
    from wirelessfl.errors import InputError, check_number

    try:
        width, height = (float(part) for part in size.split("x"))
    except ValueError:
        raise InputError(f"--size must be WIDTHxHEIGHT in inches, got {size!r}") from None
    check_number("--size", [width, height], at_least=1, at_most=40)
    return width, height
