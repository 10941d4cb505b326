"""Arguments that several commands share: the scenario and the changes to it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from studies.cli.options.completion import complete_scenario, complete_setting
from wirelessfl.text import one_line

DEFAULT_PRESET = "digits"


def _with_known_names(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse misspelt names before plug-ins are loaded, which takes longer."""
    if not context.resilient_parsing and texts:
        from wirelessfl.config.scenario_file import check_names, parse_setting

        for text in texts:
            check_names(*parse_setting(text))
    return texts


scenario_argument = click.argument("scenario", required=False, shell_complete=complete_scenario)
_settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.FIELD=VALUE",
    callback=_with_known_names,
    shell_complete=complete_setting,
    help="Change one field; may be repeated.",
)


def _raise_budget(context: click.Context, option: click.Parameter, value: float | None) -> None:
    """Hand the factor to all parts of the command, its processes among them."""
    from wirelessfl.border.budget import ENVIRONMENT, factor

    if value is None:
        return
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = str(value)

    def restore() -> None:
        if before is None:
            del os.environ[ENVIRONMENT]
        else:
            os.environ[ENVIRONMENT] = before

    context.call_on_close(restore)
    factor()


_budget = click.option(
    "--budget",
    type=float,
    metavar="FACTOR",
    expose_value=False,
    callback=_raise_budget,
    help="Raise the limits on events, memory and runs by this factor "
    "[environment: WIRELESSFL_BUDGET].",
)


def set_option(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every command that takes a scenario: `--set` and `--budget`."""
    return _settings(_budget(command))


rounds_option = click.option("--rounds", type=int, help="Number of rounds [run.rounds].")
seed_option = click.option("--seed", type=int, help="Seed of the run [run.seed].")
data_root_option = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    envvar="WIRELESSFL_DATA",
    help="Folder of the data sets [environment: WIRELESSFL_DATA].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def echo(line: str, *, err: bool = False) -> None:
    """Print a line.

    Args:
        line: The line, of which control characters are escaped and long values shortened.
        err: Print to standard error.
    """
    click.echo(one_line(line), err=err)


def print_json(value: Any, default: Callable[[Any], Any] | None = None) -> None:
    """Print a value as JSON.

    Args:
        value: Numbers that are not finite become null.
        default: Converts values of other types.
    """
    from wirelessfl.records import strict_json

    click.echo(strict_json.dumps(value, indent=2, default=default))


def scenario_tables(scenario: str) -> dict[str, dict[str, Any]]:
    """The sections of a TOML file or of a preset.

    Args:
        scenario: A file, or the name of a preset.

    Returns:
        Section -> field -> value.

    Raises:
        InputError: There is no such file or preset.
    """
    from studies.presets import scenario_tables as tables

    return tables(scenario)


def changed(
    tables: dict[str, dict[str, Any]], settings: tuple[str, ...], **fields: Any
) -> dict[str, dict[str, Any]]:
    """Apply every `--set` and every given option to the sections of a scenario.

    Args:
        tables: Section -> field -> value.
        settings: Texts `section.field=value`.
        fields: Options by `section__field`; None where the option was not given.

    Returns:
        The changed sections.
    """
    from wirelessfl.config.scenario_file import merge, parse_setting

    changes: dict[str, dict[str, Any]] = {}
    for text in settings:
        section, field, value = parse_setting(text)
        changes.setdefault(section, {})[field] = value
    for name, value in fields.items():
        section, _, field = name.partition("__")
        if value is not None:
            changes.setdefault(section, {})[field] = value
    return merge(tables, changes)
