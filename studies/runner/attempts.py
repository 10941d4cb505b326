"""Execution of runs that may diverge, with a file of those that did."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path

from studies.runner.single_run import folder_of, is_complete
from studies.runner.sweep import Progress, run_all
from studies.runner.task import OutOfTime, Stop
from wirelessfl.config.scenario_file import experiment_hash
from wirelessfl.errors import DivergenceError, InputError
from wirelessfl.experiment import Experiment
from wirelessfl.records import strict_json
from wirelessfl.records.run_folder import write_atomically

FILE = "diverged.json"  # among the run folders: hash -> reason


def try_all(
    experiments: Iterable[Experiment],
    root: Path,
    *,
    executor: Executor,
    jobs: int = 1,
    stops: tuple[Stop, ...] = (),
    data_root: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    notify: Callable[[str], None] = lambda line: None,
) -> dict[str, str]:
    """A `sweep` whose runs may diverge.

    A divergence is written to `FILE` at once and the run is not repeated.

    Args:
        experiments: The experiments.
        root: The folder of the run folders.
        executor: Runs the experiments.
        jobs: Number of its processes.
        stops: Each run stops, with a checkpoint, when one of these is true.
        data_root: The folder of the data sets.
        on_progress: Called with the progress of the sweep.
        notify: Called with each message for the user.

    Returns:
        The reason by hash, for each experiment that diverged.

    Raises:
        InputError: A run failed for another reason, after all others have ended.
        OutOfTime: The runs were stopped before they were complete.
    """
    asked = {experiment_hash(experiment): experiment for experiment in experiments}
    diverged = {name: reason for name, reason in _known(root).items() if name in asked}
    errors: list[BaseException] = []

    def failed(path: Path, error: BaseException) -> None:
        if not isinstance(error, DivergenceError):
            errors.append(error)
            return
        diverged[path.name] = " ".join(str(error).split())
        write_atomically(
            root / FILE, (strict_json.dumps({**_known(root), **diverged}, indent=2) + "\n").encode()
        )

    run_all(
        [experiment for name, experiment in asked.items() if name not in diverged],
        root,
        executor=executor,
        jobs=jobs,
        stops=stops,
        data_root=data_root,
        on_progress=on_progress,
        on_failure=failed,
        notify=notify,
    )
    if errors:
        reason = str(errors[0]) or type(errors[0]).__name__
        raise InputError(f"{len(errors)} of {len(asked)} runs failed: {reason}")
    if any(stop() for stop in stops) and not all(
        is_complete(folder_of(experiment, root), experiment)
        for name, experiment in asked.items()
        if name not in diverged
    ):
        raise OutOfTime
    return diverged


def _known(root: Path) -> dict[str, str]:
    file = root / FILE
    try:
        known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    except ValueError:
        raise InputError(f"{file} is damaged: remove it, and what diverged is run again") from None
    return known
