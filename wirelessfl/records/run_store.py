"""Interface of the places that keep a run: a folder, or the memory of this process."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from wirelessfl.records.checkpoint import Checkpoint
from wirelessfl.records.record_lines import Checksum
from wirelessfl.values import RoundRecord

Row = Mapping[str, Any]


class RunStore(Protocol):
    """Records, checkpoints and summary of one run.

    Rows are further values of a round, outside the records: `accuracy` of each client in rounds
    with an evaluation, and, as `wall`, wall-clock seconds of its phases.
    """

    @property
    def label(self) -> str:
        """Name of the run in messages."""
        ...

    def records(self) -> list[dict[str, Any]]:
        """Records of all rounds in order."""
        ...

    def each_record(self, fields: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
        """Records of all rounds one by one, with at least these fields; None: all."""
        ...

    def count(self) -> int:
        """Number of recorded rounds."""
        ...

    def checksum(self, count: int) -> Checksum:
        """Checksum of the first records; raises `InputError` where the last of them is damaged."""
        ...

    def append(self, record: RoundRecord) -> None:
        """Append one record."""
        ...

    def keep_rounds(self, count: int, *, evaluated_last: bool = True) -> None:
        """Keep the first records and their rows, and drop the rest; see `RunFolder`."""
        ...

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Rows of a name in the order of the rounds; empty where none were recorded."""
        ...

    def append_rows(self, name: str, rows: Iterable[Row]) -> None:
        """Append rows; each has the number of its `round`."""
        ...

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""
        ...

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint of the best round."""
        ...

    def last_checkpoint(self, notify: Callable[[str], None]) -> Checkpoint | None:
        """The newest readable checkpoint, or None."""
        ...

    def checkpoints(self, notify: Callable[[str], None]) -> Iterator[Checkpoint]:
        """The readable checkpoints, the newest first."""
        ...

    def best_checkpoint(self) -> Checkpoint | None:
        """The checkpoint of the best round, or None."""
        ...

    def checkpoint_files(self) -> Sequence[object]:
        """Files of the checkpoints."""
        ...

    def check_experiment(self, checkpoint: Checkpoint, identity: str) -> None:
        """Refuse a checkpoint of another experiment."""
        ...

    def clear_summary(self) -> None:
        """Remove the summary, which only a run that has ended has."""
        ...

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Keep the summary."""
        ...
