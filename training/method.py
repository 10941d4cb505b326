"""What makes a server-based algorithm, as data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.accounting import BITS_PER_WEIGHT, updates
from training.engine import EngineSpec
from training.program import Program, in_epochs
from training.task import Task
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class Method:
    """What makes a server-based algorithm: its task, its clients' program, whether the model has a personal part.

    With `personalised` the model's personal sub-modules stay with the clients and only the rest is shared, pruned
    and uploaded; without it that is the whole model. `count_mask_bits` adds a bitmap to every upload. A method that is
    not `prunable` asks the network for nothing that shrinks. `weighted` means count clients by their samples.
    """

    task: Task
    program: Program
    personalised: bool
    count_mask_bits: bool
    prunable: bool = True
    weighted: bool = False

    def spec(self, device: str = "cpu") -> EngineSpec:
        """The engine that trains it."""
        return EngineSpec(
            model=self.task.model,
            form=self.task.form,
            personalised=self.personalised,
            batch_size=self.task.batch_size,
            device=device,
        )

    def demand(self, clients: int, epoch_steps: Sequence[int] | None = None) -> Demand:
        """Weight updates and bits of a dense round, from the program and the model's shapes; the broadcast is dense.

        Shared buffers (running statistics of batch norm) go up and down beside the weights and are never pruned.
        `epoch_steps` are the steps of each client's epoch; without them a program of epochs has nominal ones.
        """
        _, layout = self.spec().build_model()
        if epoch_steps is None:
            epoch_steps = [self.task.nominal_epoch(clients) if in_epochs(self.program) else 0] * clients
        work = np.array([updates(self.program, layout.personal_size, layout.shared_size, n) for n in epoch_steps])
        bitmap = layout.shared_size if self.count_mask_bits else 0
        same, kept = np.ones(clients), 1.0 if self.prunable else 0.0
        weights, buffers = (BITS_PER_WEIGHT * size for size in (layout.shared_size, layout.shared_buffer_size))
        return Demand(
            fixed_updates=work[:, 0] + (1.0 - kept) * work[:, 1],
            prunable_updates=kept * work[:, 1],
            fixed_upload_bits=same * (bitmap + buffers + (1.0 - kept) * weights),
            prunable_upload_bits=same * kept * weights,
            fixed_download_bits=same * BITS_PER_WEIGHT * layout.upload_size,
            prunable_download_bits=np.zeros(clients),
        )
