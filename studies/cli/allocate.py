"""`wirelessfl allocate`: bandwidth and pruning ratios of one round, with prices and certificate."""

from pathlib import Path
from typing import Any

import click

from studies.cli.options.completion import plugin_completion
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
  wirelessfl allocate
  wirelessfl allocate wfl-mnist --deadline-ms 15 --method equal
  wirelessfl allocate --compare exact,equal,equal-common,min-latency --plot schemes.png
  wirelessfl allocate --set scenario.bandwidth_hz=10e6 --json
"""


@click.command(epilog=EXAMPLES, short_help="One round's bandwidth and pruning ratios.")
@scenario_argument
@click.option("--deadline-ms", type=float, help="Deadline in milliseconds [scenario.deadline_s].")
@click.option(
    "--method",
    help="Allocator [allocation.method].",
    shell_complete=plugin_completion("allocators"),
)
@click.option(
    "--compare",
    metavar="METHOD,...",
    help="Allocators to compare, under the same channel.",
)
@set_option
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(path_type=Path),
    help="Write the figure to this file (png, pdf, svg).",
)
@json_option
def allocate(
    scenario: str | None,
    deadline_ms: float | None,
    method: str | None,
    compare: str | None,
    settings: tuple[str, ...],
    plot_file: Path | None,
    as_json: bool,
) -> None:
    """Allocate the first round of SCENARIO (a TOML file or a preset) and certify the result."""
    from studies.report import output
    from studies.views.allocation.schemes import plans, scheme_as_dict

    output.check_output("--plot", plot_file, output.PICTURES)
    tables = changed(
        scenario_tables(scenario or DEFAULT_PRESET),
        settings,
        scenario__deadline_s=None if deadline_ms is None else deadline_ms / 1e3,
        allocation__method=method,
    )
    planned = plans(tables, _methods(compare, method))
    if plot_file is not None:
        from studies.views.allocation.figures import draw_schemes

        output.write_figure(plot_file, draw_schemes(planned, scenario or DEFAULT_PRESET))
    if as_json:
        found: dict[str, Any] = {name: scheme_as_dict(plan) for name, plan in planned.items()}
        print_json(found if compare else next(iter(found.values())))
        return
    from studies.views.allocation.tables import print_allocation, print_schemes

    if compare:
        print_schemes(planned)
    else:
        print_allocation(next(iter(planned.values())))


def _methods(compare: str | None, method: str | None) -> list[str]:
    """The allocators to compare; empty for that of the scenario."""
    from wirelessfl.errors import InputError

    if compare is None:
        return []
    names = [name.strip() for name in compare.split(",")]
    if method is not None:
        raise InputError(f"--method must not be given with --compare, got {method!r}")
    if len(set(names)) < len(names):
        raise InputError(f"--compare must name different allocators, got {compare!r}")
    return names
