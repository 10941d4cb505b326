"""The trained model of a run: its last or best checkpoint as a PyTorch model or a file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.report.output import check_output
from studies.report.scores import score_label
from wirelessfl import __version__
from wirelessfl.config.scenario_file import experiment_hash, to_tables
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.records import strict_json
from wirelessfl.records.checkpoint import BEST, BEST_CLIENTS
from wirelessfl.records.run_store import RunStore
from wirelessfl.values import Backlog

SUFFIXES = (".safetensors",)


@dataclass(frozen=True)
class TrainedModel:
    """The model of a client, or the global one, after a round.

    Attributes:
        experiment: The experiment that trained it.
        client: Index of the client; None for the global model.
        round: Rounds done.
        accuracy: Score recorded in that round, see `score_label`; None without an evaluation.
        client_accuracy: Score of each client in that round, (K,); None where it is not recorded.
        module: The `torch.nn.Module`, in evaluation mode.
    """

    experiment: Experiment
    client: int | None
    round: int
    accuracy: float | None
    client_accuracy: NDArray[np.float64] | None
    module: Any

    @classmethod
    def read(
        cls,
        folder: RunStore,
        experiment: Experiment,
        client: int | None,
        *,
        best: bool = False,
        data_root: Path | None,
        notify: Callable[[str], None],
    ) -> "TrainedModel":
        """Read the model from the last or the best checkpoint of a run.

        Args:
            folder: The run folder, or the memory of this process.
            experiment: Its experiment.
            client: Index of the client; None for the global model.
            best: Whether to read the model of the best round (`run.keep_best`).
            data_root: Folder of the data sets.
            notify: Receives messages for the user, one line each.

        Returns:
            The model.

        Raises:
            InputError: The run has no training or no checkpoint, the checkpoint is that of another
                experiment, the data are missing, or there is no such model.
        """
        settings = experiment.run
        clients = experiment.scenario.clients
        if not settings.train:
            raise InputError(f"{folder.label} has no model: run.train must be true, got false")
        checkpoint = folder.best_checkpoint() if best else folder.last_checkpoint(notify)
        if checkpoint is None:
            raise InputError(f"{folder.label} has no {_missing(settings, best)}")
        folder.check_experiment(checkpoint, experiment_hash(experiment, with_rounds=False))
        from training.export import trained_model

        arrays = dict(checkpoint.arrays)
        Backlog.unpack(arrays, clients)  # leaves the arrays of the trainer
        scores = arrays.pop(BEST_CLIENTS, None)
        accuracy = arrays.pop(BEST, None)
        module = trained_model(
            experiment.algorithm,
            arrays,
            clients=clients,
            seed=settings.seed,
            client=client,
            data_root=data_root,
        )
        if accuracy is None:
            found = {
                record["round"]: record["accuracy"] for record in folder.each_record(("accuracy",))
            }
            accuracy = found.get(checkpoint.round)
            rows = {row["round"]: row["accuracy"] for row in folder.rows("accuracy")}
            scores = rows.get(checkpoint.round)
        return cls(
            experiment,
            client,
            checkpoint.round,
            None if accuracy is None else float(accuracy),
            None if scores is None else np.asarray(scores, dtype=np.float64),
            module,
        )

    def description(self, data_root: Path | None) -> dict[str, Any]:
        """Origin of the model and everything needed to use it.

        Args:
            data_root: Folder of the data sets.

        Returns:
            Values for the head of a file, without those that do not apply.
        """
        from training.export import description

        training = to_tables(self.experiment)["training"]
        algorithm: Any = self.experiment.algorithm
        values = {
            "wirelessfl": __version__,
            "experiment": experiment_hash(self.experiment),
            "algorithm": training["algorithm"],
            "client": self.client,
            "round": self.round,
            "score": None if self.accuracy is None else score_label(training),
            "accuracy": self.accuracy,
            "client_accuracy": None
            if self.client_accuracy is None or self.client is None
            else float(self.client_accuracy[self.client]),
            **description(
                algorithm.task,
                self.module,
                clients=self.experiment.scenario.clients,
                seed=self.experiment.run.seed,
                data_root=data_root,
            ),
        }
        return {name: value for name, value in values.items() if value is not None}

    def write(self, file: Path, data_root: Path | None) -> dict[str, Any]:
        """Write the model as a safetensors file.

        Args:
            file: The file; an existing one is replaced.
            data_root: Folder of the data sets.

        Returns:
            The description in the head of the file, where a text is stored unchanged and any other
            value as JSON.

        Raises:
            InputError: The file cannot be written.
        """
        from training.export import write_safetensors

        check_output("-o", file, SUFFIXES)
        values = self.description(data_root)
        texts = {
            name: value if isinstance(value, str) else strict_json.dumps(value)
            for name, value in values.items()
        }
        write_safetensors(file, self.module, texts)
        return values


def _missing(settings: RunSettings, best: bool) -> str:
    """Reason for a missing checkpoint, for a message."""
    if best:
        kept = "no round has been evaluated yet" if settings.keep_best else "got false"
        return f"model of its best round: run.keep_best must be true during the run, {kept}"
    first = min(settings.checkpoint_every, settings.rounds)
    return f"model: it holds no checkpoint of the run; the first one is written after round {first}"
