"""Commands that torchrun has started in several processes, on one machine or several.

All processes compute; only the first one reads and writes the run folder, and the terminal.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from wirelessfl.border.processes import is_first, processes
from wirelessfl.records.temporary import temporary_folder

T = TypeVar("T")


def from_first(function: Callable[[], T]) -> T:
    """The result of a function in the first process, for all processes."""
    if processes() == 1:
        return function()
    from training.executors import distributed

    return distributed.from_first(function)


@contextmanager
def own_folder(path: Path) -> Iterator[Path]:
    """The run folder of this process.

    The first process gets `path`; each other one gets a temporary copy, whose files the first one
    sends: `path` need not exist on other machines.

    Args:
        path: The run folder.

    Yields:
        The folder to write to.
    """
    from studies.runner.gather import files_of, write_files

    if processes() == 1:
        yield path
        return
    files = from_first(lambda: files_of(path) if path.is_dir() else None)
    if is_first():
        yield path
        return
    with temporary_folder() as folder:
        copy = folder / path.name
        if files is not None:
            write_files(copy, files)
        yield copy
