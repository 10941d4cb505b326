"""Record of runs that are trained in a batch, as the round loop would have written it."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from numpy.typing import NDArray

from wirelessfl.batched_runs import TrainedRun
from wirelessfl.config.input_files import Contents
from wirelessfl.errors import DivergenceError
from wirelessfl.experiment import Experiment
from wirelessfl.protocols import Trainer
from wirelessfl.records.checkpoint import Checkpoint
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.run_store import Row
from wirelessfl.rounds.one_round import (
    after_record,
    check_finishes,
    delivery,
    record_of,
    simulate_round,
)
from wirelessfl.rounds.run_state import restored
from wirelessfl.values import MeanScore


class _PackedState:
    """The part of a trainer that `restored` uses, with packed arrays as its state."""

    def init(self, seed: int) -> None:
        """No state before the first round."""

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """The arrays themselves."""
        return arrays


class TrainedRecorder:
    """Records a batched run in parts, each with a checkpoint after its last round.

    Args:
        experiment: Experiment of the run.
        folder: Run folder, in use by this process.
        identity: Name of the experiment in its checkpoints.
        inputs: Content of the files that the run reads, by name.
        notify: Receives messages for the user, one line each.

    Attributes:
        done: Number of recorded rounds.
        state: Packed state of the trainer after them; None before the first round.
        fits: False once an update is late or pruned by the allocation: a batch assumes that none
            is, so that the run has to be trained on its own from the last checkpoint.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        *,
        identity: str = "",
        inputs: Contents | None = None,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        files = inputs or {}
        start = restored(experiment, identity, files, cast(Trainer, _PackedState()), folder, notify)
        folder.clear_summary()
        self._experiment = experiment
        self._folder = folder
        self._identity = identity
        self._inputs = files
        self._clock_s = start.clock_s
        self._backlog = start.backlog
        self._history = start.history
        self._totals = start.totals
        self._checksum = start.checksum
        self.done = int(start.totals.rounds)
        self.state: Mapping[str, NDArray[Any]] | None = start.state
        self.fits = True

    def add(self, trained: TrainedRun) -> None:
        """Record the rounds of a part.

        Args:
            trained: Rounds after the recorded ones, and the state after the last of them.

        Raises:
            InputError: A client can never finish a round.
        """
        if not (self.fits and trained.rounds):
            return
        scenario = self._experiment.scenario
        clock_s, history = self._clock_s, self._history
        totals, checksum = self._totals, self._checksum
        scores: list[Row] = []
        for round_index, done in enumerate(trained.rounds, start=self.done):
            participates, planned, timing = simulate_round(
                self._experiment, done.demand, self._backlog, round_index, history
            )
            check_finishes(scenario, planned, timing, round_index)
            told = delivery(scenario, timing, participates)
            if not told.on_time.all() or planned.allocation.pruning_ratio.any():
                self._folder.keep_rounds(self.done)
                self.fits = False
                return
            record = record_of(
                round_index + 1, clock_s, participates, planned, timing, done.metrics, done.accuracy
            )
            clock_s = record.clock_s
            if history is not None:
                history = after_record(history, scenario, record)
            self._folder.append(record)
            totals = totals.after(record.as_dict())
            checksum = checksum.after(record.as_dict())
            if isinstance(done.accuracy, MeanScore):
                scores.append({"round": record.round, "accuracy": done.accuracy.clients.tolist()})
        self.done += len(trained.rounds)
        self._clock_s, self._history = clock_s, history
        self._totals, self._checksum = totals, checksum
        self._folder.append_rows("accuracy", scores)
        arrays = {**trained.state, **self._backlog.pack()}
        if history is not None:
            arrays |= history.pack()
        self._folder.save_checkpoint(
            Checkpoint(self.done, clock_s, arrays, self._identity, self._inputs, totals, checksum)
        )

    def end(self, trained: TrainedRun) -> None:
        """Record the last part, and the summary of a complete run.

        Args:
            trained: The last part.

        Raises:
            DivergenceError: Training diverged; the rounds before that are recorded.
            InputError: A client can never finish a round.
        """
        self.add(trained)
        if self.fits and trained.diverged:
            raise DivergenceError(trained.diverged)
        if self.fits and self.done == self._experiment.run.rounds:
            self._folder.write_summary(self._totals.summary())
