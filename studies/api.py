"""The Python interface: read an experiment, run it, load a run folder, list the plug-ins."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studies.presets import scenario_tables
from studies.report.results import Run
from studies.runner.single_run import run_to_end
from wirelessfl import plugins
from wirelessfl.config.scenario_file import from_tables, to_toml
from wirelessfl.experiment import Experiment


def read(scenario: str | Path | Mapping[str, Mapping[str, Any]]) -> Experiment:
    """Read an experiment.

    Args:
        scenario: Name of a preset, path of a TOML file, or its tables (section -> field -> value).

    Returns:
        The experiment with every field resolved.

    Raises:
        InputError: The scenario is unknown or a field is invalid; the message names it.

    Example:
        >>> import wirelessfl as wfl
        >>> wfl.read("digits").scenario.clients
        10
    """
    if isinstance(scenario, str | Path):
        return from_tables(scenario_tables(scenario))
    return from_tables({section: dict(table) for section, table in scenario.items()})


def run(
    experiment: Experiment | str | Path | Mapping[str, Mapping[str, Any]],
    out: str | Path,
    *,
    data_root: str | Path | None = None,
    notify: Callable[[str], None] = print,
) -> Run:
    """Run an experiment in a folder, or continue where the run in that folder was interrupted.

    Args:
        experiment: The experiment, or anything that `read` takes.
        out: The run folder; made when missing.
        data_root: Folder of the data sets; the embedded digits need none.
        notify: Receives messages for the user, one line each.

    Returns:
        The complete run.

    Raises:
        InputError: The experiment cannot be run, or the folder holds another one.
    """
    wanted = experiment if isinstance(experiment, Experiment) else read(experiment)
    folder = Path(out)
    for line in run_to_end(folder, to_toml(wanted), None if data_root is None else Path(data_root)):
        notify(line)
    return load(folder)


def load(folder: str | Path) -> Run:
    """Load a run from its folder.

    Raises:
        InputError: `folder` is no run folder.
    """
    return Run.read(Path(folder))


def list_plugins(kind: str | None = None) -> dict[str, list[str]]:
    """List the plug-ins by kind.

    Args:
        kind: One of `wirelessfl.plugins.KINDS`; all kinds when omitted.

    Returns:
        Kind -> sorted names.

    Raises:
        InputError: `kind` is unknown.
    """
    kinds = plugins.KINDS if kind is None else (kind,)
    return {one: plugins.names(one) for one in kinds}
