"""`wirelessfl list`: plug-ins and presets with one line of description each."""

import click

from studies.cli._scenario import json_option, print_json
from studies.cli.options.completion import complete_kind

EXAMPLES = """\b
Examples:
  wirelessfl list
  wirelessfl list algorithms
  wirelessfl list presets --json
"""


@click.command("list", epilog=EXAMPLES, short_help="Plug-ins and presets by kind.")
@click.argument("kind", required=False, shell_complete=complete_kind)
@json_option
def list_plugins(kind: str | None, as_json: bool) -> None:
    """List the plug-ins by kind, or those of one KIND with a description each.

    KIND is channels, allocators, algorithms, models, datasets, studies or presets.
    """
    from wirelessfl import plugins

    if kind is not None:
        _list_kind(kind, as_json)
        return
    found = {one: plugins.names(one) for one in plugins.KINDS}
    if as_json:
        print_json(found)
        return
    from rich.table import Table

    from studies.report.terminal import terminal

    table = Table("kind", "plug-ins")
    for one, names in found.items():
        table.add_row(one, ", ".join(names))
    terminal().print(table)
    click.echo("wirelessfl list KIND has a line for each, wirelessfl describe NAME all fields")


def _list_kind(kind: str, as_json: bool) -> None:
    from studies.presets import preset_description, preset_files
    from wirelessfl import plugins
    from wirelessfl.errors import check_choice

    check_choice("KIND", kind, (*plugins.KINDS, "presets"))
    if kind == "presets":
        found = {name: preset_description(name) for name in preset_files()}
    else:
        found = {name: plugins.description(kind, name) for name in plugins.names(kind)}
    if as_json:
        print_json(found)
        return
    from rich.table import Table

    from studies.report.terminal import terminal

    table = Table(kind, "description")
    for name, text in found.items():
        table.add_row(name, text)
    terminal().print(table)
