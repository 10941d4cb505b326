"""A command that torchrun has started in several processes: all compute, the first one writes and
speaks.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_first() -> bool:
    """Whether this process is the only one or the first."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 or int(os.environ.get("RANK", "0")) == 0


@contextmanager
def own_folder(path: Path) -> Iterator[Path]:
    """`path` for the first process; for the others a copy of it as it is now, thrown away at the
    end.

    The copy is made before training is: the processes meet there, and the first one writes nothing
    before.
    """
    if is_first():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="wirelessfl-") as folder:
        copy = Path(folder) / path.name
        if path.is_dir():
            shutil.copytree(path, copy, ignore=shutil.ignore_patterns("plots"))
        yield copy
