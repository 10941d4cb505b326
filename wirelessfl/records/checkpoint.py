"""Checkpoints: the complete state of a run after a round, as plain arrays without pickle."""

import hashlib
import io
import json
import math
import zipfile
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.config.input_files import Contents, FileContent
from wirelessfl.records import strict_json
from wirelessfl.records.record_lines import Checksum
from wirelessfl.records.summary import RunTotals

Arrays = dict[str, NDArray[Any]]
_HASH = "__sha256"
BEST = "__best_accuracy"  # arrays in the checkpoint of the best round only
BEST_CLIENTS = "__best_client_accuracy"


class DamagedCheckpointError(Exception):
    """A checkpoint that cannot be read; the message says why."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after a round.

    Attributes:
        round: Number of completed rounds.
        clock_s: Simulated time in s.
        arrays: Packed state of the trainer, by name.
        experiment: Identity of the experiment, so that no other one continues from it.
        inputs: Content of the files that the run reads, by name.
        totals: Totals of the rounds so far; None where they are not known.
        checksum: Checksum of the records so far; None where it is not known.
    """

    round: int
    clock_s: float
    arrays: Arrays
    experiment: str = ""
    inputs: Contents = field(default_factory=dict)
    totals: RunTotals | None = None
    checksum: Checksum | None = None

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
        if self.totals is not None:
            archive["__totals"] = self.totals.pack()
        if self.checksum is not None:
            archive["__records"] = np.array(astuple(self.checksum), dtype=np.int64)
        archive = {name: np.asarray(value) for name, value in archive.items()}
        archive[_HASH] = np.asarray(_hash(archive))
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **archive)
        return buffer.getvalue()

    @classmethod
    def read(cls, file: Path) -> "Checkpoint":
        """Read the file of a checkpoint.

        Args:
            file: The file.

        Returns:
            The checkpoint.

        Raises:
            DamagedCheckpointError: The file is damaged, or its content is not the one written.
        """
        try:
            return cls._of(_arrays_in(file.read_bytes()))
        except MemoryError:  # says nothing of the file
            raise
        except Exception as error:  # zipfile, zlib, tokenize and numpy raise a dozen kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DamagedCheckpointError(reason) from error

    @classmethod
    def _of(cls, arrays: Arrays) -> "Checkpoint":
        written = arrays.pop(_HASH, None)  # checkpoints of version 0.1 have none
        if written is not None and str(written) != _hash(arrays):
            raise ValueError("its content is not the one that was written")
        clock_s = float(arrays.pop("__clock_s"))
        number = int(arrays.pop("__round"))
        experiment = str(arrays.pop("__experiment"))
        tables = json.loads(str(arrays.pop("__inputs", "{}")))
        inputs = {name: FileContent.from_table(name, of) for name, of in tables.items()}
        if not 0 <= clock_s < math.inf or number < 0:
            raise ValueError(f"its clock is at {clock_s} s after {number} rounds")
        packed = arrays.pop("__totals", None)
        totals = None if packed is None else RunTotals.unpack(packed)
        sums = arrays.pop("__records", None)
        checksum = None if sums is None else Checksum(*sums.tolist())
        return cls(number, clock_s, arrays, experiment, inputs, totals, checksum)


def _arrays_in(content: bytes) -> Arrays:
    """Arrays of an npz file that are as large as they claim."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(content):
                raise ValueError(f"{info.filename} claims {info.file_size} bytes")
    # NumPy leaves a file open when it fails to read one, but not from bytes.
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _hash(arrays: Arrays) -> str:
    """SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
