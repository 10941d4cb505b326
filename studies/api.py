"""The Python interface: read an experiment, run it, load a run folder, list the plug-ins."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studies.grid.figures import draw_sweep
from studies.grid.result import SweepResult
from studies.grid.run_grid import run_grid
from studies.presets import scenario_tables
from studies.report.results import Run
from studies.runner.single_run import check_same_experiment, finish
from wirelessfl import plugins
from wirelessfl.config.scenario_file import (
    Tables,
    check_sections,
    from_tables,
    read_tables,
    to_toml,
)
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import RunFolder, check_folder, write_atomically

__all__ = ["draw_sweep", "list_plugins", "load", "read", "run", "sweep"]


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
    return from_tables(tables_of(scenario))


def tables_of(scenario: str | Path | Mapping[str, Mapping[str, Any]]) -> Tables:
    """The tables of a scenario that is given by name, by path or as tables."""
    if isinstance(scenario, str | Path):
        return scenario_tables(scenario)
    if not isinstance(scenario, Mapping):
        raise InputError(f"scenario must be a name, a path or tables, got {scenario!r}")
    return check_sections(scenario)


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
    check_folder("out", folder)
    toml = to_toml(wanted)
    root = None if data_root is None else Path(data_root)
    if folder.exists() and any(folder.iterdir()):
        stored = RunFolder.open(folder).experiment_file
        check_same_experiment(wanted, read_tables(stored), f"out {folder}")
        write_atomically(stored, to_toml(wanted, folder=folder).encode())
    for line in finish(folder, toml, root, pictures=False, whole_machine=True):
        notify(line)
    return load(folder)


def sweep(
    scenario: str | Path | Mapping[str, Mapping[str, Any]],
    vary: Mapping[str, Any],
    *,
    seeds: int = 5,
    zipped: bool = False,
    to_accuracy: float | None = None,
    out: str | Path = "runs/studies",
    jobs: int = 1,
    data_root: str | Path | None = None,
    notify: Callable[[str], None] = print,
) -> SweepResult:
    """Run a grid over any fields of a scenario, with several seeds per point.

    Args:
        scenario: Name of a preset, path of a TOML file, or its tables.
        vary: `section.field` -> values: a list, an array, or text as on the command line
            (`"15ms:35ms:5"`, `"exact,equal"`).
        seeds: Runs per point.
        zipped: Whether to vary the fields together instead of in all combinations.
        to_accuracy: Test accuracy in [0, 1] whose time, bits and energy are measured, or None.
        out: Folder of the run folders; complete runs in it are not run again.
        jobs: Number of processes; 1 runs in this process.
        data_root: Folder of the data sets.
        notify: Receives one line per failed run.

    Returns:
        The result, with `to_pandas()`; `draw_sweep` draws it.

    Raises:
        InputError: A field or value is invalid.

    Example:
        >>> result = wfl.sweep(
        ...     "digits",
        ...     {"scenario.deadline_s": "15ms,25ms", "allocation.method": ["exact", "equal"]},
        ...     seeds=3,
        ... )
    """
    result, failures = run_grid(
        tables_of(scenario),
        vary,
        seeds=seeds,
        zipped=zipped,
        to_accuracy=to_accuracy,
        out=Path(out),
        jobs=jobs,
        data_root=None if data_root is None else Path(data_root),
    )
    for line in failures:
        notify(line)
    return result


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
