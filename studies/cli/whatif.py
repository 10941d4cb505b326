"""`wirelessfl whatif`: allocations for other values of one or two fields of a scenario."""

from pathlib import Path

import click

from studies.cli.options.completion import plugin_completion
from studies.cli.options.grid import plot_option, vary_option
from studies.cli.options.scenario import (
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
  wirelessfl whatif --vary scenario.deadline_s=15ms:30ms:31
  wirelessfl whatif wfl-fmnist --vary scenario.deadline_s=15ms:30ms:31 \\
      --vary scenario.bandwidth_hz=10MHz,20MHz,40MHz --draws 200 --plot whatif.pdf
  wirelessfl whatif --vary scenario.transmit_power_dbm=10:30:11 --vary allocation.method=exact,equal
"""
DRAWS = 100


@click.command(epilog=EXAMPLES)
@scenario_argument
@vary_option
@click.option(
    "--method",
    help="Allocator [allocation.method].",
    shell_complete=plugin_completion("allocators"),
)
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
@plot_option
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
    from studies.views.whatif.tables import as_dict, columns, print_what_if
    from studies.views.whatif.vary import Vary
    from studies.views.whatif.whatif import Sweep

    output.check_output("--csv", csv_file)
    output.check_output("--plot", plot_file, output.PICTURES)
    tables = changed(
        scenario_tables(scenario or DEFAULT_PRESET), settings, allocation__method=method
    )
    asked = next((count for count in (draws, drops) if count is not None), DRAWS)
    axes = tuple(Vary.parse(text) for text in varied)
    sweep = Sweep(tables, axes, asked, drops)
    result = sweep.run()
    found = sweep.breakpoints()
    if csv_file is not None:
        output.write_columns(csv_file, columns(result, axes))
    if plot_file is not None:
        from studies.views.whatif.figures import draw_what_if

        parts = [scenario or DEFAULT_PRESET]
        if "allocation.method" not in result.axes:
            parts.append(tables.get("allocation", {}).get("method", "exact"))
        drops = len(sweep.seeds)
        parts.append(f"{sweep.sampled} channel draws in {drops} drop{'s' if drops > 1 else ''}")
        title = ", ".join(parts)
        output.write_figure(plot_file, draw_what_if(result, found, title, axes))
    if as_json:
        print_json(as_dict(result, found, sweep))
        return
    print_what_if(result, found, sweep)
