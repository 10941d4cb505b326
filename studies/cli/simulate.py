"""`wirelessfl simulate`: the cell alone over many rounds, for one scenario or a grid of them."""

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
    echo,
    json_option,
    print_json,
    rounds_option,
    scenario_argument,
    scenario_tables,
    seed_option,
    set_option,
)

EXAMPLES = """\b
Examples:
  wirelessfl simulate --rounds 500 --plot latency.pdf
  wirelessfl simulate --set channel.csi=mean --timeline round.png
  wirelessfl simulate --set scenario.packet_error=waterfall --timeline round.pdf --round 7
  wirelessfl simulate --vary scenario.bandwidth_hz=3MHz:6MHz:4 --vary channel.csi=perfect,mean \\
      --measure miss_rate --csv misses.csv --plot misses.pdf
"""


@click.command(
    epilog=EXAMPLES, short_help="Latency, deadline misses, band and energy, without training."
)
@scenario_argument
@rounds_option
@seed_option
@vary_option
@zip_option
@seeds_option
@set_option
@click.option(
    "--timeline",
    type=click.Path(path_type=Path),
    help="Write a timeline of one round to this file (png, pdf, svg).",
)
@click.option("--round", "seen", type=int, help="The round to draw, from 1 [the last].")
@grid_files_options
@reporting_options
@json_option
def simulate(
    scenario: str | None,
    rounds: int | None,
    seed: int | None,
    varied: tuple[str, ...],
    zipped: bool,
    seeds: int | None,
    settings: tuple[str, ...],
    timeline: Path | None,
    seen: int | None,
    files: GridFiles,
    reporting: Reporting,
    as_json: bool,
) -> None:
    """Simulate channel, allocation and cell of SCENARIO (a TOML file or a preset); no training.

    Without --vary the CSV file has a row per round and client, and the figure shows the latencies;
    with it they are those of wirelessfl sweep.
    """
    from studies.report import output

    output.check_output("--timeline", timeline, output.PICTURES)
    _check_options(varied, zipped, seeds, timeline, seen, files)
    files.check()
    name = scenario or DEFAULT_PRESET
    tables = changed(scenario_tables(name), settings, run__rounds=rounds, run__seed=seed)
    if varied:
        count = SEEDS if seeds is None else seeds
        _simulate_grid(tables, varied, count, zipped, files, reporting, as_json)
    else:
        _simulate_one(tables, name, timeline, seen, files, reporting, as_json)


def _check_options(
    varied: tuple[str, ...],
    zipped: bool,
    seeds: int | None,
    timeline: Path | None,
    seen: int | None,
    files: GridFiles,
) -> None:
    """Refuse options that would have no effect."""
    from wirelessfl.errors import InputError

    if seen is not None and timeline is None:
        raise InputError(f"--round {seen} says which round --timeline draws: give both")
    if varied and timeline is not None:
        raise InputError(f"--timeline {timeline} shows one scenario: leave --vary or it out")
    given = {"--zip": zipped, "--seeds": seeds is not None, "--measure": bool(files.measures)}
    for option in (option for option, is_given in given.items() if is_given and not varied):
        raise InputError(f"{option} needs --vary SECTION.FIELD=VALUES, got none")


def _simulate_grid(
    tables: dict[str, dict[str, Any]],
    varied: tuple[str, ...],
    seeds: int,
    zipped: bool,
    files: GridFiles,
    reporting: Reporting,
    as_json: bool,
) -> None:
    from studies.grid.points import grid
    from studies.grid.simulated import simulate_grid
    from studies.grid.tables import print_sweep
    from wirelessfl.config.axis import Axis

    axes = [Axis.parse(text) for text in varied]
    points = grid(tables, axes, seeds=seeds, zipped=zipped)
    every = [experiment for point in points for experiment in point.experiments]
    total = sum(experiment.run.rounds for experiment in every)
    with reporting.reporter() as reporter:
        with reporter.tracker(f"{len(every)} simulations", total) as tracker:
            result = simulate_grid(axes, points, tracker.advance)
        files.write(result)
    if as_json:
        print_json({"points": result.point_rows(), "runs": result.run_rows()})
        return
    print_sweep(result)
    for file in files.all:
        echo(f"written: {file}")


def _simulate_one(
    tables: dict[str, dict[str, Any]],
    name: str,
    timeline: Path | None,
    seen: int | None,
    files: GridFiles,
    reporting: Reporting,
    as_json: bool,
) -> None:
    from studies.report.output import write_columns, write_figure
    from studies.report.style import figure_style
    from studies.views.simulation.simulation import check_round, summary
    from studies.views.simulation.simulation import simulate as simulate_rounds
    from studies.views.simulation.tables import long_table, print_simulation
    from wirelessfl.config.scenario_file import from_tables

    experiment = from_tables(tables)
    rounds = experiment.run.rounds
    drawn = None
    if timeline is not None:
        drawn = check_round(experiment, rounds if seen is None else seen)
    with reporting.reporter() as reporter:
        tracker = reporter.tracker("rounds", rounds)
        try:
            found = simulate_rounds(
                experiment, seen=drawn, on_start=tracker.start, on_round=tracker.record
            )
        finally:
            tracker.stop()
    if timeline is not None:
        from studies.views.simulation.timeline_figures import draw_timeline

        write_figure(timeline, draw_timeline(found, Path(name).stem))
    if files.csv_file is not None:
        write_columns(files.csv_file, long_table(found))
    if files.plot_file is not None:
        from studies.views.simulation.figures import draw_latencies

        with figure_style(files.style) as colours:
            write_figure(files.plot_file, draw_latencies(found, files.panel_inches(), colours))
    if as_json:
        print_json(summary(found))
    else:
        print_simulation(summary(found))
