"""Commands that torchrun has started in several processes.

All processes compute; only the first one writes to the run folder and to the terminal.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wirelessfl.border.processes import is_first
from wirelessfl.records.temporary import temporary_folder


@contextmanager
def own_folder(path: Path) -> Iterator[Path]:
    """The run folder of this process.

    The first process gets `path`; each other one gets a temporary copy of its present state. The
    copy is made before training starts: the processes synchronise there, and the first one writes
    nothing before.

    Args:
        path: The run folder.

    Yields:
        The folder to write to.
    """
    if is_first():
        yield path
        return
    with temporary_folder() as folder:
        copy = folder / path.name
        if path.is_dir():
            shutil.copytree(path, copy, ignore=shutil.ignore_patterns("plots"))
        yield copy
