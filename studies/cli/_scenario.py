"""Arguments that several commands share: the scenario and the changes to it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from studies.cli._processes import is_first
from wirelessfl.text import one_line

DEFAULT_PRESET = "digits"

scenario_argument = click.argument("scenario", required=False)
_settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.FIELD=VALUE",
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


def with_progress(
    total: int,
    done: int,
    work: Callable[[Callable[[], None], Callable[[Any], None]], None],
    score: str = "",
) -> None:
    """Run `work(on_start, on_round)` with a progress bar.

    Args:
        total: Number of rounds of the bar.
        done: Number of rounds that are complete.
        work: Calls `on_start` to show the bar, and `on_round` with the record of each round.
        score: What the record's `accuracy` is called.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from studies.report.terminal import terminal

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    progress = Progress(
        *columns,
        TextColumn("{task.fields[note]}"),
        console=terminal(stderr=True, quiet=not is_first()),
    )
    bar = progress.add_task("rounds", total=total, completed=done, note="")

    def on_round(record: Any) -> None:
        progress.update(bar, completed=record.round)
        if record.accuracy is not None:
            progress.update(bar, note=f"{score} {record.accuracy:.1%}")

    try:
        work(progress.start, on_round)
    finally:
        if progress.live.is_started:
            progress.stop()
