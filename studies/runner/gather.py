"""Runs on machines without a shared file system: the client gathers their folders."""

import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.runner.single_run import is_complete, run_lock
from studies.runner.task import Ended, RunTask
from wirelessfl.config.scenario_file import from_tables, read_tables, recorded_inputs, to_toml
from wirelessfl.errors import InputError
from wirelessfl.records.run_folder import HALF_MADE, RunFolder
from wirelessfl.records.temporary import temporary_folder

Files = Mapping[str, bytes]  # path within a run folder -> content


@dataclass(frozen=True)
class Gathered:
    """The outcome of a task in a folder of the worker.

    Attributes:
        ended: The result of the task, or None.
        error: Its exception, or None.
        folders: Run folder -> its files.
    """

    ended: Ended | None
    error: InputError | None
    folders: Mapping[Path, Files]


class GatheringExecutor(Executor):
    """Sends partial run folders with each task, and writes the folders that come back.

    Args:
        inner: Executor of tasks on other machines.
    """

    def __init__(self, inner: Executor) -> None:
        self._inner = inner
        self._writer = ThreadPoolExecutor(1)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a function of a task.

        Args:
            fn: `studies.runner.task.execute`.
            *args: The task.
            **kwargs: None.

        Returns:
            The future of its result, which ends when the run folders are written.
        """
        (task,) = args
        sent = {path: files_of(path) for path in task.tomls if path.exists()}
        outer: Future[Any] = Future()
        inner = self._inner.submit(_elsewhere, fn, task, sent)
        inner.add_done_callback(lambda done: self._writer.submit(_receive, task, done, outer))
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the executor."""
        self._inner.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._writer.shutdown(wait=wait)


def files_of(folder: Path) -> Files:
    """The files of a run folder, without pictures and locks."""
    found = (file for file in folder.iterdir() if file.is_file())
    return {file.name: file.read_bytes() for file in found if not file.name.startswith(".")}


def _elsewhere(
    fn: Callable[[RunTask], Ended], task: RunTask, sent: Mapping[Path, Files]
) -> Gathered:
    """Complete a task in a temporary folder."""
    with temporary_folder() as root:
        for path, files in sent.items():
            write_files(root / path.name, files)
        ended, error = None, None
        try:
            ended = fn(task.under(root))
        except InputError as raised:
            error = raised
        folders = {path: root / path.name for path in task.tomls}
        for path, folder in folders.items():
            if folder.exists():
                _relocate(RunFolder(folder), path)
        return Gathered(
            None if ended is None else _at_home(ended, folders, root),
            None if error is None else _renamed(error, root, next(iter(folders)).parent),
            {path: files_of(folder) for path, folder in folders.items() if folder.exists()},
        )


def _relocate(folder: RunFolder, path: Path) -> None:
    """Make the paths in `experiment.toml` relative to another folder."""
    tables = read_tables(folder.experiment_file)
    text = to_toml(from_tables(tables), folder=path, inputs=recorded_inputs(tables))
    folder.experiment_file.write_text(text, encoding="utf-8")


def _at_home(ended: Ended, folders: Mapping[Path, Path], root: Path) -> Ended:
    notes, outcomes = ended
    home = next(iter(folders)).parent
    errors = {path: outcomes.get(folder) for path, folder in folders.items() if folder in outcomes}
    return [note.replace(str(root), str(home)) for note in notes], {
        path: None if error is None else _renamed(error, root, home)
        for path, error in errors.items()
    }


def _renamed(error: Any, root: Path, home: Path) -> Any:
    """The error with the folder of the client in its message."""
    error.args = tuple(str(text).replace(str(root), str(home)) for text in error.args)
    return error


def _receive(task: RunTask, done: Future[Gathered], outer: Future[Any]) -> None:
    try:
        if done.cancelled():
            raise InputError("the cluster has lost it")
        gathered = done.result()
        for path, files in gathered.folders.items():
            _store(path, task.tomls[path], files)
        if gathered.error is not None:
            raise gathered.error
        outer.set_result(gathered.ended)
    except BaseException as error:
        outer.set_exception(error)


def _store(path: Path, toml: str, files: Files) -> None:
    """Put a run folder in its place, unless a complete one is present."""
    with run_lock(path):
        if path.exists() and is_complete(path, from_tables(tomllib.loads(toml))):
            return
        place = Path(tempfile.mkdtemp(dir=path.parent, prefix=HALF_MADE))
        try:
            write_files(place / "new", files)
            if path.exists():
                path.replace(place / "old")
            os.replace(place / "new", path)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def write_files(folder: Path, files: Files) -> None:
    """Write the files of a new run folder.

    Args:
        folder: The folder, made here.
        files: Path within the folder -> content.
    """
    (folder / "plots").mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
