"""A run from Python, in memory or in a folder, with callbacks that read its records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from studies.report.one_run.run import Run
from studies.runner.single_run import check_same_experiment, is_complete
from wirelessfl.border import gate
from wirelessfl.config.input_files import Contents
from wirelessfl.config.scenario_file import experiment_hash, input_contents, read_tables, to_toml
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import check_before_start
from wirelessfl.protocols import Trainer
from wirelessfl.records.callbacks import Callback
from wirelessfl.records.run_folder import RunFolder, check_folder, write_atomically
from wirelessfl.records.run_memory import RunMemory
from wirelessfl.records.run_store import RunStore
from wirelessfl.rounds import run_rounds
from wirelessfl.values import RoundRecord

Stop = Callable[[RoundRecord], bool]
Notify = Callable[[str], None]


def observed_run(
    experiment: Experiment,
    path: Path | None,
    *,
    callbacks: Sequence[Callback],
    stop: Stop,
    data_root: Path | None,
    notify: Notify,
    executor: Any = None,
) -> Run:
    """Run an experiment, or continue the run that is interrupted in a folder.

    Args:
        experiment: The experiment.
        path: The run folder, made when missing; None: the run stays in memory.
        callbacks: Callbacks, called in order.
        stop: Function of the record of a new round; true interrupts the run after that round.
        data_root: Folder of the data sets.
        notify: Receives messages for the user, one line each.
        executor: Executor of the clients' work in place of `run.executor`.

    Returns:
        The run.

    Raises:
        InputError: The experiment cannot be run, or the folder holds another one.
    """
    if path is None:
        memory = RunMemory()
        with _trainer(experiment, data_root, executor) as trainer:
            _rounds(experiment, trainer, memory, {}, callbacks, stop, notify)
        return Run.of_memory(memory, experiment)
    check_folder("out", path)
    resumed = path.exists() and any(path.iterdir())
    inputs = input_contents(experiment, data_root)
    toml = to_toml(experiment, folder=path, inputs=inputs)
    if resumed:
        stored = RunFolder.open(path).experiment_file
        check_same_experiment(experiment, read_tables(stored), f"out {path}")
    if resumed and is_complete(path, experiment):
        write_atomically(stored, toml.encode())
        return Run.read(path)
    with _trainer(experiment, data_root, executor) as trainer:
        folder = RunFolder.open(path) if resumed else RunFolder.create(path, toml)
        with folder.in_use():
            try:
                write_atomically(folder.experiment_file, toml.encode())
                _rounds(experiment, trainer, folder, inputs, callbacks, stop, notify)
            except (InputError, OSError):
                if not resumed:
                    folder.remove_unused()
                raise
    return Run.read(path)


@contextmanager
def _trainer(
    experiment: Experiment, data_root: Path | None, executor: Any
) -> Iterator[Trainer | NoTraining]:
    """The trainer of an experiment that can start, closed at the end."""
    clients = experiment.scenario.clients
    settings = experiment.run
    demand = gate.first_demand(experiment.algorithm, clients)
    check_before_start(experiment, demand)
    if not settings.train:
        yield NoTraining(demand)
        return
    trainer = gate.trainer(
        experiment.algorithm,
        clients=clients,
        seed=settings.seed,
        runtime=replace(settings.runtime(data_root), given=executor),
    )
    try:
        yield trainer
    finally:
        trainer.close()


def _rounds(
    experiment: Experiment,
    trainer: Trainer | NoTraining,
    store: RunStore,
    inputs: Contents,
    callbacks: Sequence[Callback],
    stop: Stop,
    notify: Notify,
) -> None:
    """Drive the round loop and call the callbacks."""

    def on_start() -> None:
        rounds = store.count()
        for callback in callbacks:
            callback.on_start(experiment, rounds)

    def on_round(record: RoundRecord) -> None:
        for callback in callbacks:
            callback.on_round(record)

    summary: Mapping[str, Any] = {}
    try:
        summary = run_rounds(
            experiment,
            trainer,
            store,
            identity=experiment_hash(experiment, with_rounds=False),
            inputs=inputs,
            on_start=on_start,
            on_round=on_round,
            stop=stop,
            notify=notify,
        )
    finally:
        for callback in callbacks:
            callback.on_end(summary)
