"""Checkpoints: the complete state of a run after a round, as plain arrays without pickle."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.config.input_files import Contents, FileContent
from wirelessfl.records import strict_json

Arrays = dict[str, NDArray[Any]]
BEST = "__best_accuracy"  # arrays in the checkpoint of the best round only
BEST_CLIENTS = "__best_client_accuracy"
DAMAGE = (  # errors that reading a damaged checkpoint raises
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,  # of zipfile, for damaged flags
    AttributeError,  # for a table of input files that is none
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after a round.

    Attributes:
        round: Number of completed rounds.
        clock_s: Simulated time in s.
        arrays: Packed state of the trainer, by name.
        experiment: Identity of the experiment, so that no other one continues from it.
        inputs: Content of the files that the run reads, by name.
    """

    round: int
    clock_s: float
    arrays: Arrays
    experiment: str = ""
    inputs: Contents = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Content of the checkpoint's file, in the format npz."""
        archive: dict[str, Any] = {
            **self.arrays,
            "__clock_s": np.float64(self.clock_s),
            "__round": np.int64(self.round),
            "__experiment": np.str_(self.experiment),
        }
        if self.inputs:
            files = {name: content.as_table() for name, content in self.inputs.items()}
            archive["__inputs"] = np.str_(strict_json.dumps(files))
        buffer = io.BytesIO()
        np.savez(buffer, **archive)
        return buffer.getvalue()

    @classmethod
    def read(cls, file: Path) -> "Checkpoint":
        """Read the file of a checkpoint.

        Args:
            file: The file.

        Returns:
            The checkpoint.

        Raises:
            Exception: One of `DAMAGE`: the file is damaged.
        """
        # NumPy leaves a file open when it fails to read one, but not from bytes.
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        clock_s = float(arrays.pop("__clock_s"))
        number = int(arrays.pop("__round"))
        experiment = str(arrays.pop("__experiment"))
        tables = json.loads(str(arrays.pop("__inputs", "{}")))
        inputs = {name: FileContent.from_table(name, of) for name, of in tables.items()}
        return cls(number, clock_s, arrays, experiment, inputs)
