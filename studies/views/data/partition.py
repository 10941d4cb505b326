"""The partition of an experiment's data set over its clients, for a table and a figure."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl import plugins
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment


@dataclass(frozen=True, eq=False)
class PartitionView:
    """Samples of K clients.

    Attributes:
        dataset: Name of the data set.
        partition: Name of the partition.
        seed: Seed of the partition.
        labelled: False where targets are numbers: `counts` then has one column.
        counts: Training samples by client and class, (K, classes).
        tests: Test samples of each client, (K,).
        provenance: Origin of the data.
    """

    dataset: str
    partition: str
    seed: int
    labelled: bool
    counts: NDArray[np.int64]
    tests: NDArray[np.int64]
    provenance: str

    @cached_property
    def samples(self) -> NDArray[np.int64]:
        """Training samples of each client, (K,)."""
        samples: NDArray[np.int64] = self.counts.sum(axis=1)
        return samples

    def rows(self) -> list[dict[str, Any]]:
        """One row of plain values per client; None where a value needs labels."""
        return [
            {
                "client": client,
                "samples": int(self.samples[client]),
                "test_samples": int(self.tests[client]),
                "labels_held": int(np.count_nonzero(held)) if self.labelled else None,
                "top_label": int(held.argmax()) if self.labelled else None,
                "top_share": float(held.max() / held.sum()) if self.labelled else None,
                "label_counts": held.tolist() if self.labelled else None,
            }
            for client, held in enumerate(self.counts)
        ]

    def as_dict(self) -> dict[str, Any]:
        """The partition as plain values."""
        about = {
            name: getattr(self, name) for name in ("dataset", "partition", "seed", "provenance")
        }
        return {**about, "clients": self.rows()}


def view(experiment: Experiment, data_root: Path | None) -> PartitionView:
    """The partition that a run trains on, even if its model does not fit the data.

    Args:
        experiment: The experiment.
        data_root: The folder of the data sets.

    Returns:
        The partition.

    Raises:
        InputError: The algorithm has no `task` that divides data.
    """
    task: Any = getattr(experiment.algorithm, "task", None)
    if not hasattr(task, "divide"):
        name = plugins.name_of(type(experiment.algorithm))
        raise InputError(f"training.algorithm must be one whose task divides data, got {name!r}")
    data = task.divide(
        clients=experiment.scenario.clients, seed=experiment.run.seed, data_root=data_root
    )
    return PartitionView(
        dataset=task.dataset,
        partition=task.partition,
        seed=experiment.run.seed,
        labelled=not data.train_labels.is_floating_point(),
        counts=data.label_counts(),
        tests=np.array([len(rows) for rows in data.test_index]),
        provenance=data.provenance,
    )
