"""`wirelessfl whatif`: allocations for other values of one or two fields of a scenario."""

from pathlib import Path

import click

from studies.cli._scenario import (
    DEFAULT_PRESET,
    changed,
    json_option,
    print_json,
    scenario_argument,
    scenario_tables,
    set_option,
)

EXAMPLES = """\b
Examples:
  wirelessfl whatif --vary scenario.deadline_s=0.015:0.030:31
  wirelessfl whatif wfl-fmnist --vary scenario.deadline_s=0.015:0.030:31 \\
      --vary scenario.bandwidth_hz=10e6,20e6,40e6 --draws 200 --plot whatif.pdf
  wirelessfl whatif --vary scenario.transmit_power_dbm=10:30:11 --method equal --csv power.csv
"""
DRAWS = 100


@click.command(epilog=EXAMPLES)
@scenario_argument
@click.option(
    "--vary",
    "varied",
    multiple=True,
    metavar="SECTION.FIELD=VALUES",
    help="A field and its values, start:stop:count or a,b,...; twice for a grid.",
)
@click.option("--method", help="Allocator [allocation.method].")
@click.option(
    "--draws",
    type=int,
    help="Channel draws, the same for every point [100, or --drops].",
)
@click.option(
    "--drops",
    type=int,
    help="Drops over which the draws are spread, with new positions in each [as many as draws "
    "where the channel draws positions, else 1].",
)
@set_option
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path), help="Write the table to this file."
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(path_type=Path),
    help="Write the figure to this file (png, pdf, svg).",
)
@json_option
def whatif(
    scenario: str | None,
    varied: tuple[str, ...],
    method: str | None,
    draws: int | None,
    drops: int | None,
    settings: tuple[str, ...],
    csv_file: Path | None,
    plot_file: Path | None,
    as_json: bool,
) -> None:
    """Allocate SCENARIO (a TOML file or a preset) for other values of one or two of its fields."""
    from studies.report import output
    from studies.views.whatif.tables import as_dict, print_what_if
    from studies.views.whatif.vary import Vary
    from studies.views.whatif.whatif import Sweep

    output.check_output("--csv", csv_file)
    output.check_output("--plot", plot_file, output.PICTURES)
    tables = changed(
        scenario_tables(scenario or DEFAULT_PRESET), settings, allocation__method=method
    )
    asked = next((count for count in (draws, drops) if count is not None), DRAWS)
    sweep = Sweep(tables, tuple(Vary.parse(text) for text in varied), asked, drops)
    result = sweep.run()
    found = sweep.breakpoints()
    if csv_file is not None:
        output.write_columns(csv_file, result.table())
    if plot_file is not None:
        from studies.views.whatif.figures import draw_what_if

        allocator = tables.get("allocation", {}).get("method", "exact")
        draws_in_drops = f"{sweep.sampled} channel draws in {len(sweep.seeds)} drops"
        title = f"{scenario or DEFAULT_PRESET}, {allocator}, {draws_in_drops}"
        output.write_figure(plot_file, draw_what_if(result, found, title))
    if as_json:
        print_json(as_dict(result, found, sweep))
        return
    print_what_if(result, found, sweep)
