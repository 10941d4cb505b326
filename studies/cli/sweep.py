"""`wirelessfl sweep`: a grid over any fields, several seeds per point, with or without training."""

from pathlib import Path
from typing import Any

import click

from studies.cli.options.grid import (
    SEEDS,
    GridFiles,
    grid_files_options,
    seeds_option,
    vary_option,
    zip_option,
)
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
from studies.cli.options.sweep import all_with_progress, backend_options, out_option

EXAMPLES = """\b
Examples:
  wirelessfl sweep --vary scenario.deadline_s=15ms:35ms:5 --vary allocation.method=exact,equal
  wirelessfl sweep --vary scenario.bandwidth_hz=2MHz,4MHz,8MHz --set run.train=false --seeds 20
  wirelessfl sweep wfl-fmnist --vary scenario.deadline_s=10ms:40ms:7 --vary \\
      training.algorithm=fedalt,fedsim --seeds 5 --to-accuracy 0.9 --csv t.csv --plot t.pdf
"""


@click.command(epilog=EXAMPLES, short_help="A grid over any fields, with seeds, tables and plots.")
@scenario_argument
@vary_option
@zip_option
@seeds_option
@click.option("--to-accuracy", type=float, help="Report seconds, bits and joules to it, in [0, 1].")
@rounds_option
@backend_options
@out_option("runs/studies")
@grid_files_options
@set_option
@reporting_options
@data_root_option
@json_option
def sweep(
    scenario: str | None,
    varied: tuple[str, ...],
    zipped: bool,
    seeds: int | None,
    to_accuracy: float | None,
    rounds: int | None,
    backend: Any,
    out: Path,
    files: GridFiles,
    settings: tuple[str, ...],
    reporting: Reporting,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Run SCENARIO (a TOML file or a preset) for all combinations of the varied fields."""
    from studies.grid.points import grid
    from studies.grid.result import SweepResult
    from studies.grid.tables import print_sweep
    from wirelessfl.config.axis import Axis
    from wirelessfl.errors import InputError, check_number
    from wirelessfl.records.run_folder import check_folder

    if not varied:
        raise InputError("--vary must name at least one field, got none")
    check_folder("--out", out)
    files.check()
    if to_accuracy is not None:
        check_number("--to-accuracy", to_accuracy, at_least=0, at_most=1)
    axes = [Axis.parse(text) for text in varied]
    tables = changed(scenario_tables(scenario or DEFAULT_PRESET), settings, run__rounds=rounds)
    points = grid(tables, axes, seeds=SEEDS if seeds is None else seeds, zipped=zipped)
    every = [experiment for point in points for experiment in point.experiments]
    with reporting.reporter() as reporter:
        failures = all_with_progress(every, out, backend, data_root, reporter)
        result = SweepResult.read(axes, points, out, to_accuracy)
        if not result.names:
            raise InputError(failures[0])
        files.write(result)
        if as_json:
            print_json({"points": result.point_rows(), "runs": result.run_rows()})
        else:
            print_sweep(result, to_accuracy)
            for file in files.all:
                echo(f"written: {file}")
        if failures:
            raise InputError(f"{len(failures)} of {len(every)} runs failed: {failures[0]}")
