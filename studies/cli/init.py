"""`wirelessfl init`: a commented scenario file to start from."""

from pathlib import Path

import click

from studies.cli.options.scenario import DEFAULT_PRESET, echo

EXAMPLES = """\b
Examples:
  wirelessfl init mine.toml
  wirelessfl init mine.toml --from physical
"""


@click.command(epilog=EXAMPLES, short_help="Write a commented scenario file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "preset",
    default=DEFAULT_PRESET,
    show_default=True,
    help="Preset or scenario file whose values it starts with.",
)
def init(file: Path, preset: str) -> None:
    """Write FILE, a scenario file with every field, its description and its default.

    Fields at their default stand in it as comments.
    """
    from studies.presets import scenario_tables
    from studies.views.describe.scenario_file import commented
    from wirelessfl.errors import InputError

    text = commented(scenario_tables(preset), preset)
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise InputError(f"FILE {file} exists: choose another name") from None
    echo(f"{file}: try wirelessfl run {file}")
