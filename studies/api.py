"""The Python interface: experiments, runs, allocations, sweeps and plug-ins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from studies.grid.comparison import Comparison
from studies.grid.figures import draw_sweep
from studies.grid.result import SweepResult
from studies.grid.run_grid import run_grid
from studies.page.page import Page, Scenarios
from studies.presets import scenario_tables
from studies.report.one_run.run import Run
from studies.runner.observed_run import observed_run
from studies.views.run.progress import ProgressLine, in_notebook
from wirelessfl import plugins
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.border import gate
from wirelessfl.config.objects import local_plugin, registered, tables_from_objects
from wirelessfl.config.scenario_file import Tables, from_tables, merge, to_tables
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.planning import participants, plan
from wirelessfl.records.callbacks import Callback
from wirelessfl.values import RoundRecord, Scenario

__all__ = [
    "allocate",
    "compare",
    "draw_sweep",
    "list_plugins",
    "load",
    "page",
    "read",
    "register",
    "run",
    "simulate",
    "sweep",
]

Source = Experiment | Scenario | str | Path | Mapping[str, Any]


def read(scenario: Source, changes: Mapping[str, Any] | None = None) -> Experiment:
    """Read an experiment.

    Args:
        scenario: Name of a preset, path of a TOML file, or sections: section -> table of fields, or
            the object that the section makes (`Scenario`, `RunSettings`, an instance of a plug-in).
            A plug-in may be named or given as a class. A `Scenario` alone has the other sections at
            their defaults.
        changes: Sections of which the fields given replace those of `scenario`, as `--set` does.

    Returns:
        The experiment with every field resolved.

    Raises:
        InputError: The scenario is unknown or a field is invalid; the message names it.

    Example:
        >>> import wirelessfl as wfl
        >>> wfl.read("digits", {"scenario": {"clients": 4}}).scenario.clients
        4
    """
    if changes is not None:
        return from_tables(merge(tables_of(scenario), tables_from_objects(changes)))
    if isinstance(scenario, Experiment):
        return registered(scenario)
    return from_tables(tables_of(scenario))


def tables_of(scenario: Source) -> Tables:
    """The tables of a scenario in any of the forms that `read` takes."""
    if isinstance(scenario, Experiment):
        return to_tables(registered(scenario))
    if isinstance(scenario, Scenario):
        return tables_from_objects({"scenario": scenario})
    if isinstance(scenario, str | Path):
        return scenario_tables(scenario)
    if not isinstance(scenario, Mapping):
        raise InputError(
            f"scenario must be a name, a path, tables or an experiment, got {scenario!r}"
        )
    return tables_from_objects(scenario)


def run(
    experiment: Source,
    out: str | Path | None = None,
    *,
    rounds: int | None = None,
    seed: int | None = None,
    on_round: Callable[[RoundRecord], object] | None = None,
    stop: Callable[[RoundRecord], bool] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    data_root: str | Path | None = None,
    notify: Callable[[str], None] = print,
    executor: Any = None,
) -> Run:
    """Run an experiment, in memory or in a folder.

    Args:
        experiment: The experiment, or anything that `read` takes.
        out: The run folder, made when missing; a run that was interrupted in it is continued. None:
            the run stays in memory.
        rounds: Number of rounds in place of `run.rounds`.
        seed: Seed in place of `run.seed`.
        on_round: Called with the record of each new round.
        stop: Called with the record of each new round; true interrupts the run after that round.
        callbacks: Callbacks, called in order.
        progress: Whether to show the progress; None: in notebooks only.
        data_root: Folder of the data sets; the embedded digits need none.
        notify: Receives messages for the user, one line each.
        executor: Executor of the clients' work in place of `run.executor`, such as
            `training.flower.executor.FlowerExecutor`.

    Returns:
        The run.

    Raises:
        InputError: The experiment cannot be run, or the folder holds another one.

    Example:
        >>> import wirelessfl as wfl
        >>> run = wfl.run({"run": {"train": False}}, rounds=3)
        >>> len(run), run.series("latency_s").shape
        (3, (3, 10))
    """
    if out is not None and not isinstance(out, str | Path):
        raise InputError(f"out must be a folder or None, got {out!r}; rounds=... sets the rounds")
    called = list(callbacks)
    for callback in called:
        if not isinstance(callback, Callback):
            raise InputError(f"callbacks must be of class wirelessfl.Callback, got {callback!r}")
    if on_round is not None:
        called.append(_OnRound(on_round))
    if in_notebook() if progress is None else progress:
        called.append(ProgressLine.here())
    wanted = read(experiment)
    settings = wanted.run
    settings = settings if rounds is None else replace(settings, rounds=rounds)
    settings = settings if seed is None else replace(settings, seed=seed)
    wanted = replace(wanted, run=settings)
    return observed_run(
        wanted,
        None if out is None else Path(out),
        callbacks=called,
        stop=stop or (lambda record: False),
        data_root=None if data_root is None else Path(data_root),
        notify=notify,
        executor=executor,
    )


class _OnRound(Callback):
    """A function of the records as a callback."""

    def __init__(self, function: Callable[[RoundRecord], object]) -> None:
        self._function = function

    def on_round(self, record: RoundRecord) -> None:
        """Call the function."""
        self._function(record)


def simulate(scenario: Source, *, rounds: int | None = None, seed: int | None = None) -> Run:
    """Run channel, allocation and cell without training.

    Args:
        scenario: Anything that `read` takes.
        rounds: Number of rounds in place of `run.rounds`.
        seed: Seed in place of `run.seed`.

    Returns:
        The run, in memory.

    Raises:
        InputError: The experiment cannot start.

    Example:
        >>> import wirelessfl as wfl
        >>> cell = wfl.simulate("digits", rounds=4)
        >>> bool((cell.series("round_s") <= 0.025001).all())
        True
    """
    experiment = read(scenario)
    silent = replace(experiment, run=replace(experiment.run, train=False))
    return run(silent, rounds=rounds, seed=seed, progress=False)


def allocate(scenario: Source) -> Allocation:
    """Allocate bandwidth and pruning ratios in the first round of a scenario.

    Args:
        scenario: Anything that `read` takes.

    Returns:
        The allocation of all clients, with prices; clients that do not participate get no band.

    Raises:
        InputError: The scenario is unknown or a field is invalid.

    Example:
        >>> import wirelessfl as wfl
        >>> wfl.allocate("digits").pruning_ratio.shape
        (10,)
    """
    experiment = read(scenario)
    participates = participants(experiment, 0)
    demand = gate.first_demand(experiment.algorithm, experiment.scenario.clients)
    return plan(
        experiment, demand.restricted_to(participates), participates=participates
    ).allocation


def compare(
    runs: Mapping[str, Run] | Sequence[Run], *, to_accuracy: float | None = None
) -> Comparison:
    """Compare runs by their measures.

    Args:
        runs: Runs by label or in order; in order they are labelled by the fields that differ.
        to_accuracy: Test accuracy in [0, 1] whose time, bits and energy are measured, or None.

    Returns:
        The comparison, with `rows`, `to_pandas` and `plot`.

    Raises:
        InputError: There is no run.
    """
    return Comparison.of(runs, to_accuracy)


def register(kind: str, plugin: Any, name: str | None = None) -> str:
    """Make a class of this process a plug-in.

    Args:
        kind: One of `wirelessfl.plugins.KINDS`.
        plugin: The class.
        name: Its name; that of the class if None, `MyNet` being `my-net`.

    Returns:
        The name, as scenario files use it.

    Raises:
        InputError: The class is no plug-in of this kind, or another one has the name.
    """
    return plugins.register(kind, plugin, name)


def sweep(
    scenario: Source,
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
        scenario: Anything that `read` takes.
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
    tables = tables_of(scenario)
    if jobs > 1 and (name := local_plugin(from_tables(tables))) is not None:
        raise InputError(
            f"jobs must be 1 with {name!r}, a class that other processes do not know; got {jobs}"
        )
    result, failures = run_grid(
        tables,
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


def page(scenario: Source = "digits", *, runs: str | Path = "runs", port: int = 0) -> Page:
    """Show a scenario and run folders on a page with controls, in a notebook or the browser.

    Args:
        scenario: Anything that `read` takes.
        runs: Folder whose run folders the second tab shows.
        port: Port on this machine; 0: any that is free.

    Returns:
        The page, which a notebook shows; `url` is its address, `close()` ends it.

    Raises:
        InputError: The scenario is invalid, or `wirelessfl[page]` is not installed.

    Example:
        >>> import wirelessfl as wfl
        >>> shown = wfl.page("digits")
        >>> shown.url.startswith("http://127.0.0.1:")
        True
        >>> shown.close()
    """
    known = isinstance(scenario, str | Path)
    name = Path(str(scenario)).stem if known else "notebook"
    return Page(Scenarios(name, tables_of(scenario)), Path(runs), port=port).start()


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
