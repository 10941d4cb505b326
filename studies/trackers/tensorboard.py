"""TensorBoard: the numbers of each round as scalars, by round."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.records.callbacks import Callback, scalars
from wirelessfl.values import RoundRecord


class TensorBoard(Callback):
    """Writes the scalars of a run for TensorBoard; needs `wirelessfl[tensorboard]`.

    A resumed run replaces the scalars of rounds that are run again.

    Args:
        folder: Folder of the event files, made when missing.
        every: Rounds from one entry to the next; rounds with an evaluation are always written.
    """

    def __init__(self, folder: str | Path, *, every: int = 1) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise InputError(
                "TensorBoard needs tensorboardX, which is not installed: "
                'pip install "wirelessfl[tensorboard]"'
            ) from None
        self._make = SummaryWriter
        self._folder = Path(folder)
        self._every = every
        self._writer: Any = None

    def on_start(self, experiment: Experiment, rounds: int) -> None:
        """Open the event file.

        Args:
            experiment: The experiment.
            rounds: Number of rounds that are recorded already.
        """
        purged = rounds + 1 if rounds else None
        # Without a suffix two files that are opened in one second have the same name.
        self._writer = self._make(
            str(self._folder), purge_step=purged, filename_suffix=f".{time.time_ns()}"
        )

    def on_round(self, record: RoundRecord) -> None:
        """Write the scalars of a round.

        Args:
            record: Record of the round.
        """
        if record.round % self._every and record.accuracy is None:
            return
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record.round)

    def on_end(self, summary: Mapping[str, Any]) -> None:
        """Close the event file.

        Args:
            summary: Summary of the run.
        """
        if self._writer is not None:
            self._writer.close()
