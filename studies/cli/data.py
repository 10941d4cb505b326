"""`wirelessfl data`: list of data sets, downloads, and partitions over clients."""

from pathlib import Path
from typing import Any

import click

from studies.cli.options.completion import plugin_completion
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

EXAMPLES = """\b
Examples:
  wirelessfl data list
  wirelessfl data fetch cifar10 --data-root DATA
  wirelessfl data show --set training.partition=dirichlet --plot partition.png
  wirelessfl data show wfl-fmnist --set scenario.clients=100 --data-root DATA --json
"""


@click.group(epilog=EXAMPLES, short_help="Data sets: list, download, partitions.")
def data() -> None:
    """List and fetch data sets, and show how one is divided over the clients."""


@data.command("list")
@data_root_option
@json_option
def list_datasets(data_root: Path | None, as_json: bool) -> None:
    """List the data sets: their sizes, and where they are in the folder of data sets."""
    from studies.views.data.datasets import listed

    rows = listed(data_root)
    if as_json:
        print_json(rows)
        return
    from studies.views.data.tables import print_datasets

    print_datasets(rows, data_root)


@data.command()
@click.argument("name", shell_complete=plugin_completion("datasets"))
@data_root_option
def fetch(name: str, data_root: Path | None) -> None:
    """Download the data set NAME into the folder of data sets."""
    from studies.views.data.datasets import fetch as fetch_dataset

    echo(f"{name} is in {fetch_dataset(name, data_root)}")


@data.command()
@scenario_argument
@set_option
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(path_type=Path),
    help="Write the figure to this file (png, pdf, svg).",
)
@data_root_option
@json_option
def show(
    scenario: str | None,
    settings: tuple[str, ...],
    plot_file: Path | None,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Show the samples of each client of SCENARIO (a TOML file or a preset).

    They are shown as number, labels and skew.
    """
    from studies.report import output
    from studies.views.data.partition import view
    from wirelessfl.config import scenario_file as config

    output.check_output("--plot", plot_file, output.PICTURES)
    tables: dict[str, dict[str, Any]] = changed(
        scenario_tables(scenario or DEFAULT_PRESET), settings
    )
    seen = view(config.from_tables(tables), data_root)
    if plot_file is not None:
        from studies.views.data.figures import draw_partition

        output.write_figure(plot_file, draw_partition(seen))
    if as_json:
        print_json(seen.as_dict())
        return
    from studies.views.data.tables import print_partition

    print_partition(seen)
