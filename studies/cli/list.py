"""`wirelessfl list`: plug-ins and presets with one line of description each."""

import click

from studies.cli.options.completion import complete_kind
from studies.cli.options.scenario import json_option, print_json

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
    """List all plug-ins and presets, or those of one KIND, with a description each.

    KIND is channels, allocators, algorithms, models, datasets, studies or presets; the latter two
    have their cost too. As JSON all kinds have names alone.
    """
    from studies.study.listing import KINDS, costs, descriptions
    from wirelessfl import plugins
    from wirelessfl.errors import check_choice

    if kind is not None:
        check_choice("KIND", kind, KINDS)
    elif as_json:
        print_json({one: plugins.names(one) for one in plugins.KINDS})
        return
    if as_json and kind is not None:
        cost = costs(kind)
        found = descriptions(kind)
        print_json({name: _with_cost(text, cost.get(name)) for name, text in found.items()})
        return
    from studies.report.terminal import print_names, print_text

    for one in KINDS if kind is None else (kind,):
        cost = costs(one) if kind is not None else {}
        rows = {name: _with_cost(text, cost.get(name)) for name, text in descriptions(one).items()}
        print_names(one, rows)
    print_text("wirelessfl list KIND has costs, wirelessfl describe NAME all fields")


def _with_cost(text: str, cost: str | None) -> str:
    return text if cost is None else f"{text.rstrip('.')}. Cost: {cost}."
