"""Runs in the memory of this process: the same records and checkpoints as in a folder."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from wirelessfl.records import strict_json
from wirelessfl.records.checkpoint import Checkpoint
from wirelessfl.records.record_lines import Checksum
from wirelessfl.values import RoundRecord


class RunMemory:
    """Records, last and best checkpoint of one run, without files.

    Attributes:
        lines: Lines of the records, as in `rounds.jsonl` of a run folder.
        summary: Summary of the run; empty until it has ended.
    """

    label = "the run in memory"

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.summary: dict[str, Any] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._last: Checkpoint | None = None
        self._best: Checkpoint | None = None

    def records(self) -> list[dict[str, Any]]:
        """Records of all rounds in order."""
        return list(self.each_record())

    def each_record(self, fields: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
        """Records of all rounds one by one.

        Args:
            fields: Without effect: all fields are read.

        Returns:
            The records in order.
        """
        return (json.loads(line) for line in self.lines)

    def count(self) -> int:
        """Number of recorded rounds."""
        return len(self.lines)

    def checksum(self, count: int) -> Checksum:
        """Checksum of the first records.

        Args:
            count: Number of records.

        Returns:
            The checksum.
        """
        found = Checksum()
        for line in self.lines[:count]:
            found = found.after(json.loads(line))
        return found

    def append(self, record: RoundRecord) -> None:
        """Append one record.

        Args:
            record: Record of the round.
        """
        self.lines.append(strict_json.dumps(record.as_dict()) + "\n")

    def keep_rounds(self, count: int, *, evaluated_last: bool = True) -> None:
        """Drop all records: a run in memory always starts at its first round.

        Args:
            count: Number of records to keep.
            evaluated_last: Without effect.
        """
        del self.lines[count:]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Rows of a name in the order of the rounds.

        Args:
            name: Name of the rows.

        Returns:
            The rows; empty where none were recorded.
        """
        return list(self._rows.get(name, ()))

    def append_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows.

        Args:
            name: Name of the rows.
            rows: Values by key, with the number of the `round`.
        """
        self._rows.setdefault(name, []).extend(
            json.loads(strict_json.dumps(dict(row))) for row in rows
        )

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in place of the one before.

        Args:
            checkpoint: State after the last recorded round.
        """
        self._last = checkpoint

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint of the best round.

        Args:
            checkpoint: State after the best round.
        """
        self._best = checkpoint

    def last_checkpoint(self, notify: Callable[[str], None]) -> Checkpoint | None:
        """The last checkpoint.

        Args:
            notify: Without effect.

        Returns:
            The checkpoint; None before the first one.
        """
        return self._last

    def checkpoints(self, notify: Callable[[str], None]) -> Iterator[Checkpoint]:
        """The last checkpoint, if there is one.

        Args:
            notify: Without effect.

        Returns:
            The checkpoint alone.
        """
        return iter(() if self._last is None else (self._last,))

    def best_checkpoint(self) -> Checkpoint | None:
        """The checkpoint of the best round; None without `run.keep_best`."""
        return self._best

    def checkpoint_files(self) -> tuple[object, ...]:
        """Files of the checkpoints, of which there are none."""
        return ()

    def check_experiment(self, checkpoint: Checkpoint, identity: str) -> None:
        """Accept every checkpoint, since all are of this run.

        Args:
            checkpoint: A checkpoint of the run.
            identity: Name of the run's experiment.
        """

    def clear_summary(self) -> None:
        """Remove the summary."""
        self.summary = {}

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Keep the summary.

        Args:
            summary: Summary of the run.
        """
        self.summary = summary
