"""What makes a server-based algorithm, as data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.accounting import BITS_PER_WEIGHT, updates
from training.engine import EngineSpec
from training.program import Program
from training.task import Task
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class Method:
    """What makes a server-based algorithm: its task, its clients' program, whether the model has a personal part.

    With `personalised` the model's personal sub-modules stay with the clients and only the rest is shared, pruned
    and uploaded; without it that is the whole model. `count_mask_bits` adds a bitmap to every upload.
    """

    task: Task
    program: Program
    personalised: bool
    count_mask_bits: bool

    def spec(self, device: str = "cpu") -> EngineSpec:
        """The engine that trains it."""
        return EngineSpec(
            model=self.task.model, personalised=self.personalised, batch_size=self.task.batch_size, device=device
        )

    def demand(self, clients: int, epoch_steps: Sequence[int] | None = None) -> Demand:
        """Weight updates and bits of a dense round, from the program and the model's shapes; the broadcast is dense.

        Shared buffers (running statistics of batch norm) go up and down beside the weights and are never pruned. A
        program of epochs needs `epoch_steps`, the steps of each client's epoch; `InputError` without it.
        """
        _, layout = self.spec().build_model()
        steps = [None] * clients if epoch_steps is None else epoch_steps
        work = np.array([updates(self.program, layout.personal_size, layout.shared_size, count) for count in steps])
        bitmap = layout.shared_size if self.count_mask_bits else 0
        same = np.ones(clients)
        return Demand(
            fixed_updates=work[:, 0],
            prunable_updates=work[:, 1],
            fixed_upload_bits=same * (bitmap + BITS_PER_WEIGHT * layout.shared_buffer_size),
            prunable_upload_bits=same * BITS_PER_WEIGHT * layout.shared_size,
            fixed_download_bits=same * BITS_PER_WEIGHT * layout.upload_size,
            prunable_download_bits=np.zeros(clients),
        )
