"""`wirelessfl describe`: a section, plug-in, preset or study with all its fields."""

import click

from studies.cli._scenario import json_option, print_json
from studies.cli.options.completion import complete_described

EXAMPLES = """\b
Examples:
  wirelessfl describe scenario
  wirelessfl describe rician
  wirelessfl describe fedalt --json
  wirelessfl describe wfl-fmnist
"""


@click.command(epilog=EXAMPLES, short_help="A section, plug-in, preset or study, field by field.")
@click.argument("name", shell_complete=complete_described)
@json_option
def describe(name: str, as_json: bool) -> None:
    """Describe NAME: its purpose, and each field with type, default, unit and limits.

    NAME is a section (scenario, run, allocation), a plug-in, a preset or a study; see wirelessfl
    list.
    """
    from dataclasses import asdict

    from studies.views.describe.description import described

    found = described(name)
    if as_json:
        print_json(asdict(found), default=str)
        return
    from studies.views.describe.tables import print_description

    print_description(found)
