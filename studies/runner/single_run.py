"""Run a single experiment in the folder named by its hash, resuming it if it was interrupted."""

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from wirelessfl.border import gate
from wirelessfl.config.input_files import Contents
from wirelessfl.config.scenario_file import (
    LENGTH,
    WITHOUT_EFFECT,
    Tables,
    experiment_hash,
    from_tables,
    identity_tables,
    input_contents,
    to_toml,
)
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import check_feasible
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.stopping import RunProgress
from wirelessfl.rounds import run_rounds

CHUNK = 1 << 20
ACCURACY = re.compile(rb'"accuracy": ([-+.\de]+),')  # of a record with an evaluation


def folder_of(experiment: Experiment, root: Path) -> Path:
    """The folder of an experiment under `root`, the same for every study that includes it."""
    return root / experiment_hash(experiment)


@dataclass
class RoundCounter:
    """Counts the rounds in a run folder, reading only the part added since the last count.

    Attributes:
        path: The run folder.
        rounds: The rounds counted so far.
        accuracy: The last accuracy among them; None without an evaluation.
    """

    path: Path
    rounds: int = 0
    accuracy: float | None = None
    _seen: int = 0  # bytes

    def count(self) -> int:
        """The number of rounds recorded now."""
        file = RunFolder(self.path).rounds_file
        size = file.stat().st_size if file.exists() else 0
        if size < self._seen:
            self.rounds = 0
            self._seen = 0
        if size > self._seen:
            with file.open("rb") as content:
                content.seek(self._seen)
                for chunk in iter(lambda: content.read(CHUNK), b""):
                    self.rounds += chunk.count(b"\n")
                    self._seen += len(chunk)
                    if measured := ACCURACY.findall(chunk):
                        self.accuracy = float(measured[-1])
        return self.rounds


def recorded(path: Path) -> int:
    """The number of rounds recorded in a run folder."""
    return RoundCounter(path).count()


def is_complete(path: Path, experiment: Experiment) -> bool:
    """Check that the run has ended and that the summary exists, which is written last."""
    folder = RunFolder(path)
    if not folder.summary_file.exists():
        return False
    done = recorded(path)
    if done >= experiment.run.rounds or not experiment.run.ends_early:
        return done == experiment.run.rounds
    return (
        RunProgress.of(folder.each_record(("accuracy", "clock_s"))).ended(experiment.run)
        is not None
    )


def run_to_end(
    path: Path,
    experiment_toml: str,
    data_root: Path | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Run an experiment until it is complete.

    Args:
        path: The run folder, created if necessary.
        experiment_toml: The experiment as TOML.
        data_root: The folder of the data sets.
        stopped: Asked after each round; true interrupts the run with a checkpoint.

    Returns:
        Messages for the user.

    Raises:
        InputError: The experiment cannot be run.
    """
    with run_lock(path):
        return finish(path, experiment_toml, data_root, stopped=stopped)


def check_same_experiment(experiment: Experiment, stored: Tables, where: str) -> None:
    """Check that an experiment is the stored one, apart from its rounds.

    Args:
        experiment: The experiment.
        stored: The tables of a run folder's experiment.
        where: Start of the message, which names the folder.

    Raises:
        InputError: They differ; the message names the first different field.
    """
    found = from_tables(stored)
    hashes = {experiment_hash(one, with_rounds=False) for one in (experiment, found)}
    if len(hashes) == 1:
        return
    asked = identity_tables(experiment)
    for section, table in identity_tables(found).items():
        for field in {**table, **asked[section]}:
            ignored = section == "run" and field in (*WITHOUT_EFFECT, *LENGTH)
            if asked[section].get(field) != table.get(field) and not ignored:
                raise InputError(
                    f"{where}: the folder holds another experiment: {section}.{field} is "
                    f"{table.get(field)!r} there, {asked[section].get(field)!r} here"
                )


def finish(
    path: Path,
    experiment_toml: str,
    data_root: Path | None,
    *,
    whole_machine: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Complete a run like `run_to_end`, for a caller that holds the lock of its folder.

    `whole_machine` trains with the executor of the experiment, not on one thread.
    """
    experiment = from_tables(tomllib.loads(experiment_toml))
    if stopped():
        return []
    if path.exists() and is_complete(RunFolder.open(path).path, experiment):
        return []
    inputs = input_contents(experiment, data_root)
    created = not path.exists()
    folder = opened(path, experiment, inputs)
    check_feasible(experiment, gate.first_demand(experiment.algorithm, experiment.scenario.clients))
    try:
        trainer = _trainer(experiment, data_root, whole_machine)
        try:
            return record(experiment, trainer, folder, inputs, stopped)
        finally:
            trainer.close()
    except InputError:
        if created:
            folder.discard()
        raise


def opened(path: Path, experiment: Experiment, inputs: Contents) -> RunFolder:
    """Open the existing run folder, or create it with the digests of its input files."""
    if path.exists():
        return RunFolder.open(path)
    return RunFolder.create(path, to_toml(experiment, folder=path, inputs=inputs))


def record(
    experiment: Experiment,
    trainer: Trainer | NoTraining,
    folder: RunFolder,
    inputs: Contents,
    stopped: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Drive the round loop to its end.

    Args:
        experiment: The experiment.
        trainer: Trains it.
        folder: The run folder.
        inputs: Digests of the experiment's input files.
        stopped: Asked after each round; true interrupts the run with a checkpoint.

    Returns:
        Messages for the user.
    """
    notes: list[str] = []
    identity = experiment_hash(experiment, with_rounds=False)
    with folder.in_use():
        run_rounds(
            experiment,
            trainer,
            folder,
            identity=identity,
            inputs=inputs,
            stop=lambda record: stopped(),
            notify=notes.append,
        )
    return notes


def runtime_of(experiment: Experiment, data_root: Path | None) -> Runtime:
    """The runtime of a run within a sweep.

    On a CPU it is a single thread: with as many runs as cores this is faster than parallel clients.
    """
    runtime = experiment.run.runtime(data_root)
    return replace(runtime, executor="loop") if experiment.run.device == "cpu" else runtime


def _trainer(
    experiment: Experiment, data_root: Path | None, whole_machine: bool
) -> Trainer | NoTraining:
    clients = experiment.scenario.clients
    if not experiment.run.train:
        return NoTraining(gate.first_demand(experiment.algorithm, clients))
    own = experiment.run.runtime(data_root)
    runtime = own if whole_machine else runtime_of(experiment, data_root)
    return gate.trainer(
        experiment.algorithm, clients=clients, seed=experiment.run.seed, runtime=runtime
    )


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Lock a run folder against other sweeps; the system releases the lock when its holder dies."""
    try:
        import fcntl
    except ImportError:  # on Windows two sweeps over the same runs must not run at once
        yield
        return
    with _lock_file(path).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_locked(path: Path) -> bool:
    """True while a process holds the `run_lock` of a run folder."""
    try:
        import fcntl
    except ImportError:
        return False
    if not _lock_file(path).exists():
        return False
    with _lock_file(path).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")
