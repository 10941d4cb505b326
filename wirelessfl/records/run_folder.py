"""Run folders: the files of a run, written so that a kill at any moment loses nothing.

experiment.toml    the resolved experiment: enough to run it again
rounds.jsonl       one `RoundRecord` per line
accuracy.jsonl     accuracy of each client in the rounds with an evaluation
wall.jsonl         wall-clock seconds of each round's phases
checkpoint-N.npz   the complete state after round N (plain arrays, no pickle; the last two stay)
best.npz           the state after the round with the best accuracy (`run.keep_best`)
summary.json       written when the run is complete
plots/             pictures, of `wirelessfl run`
.lock              held by the process that writes to the folder; stays, empty, when it ends
"""

import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wirelessfl.errors import InputError
from wirelessfl.records import row_files, strict_json
from wirelessfl.records.checkpoint import Checkpoint, DamagedCheckpointError
from wirelessfl.records.record_lines import Checksum, DamagedLineError, decode, decoder, encode
from wirelessfl.records.temporary import sweep
from wirelessfl.values import RoundRecord

KEPT_CHECKPOINTS = 2
ROWS = ("accuracy", "wall")
HALF_MADE = ".wirelessfl-new-"  # start of folders that are being made
TEMPORARY = ".part"  # ending of files that are being written
LOCK = ".lock"  # file that the process holds which writes to a run folder
_CHUNK = 1 << 20


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a whole file or nothing: a temporary file in the same folder, renamed over it.

    The temporary file has a name of its own and is created exclusively, so that neither another
    file nor another writer is touched.

    Args:
        path: The file.
        data: Its content, whole or in parts, which is on the disk when the function returns.

    Raises:
        OSError: The file cannot be written; nothing is left behind and an old file stays. The error
            names the file.
    """
    with _naming(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines((data,) if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name a file in the errors of writing to it, which name none or a temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _umask() -> int:
    """The file mode mask of this process, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def check_folder(option: str, path: Path) -> None:
    """Refuse a path that cannot be a folder because a part of it is a file.

    Args:
        option: Option of the command line, for the message.
        path: The path.

    Raises:
        InputError: The path or one of its parents is a file.
    """
    nearest = next(place for place in (path, *path.parents) if place.exists())
    if not nearest.is_dir():
        raise InputError(f"{option} {path} cannot be a folder: {nearest} is a file")


@dataclass(frozen=True)
class RunFolder:
    """Folder of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def experiment_file(self) -> Path:
        """File of the resolved experiment."""
        return self.path / "experiment.toml"

    @property
    def rounds_file(self) -> Path:
        """File of the records."""
        return self.path / "rounds.jsonl"

    @property
    def summary_file(self) -> Path:
        """File of the summary of a complete run."""
        return self.path / "summary.json"

    @property
    def best_file(self) -> Path:
        """File of the checkpoint of the best round."""
        return self.path / "best.npz"

    @property
    def label(self) -> str:
        """Name of the run in messages: its path."""
        return str(self.path)

    @property
    def plots(self) -> Path:
        """Folder of pictures."""
        return self.path / "plots"

    @staticmethod
    def check_free(path: Path) -> None:
        """Refuse a path that exists and is not an empty folder.

        Args:
            path: Path of the new run folder.

        Raises:
            InputError: The path is occupied.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(
                f"--out {path} exists and is not empty: choose another folder or add --resume"
            )

    @classmethod
    def create(cls, path: Path, experiment_toml: str) -> "RunFolder":
        """Make a new run folder in one step: an incomplete one never exists under its name.

        Args:
            path: Path of the folder.
            experiment_toml: Text of `experiment.toml`.

        Returns:
            The folder.

        Raises:
            InputError: The path exists and is not an empty folder, or cannot be made.
        """
        cls.check_free(path)
        check_folder("--out", path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent, HALF_MADE)
            half_made = Path(tempfile.mkdtemp(dir=path.parent, prefix=HALF_MADE))
        except OSError as error:
            raise InputError(f"--out {path} cannot be made: {error.strerror}") from None
        try:
            half_made.chmod(0o755)
            folder = cls(half_made)
            folder.experiment_file.write_text(experiment_toml, encoding="utf-8")
            folder.rounds_file.touch()
            half_made.replace(path)
        except BaseException as error:
            shutil.rmtree(half_made, ignore_errors=True)
            # The disk is full, or `path` was created meanwhile.
            if isinstance(error, OSError):
                raise InputError(f"--out {path} cannot be made: {error.strerror}") from None
            raise
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open an existing run folder.

        Args:
            path: Path of the folder.

        Returns:
            The folder.

        Raises:
            InputError: The path is not a run folder.
        """
        if not path.is_dir():
            raise InputError(f"{path} is not a run folder: no such folder")
        folder = cls(path)
        for file in (folder.experiment_file, folder.rounds_file):
            if not file.is_file():
                raise InputError(f"{path} is not a run folder: {file.name} is missing")
        return folder

    def remove_unused(self) -> None:
        """Remove the files of a run without rounds, for the process that created and locked it.

        Files of others in the folder stay, and then the folder stays too.
        """
        if self.count():
            return
        rows = [self._rows_file(name) for name in ROWS]
        lock = self.path / LOCK
        for file in (self.summary_file, *rows, self.rounds_file, self.experiment_file, lock):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: files of others
            self.path.rmdir()

    def discard(self) -> None:
        """`remove_unused`, unless another process holds the folder's lock."""
        with suppress(InputError), self.in_use():
            self.remove_unused()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep other processes from writing to the folder (a context manager).

        The lock is on a hidden file that is opened for writing, as network file systems require;
        the system releases it when its holder dies.

        Yields:
            None, while the lock is held.

        Raises:
            InputError: Another process holds the lock.
        """
        try:
            import fcntl
        except ImportError:  # not on Windows, where two processes must not be given the same folder
            yield
            return
        with _naming(self.path / LOCK):
            handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"run folder {self.path} is in use by another process") from None
            for torn in self.path.glob(f".*{TEMPORARY}"):  # of a process that was killed
                torn.unlink(missing_ok=True)
            yield
        finally:
            os.close(handle)

    def records(self) -> list[dict[str, Any]]:
        """Records of all rounds.

        Returns:
            The records in order; a last line that was incomplete when the run was killed does not
            count.

        Raises:
            InputError: A line is damaged.
        """
        return list(self.each_record())

    def each_record(self, fields: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
        """Records of all rounds one by one, since those of many clients can exceed the memory.

        Args:
            fields: Fields that are read, which is faster; None: all.

        Yields:
            The records in order, as `records`; lists of some `fields` must not be changed.

        Raises:
            InputError: A line is damaged.
        """
        read = decode if fields is None else decoder(fields)
        with self.rounds_file.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):  # torn
                    return
                yield self._decoded(read, number, line)

    def checksum(self, count: int) -> Checksum:
        """Checksum of the first records, of which only the last is read.

        Args:
            count: Number of records.

        Returns:
            The checksum.

        Raises:
            InputError: The last of them is damaged.
        """
        lines = self._lines(count)
        if not count or lines.count < count:
            return Checksum()
        before = 0
        for part in self._bytes(lines.start):
            before = zlib.crc32(part, before)
        return Checksum(whole=before).after(self._record_of(lines))

    def last_record(self) -> dict[str, Any] | None:
        """Record of the last round; None before the first.

        Raises:
            InputError: Its line is damaged.
        """
        lines = self._lines()
        return self._record_of(lines) if lines.count else None

    def count(self) -> int:
        """Number of recorded rounds, counted without reading the records."""
        return self._lines().count

    def _decoded(
        self, read: Callable[[bytes, int], dict[str, Any]], number: int, line: bytes
    ) -> dict[str, Any]:
        try:
            return read(line[:-1], number)
        except DamagedLineError as error:
            raise InputError(f"{self.rounds_file} line {number} is damaged: {error}") from None

    def _record_of(self, lines: "_Lines") -> dict[str, Any]:
        """Record of the last of some lines."""
        with self.rounds_file.open("rb") as file:
            file.seek(lines.start)
            return self._decoded(decode, lines.count, file.read(lines.end - lines.start))

    def _lines(self, most: int | None = None) -> "_Lines":
        """The complete lines, at most the first `most`, of which none is read."""
        count = start = end = done = 0
        with self.rounds_file.open("rb") as file:
            while count != most and (chunk := file.read(_CHUNK)):
                place = chunk.find(b"\n")
                while place >= 0 and count != most:
                    count += 1
                    start, end = end, done + place + 1
                    place = chunk.find(b"\n", place + 1)
                done += len(chunk)
        return _Lines(count, start, end)

    def append(self, record: RoundRecord) -> None:
        """Append the line of one round.

        Args:
            record: Record of the round.
        """
        with _naming(self.rounds_file), self.rounds_file.open("ab") as file:
            file.write(encode(record.as_dict()))

    def keep_rounds(self, count: int, *, evaluated_last: bool = True) -> None:
        """Keep the first records and drop the rest.

        Args:
            count: Number of records to keep.
            evaluated_last: Keep the last record's accuracy. A run that is extended has no
                evaluation where it once ended, unless one was due in that round.

        Raises:
            InputError: There are fewer records.
        """
        lines = self._lines(count)
        if lines.count < count:
            raise InputError(
                f"{self.rounds_file} holds {lines.count} rounds, "
                f"its checkpoint {count}: the folder is damaged"
            )
        last = self._record_of(lines) if count else {}
        if count and not evaluated_last and last["accuracy"] is not None:
            changed = encode({**last, "accuracy": None})
            write_atomically(self.rounds_file, chain(self._bytes(lines.start), (changed,)))
        elif lines.end < self.rounds_file.stat().st_size:
            with _naming(self.rounds_file), self.rounds_file.open("r+b") as file:
                file.truncate(lines.end)
                os.fsync(file.fileno())
        lengths = {"accuracy": count if evaluated_last else count - 1, "wall": count}
        for name, most in lengths.items():
            row_files.keep_rows(self._rows_file(name), most, write_atomically)

    def _bytes(self, end: int) -> Iterator[bytes]:
        """The first bytes of the records, in parts."""
        with self.rounds_file.open("rb") as file:
            while end and (chunk := file.read(min(end, _CHUNK))):
                end -= len(chunk)
                yield chunk

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint atomically, after its rounds, and drop all but the last two up to it.

        Checkpoints of later rounds are those of a run that was not continued.

        Args:
            checkpoint: State after the last recorded round.
        """
        with self.rounds_file.open("rb") as file:
            os.fsync(file.fileno())
        target = self.path / f"checkpoint-{checkpoint.round:06d}.npz"
        write_atomically(target, checkpoint.to_bytes())
        files = self.checkpoint_files()
        done = [file for file in files if _round_of(file) <= checkpoint.round]
        for old in {*files} - {*done[-KEPT_CHECKPOINTS:]}:
            old.unlink()

    def last_checkpoint(self, notify: Callable[[str], None]) -> Checkpoint | None:
        """Newest readable checkpoint; for a damaged one the one before it is used.

        Args:
            notify: Function that receives one line about each damaged checkpoint.

        Returns:
            The checkpoint, or None where none is readable.
        """
        return next(self.checkpoints(notify), None)

    def checkpoints(self, notify: Callable[[str], None]) -> Iterator[Checkpoint]:
        """Readable checkpoints, the newest first.

        Args:
            notify: Function that receives one line about each damaged checkpoint, when the next one
                is requested.

        Yields:
            The checkpoints.
        """
        files = self.checkpoint_files()
        while files:
            file = files.pop()
            instead = "the one before it is used" if files else "the run starts over"
            try:
                checkpoint = Checkpoint.read(file)
                if _round_of(file) != checkpoint.round:
                    raise DamagedCheckpointError(f"it is that of round {checkpoint.round}")
            except DamagedCheckpointError:
                notify(f"checkpoint {file} is damaged; {instead}")
                continue
            yield checkpoint

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint of the best round atomically, over that of an earlier one.

        Args:
            checkpoint: State after the best round.
        """
        write_atomically(self.best_file, checkpoint.to_bytes())

    def best_checkpoint(self) -> Checkpoint | None:
        """Checkpoint of the best round.

        Returns:
            The checkpoint; None where the run keeps none (`run.keep_best`).

        Raises:
            InputError: The file is damaged.
        """
        if not self.best_file.is_file():
            return None
        try:
            return Checkpoint.read(self.best_file)
        except DamagedCheckpointError:
            raise InputError(
                f"checkpoint {self.best_file} is damaged; remove it to go on"
            ) from None

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Rows outside the records, in the order of the rounds.

        Args:
            name: One of `ROWS`.

        Returns:
            The rows; empty where none were recorded.

        Raises:
            InputError: A line is damaged.
        """
        return row_files.read_rows(self._rows_file(name))

    def append_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows outside the records.

        Args:
            name: One of `ROWS`.
            rows: Rows with their rounds, in order.
        """
        row_files.append_rows(self._rows_file(name), rows)

    def _rows_file(self, name: str) -> Path:
        return self.path / f"{name}.jsonl"

    def check_experiment(self, checkpoint: Checkpoint, identity: str) -> None:
        """Check that a checkpoint belongs to the experiment of the folder.

        Args:
            checkpoint: A checkpoint of the folder.
            identity: Name of the folder's experiment, independent of its number of rounds.

        Raises:
            InputError: The checkpoint is that of another experiment.
        """
        if checkpoint.experiment != identity:
            raise InputError(
                f"{self.path} is damaged: "
                f"its checkpoints are of experiment {checkpoint.experiment!r}, "
                f"its experiment.toml is {identity!r}"
            )

    def checkpoint_files(self) -> list[Path]:
        """Files of the checkpoints, oldest first."""
        files = (
            file for file in self.path.iterdir() if re.fullmatch(r"checkpoint-\d+\.npz", file.name)
        )
        return sorted(files, key=_round_of)

    def clear_summary(self) -> None:
        """Remove the summary, before a run goes on."""
        self.summary_file.unlink(missing_ok=True)

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write `summary.json` atomically.

        Args:
            summary: Summary of the complete run.
        """
        write_atomically(self.summary_file, (strict_json.dumps(summary, indent=2) + "\n").encode())


@dataclass(frozen=True)
class _Lines:
    """Complete lines at the start of the records: their number, start and end of the last one."""

    count: int
    start: int
    end: int


def _round_of(file: Path) -> int:
    """Round of a checkpoint's file."""
    return int(file.stem.partition("-")[2])
