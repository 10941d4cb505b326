"""The trained model of a run folder: its last checkpoint as a PyTorch model or a file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.report.output import check_output
from studies.report.scores import score_label
from wirelessfl import __version__
from wirelessfl.config.scenario_file import experiment_hash, to_tables
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.records import strict_json
from wirelessfl.records.run_folder import RunFolder
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
        module: The `torch.nn.Module`, in evaluation mode.
    """

    experiment: Experiment
    client: int | None
    round: int
    accuracy: float | None
    module: Any

    @classmethod
    def read(
        cls,
        folder: RunFolder,
        experiment: Experiment,
        client: int | None,
        *,
        data_root: Path | None,
        notify: Callable[[str], None],
    ) -> "TrainedModel":
        """Read the model from the last checkpoint of a run folder.

        Args:
            folder: The run folder.
            experiment: Its experiment.
            client: Index of the client; None for the global model.
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
            raise InputError(f"{folder.path} has no model: run.train must be true, got false")
        checkpoint = folder.last_checkpoint(notify)
        if checkpoint is None:
            raise InputError(
                f"{folder.path} has no model: it holds no checkpoint of the run; the first one is "
                f"written after round {min(settings.checkpoint_every, settings.rounds)}"
            )
        folder.check_experiment(checkpoint, experiment_hash(experiment, with_rounds=False))
        from training.export import trained_model

        arrays = dict(checkpoint.arrays)
        Backlog.unpack(arrays, clients)  # leaves the arrays of the trainer
        module = trained_model(
            experiment.algorithm,
            arrays,
            clients=clients,
            seed=settings.seed,
            client=client,
            data_root=data_root,
        )
        scores = {record["round"]: record["accuracy"] for record in folder.each_record()}
        return cls(experiment, client, checkpoint.round, scores.get(checkpoint.round), module)

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
