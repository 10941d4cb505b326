"""`wirelessfl list`: every plug-in by kind."""

import click

from studies.cli._scenario import json_option, print_json


@click.command("list", epilog="\b\nExample:\n  wirelessfl list --json\n")
@json_option
def list_plugins(as_json: bool) -> None:
    """List every plug-in by kind."""
    from wirelessfl import plugins

    found = {kind: plugins.names(kind) for kind in plugins.KINDS}
    if as_json:
        print_json(found)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("kind", "plug-ins")
    for kind, names in found.items():
        table.add_row(kind, ", ".join(names))
    Console().print(table)
