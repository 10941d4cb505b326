"""What the clients of an experiment hold of its data set, for a table and a figure."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl import plugins
from wirelessfl.errors import InputError
from wirelessfl.rounds import Experiment


@dataclass(frozen=True, eq=False)
class PartitionView:
    """Samples of each class on each of K clients, `counts` (K, classes), and of their test sets,
    `tests` (K,).

    `labelled` is False where targets are numbers: `counts` then has one column.
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
        """Training samples of each client; (K,)."""
        return self.counts.sum(axis=1)

    def rows(self) -> list[dict[str, Any]]:
        """One client a row; what has no meaning without labels is None."""
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
        """Everything as plain values."""
        about = {
            name: getattr(self, name) for name in ("dataset", "partition", "seed", "provenance")
        }
        return {**about, "clients": self.rows()}


def view(experiment: Experiment, data_root: Path | None) -> PartitionView:
    """The partition that a run of `experiment` trains on, whether or not its model fits the data.

    `InputError` when its algorithm has no `task` that divides data.
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
