"""`wirelessfl describe`: a section, plug-in, preset or study with all its fields."""

from pathlib import Path

import click

from studies.cli.options.completion import complete_described
from studies.cli.options.scenario import echo, json_option, print_json

EXAMPLES = """\b
Examples:
  wirelessfl describe scenario
  wirelessfl describe rician
  wirelessfl describe fedalt --json
  wirelessfl describe wfl-fmnist
  wirelessfl describe --pages reference
"""


@click.command(epilog=EXAMPLES, short_help="A section, plug-in, preset or study, field by field.")
@click.argument("name", required=False, shell_complete=complete_described)
@click.option(
    "--pages",
    type=click.Path(path_type=Path),
    help="Write everything as Markdown pages to this folder.",
)
@json_option
def describe(name: str | None, pages: Path | None, as_json: bool) -> None:
    """Describe NAME: its purpose, and each field with type, default, unit and limits.

    NAME is a section (scenario, run, allocation), a plug-in, a preset or a study; see wirelessfl
    list.
    """
    from dataclasses import asdict

    from wirelessfl.errors import InputError

    if (name is None) == (pages is None):
        raise InputError("describe takes a NAME or --pages FOLDER, one of them")
    if pages is not None:
        from studies.study.reference import write_pages
        from wirelessfl.records.run_folder import check_folder

        check_folder("--pages", pages)
        for file in write_pages(pages):
            echo(f"written: {file}")
        return
    assert name is not None
    from studies.views.describe.description import described

    found = described(name)
    if as_json:
        print_json(asdict(found), default=str)
        return
    from studies.views.describe.tables import print_description

    print_description(found)
