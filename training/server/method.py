"""What makes a server-based algorithm, as data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.engine.accounting import steps_of, updates
from training.engine.engine import EngineSpec
from training.engine.program import Program, Train, in_epochs
from training.sparsity.payload import BITS_PER_WEIGHT
from training.task import Task
from wirelessfl.rng import Streams
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class ServerMethod:
    """What makes a server-based algorithm: its task, its clients' program, whether the model has a
    personal part.

    With `personalised` the model's personal sub-modules stay with the clients and only the rest is
    shared, pruned and uploaded; without it that is the whole model. `count_mask_bits` adds a bitmap
    to every upload. A method that is not `prunable` asks the network for nothing that shrinks.
    `weighted` means count clients by their samples.

    In every round each client draws the share of its `Train` steps that it does from
    `work_fractions`.
    """

    task: Task
    program: Program
    personalised: bool
    count_mask_bits: bool
    prunable: bool = True
    weighted: bool = False
    work_fractions: tuple[float, ...] = (1.0,)

    @property
    def draws_work(self) -> bool:
        """Whether clients do different shares of the program."""
        return self.work_fractions != (1.0,)

    def program_of(self, client: int, streams: Streams, epoch_steps: int) -> Program:
        """The program of one client, whose epoch has `epoch_steps`, in the round of `streams`.

        Of n steps it does max(1, round(fraction n)), full batches only; fraction 1 is the program
        itself.
        """
        if not self.draws_work:
            return self.program
        fraction = float(streams.generator("work", client).choice(self.work_fractions))
        return self.program if fraction == 1.0 else _shortened(self.program, fraction, epoch_steps)

    def spec(self, device: str = "cpu") -> EngineSpec:
        """The engine that trains it."""
        return EngineSpec(
            model=self.task.model,
            form=self.task.form,
            personalised=self.personalised,
            batch_size=self.task.batch_size,
            device=device,
        )

    def demand(
        self, clients: int, epoch_steps: Sequence[int] | None = None, streams: Streams | None = None
    ) -> Demand:
        """Weight updates and bits of a dense round, from the program and the model's shapes; the
        broadcast is dense.

        Shared buffers (running statistics of batch norm) go up and down beside the weights and are
        never pruned. `epoch_steps` are the steps of each client's epoch; without them a program of
        epochs has nominal ones. Work that is drawn is that of the round of `streams`, without them
        its expectation.
        """
        _, layout = self.spec().build_model()
        if epoch_steps is None:
            epoch_steps = [
                self.task.nominal_epoch(clients) if in_epochs(self.program) else 0
            ] * clients
        sizes = layout.personal_size, layout.shared_size
        work = np.array(
            [
                np.mean(
                    [
                        updates(program, *sizes, steps)
                        for program in self._possible(client, streams, steps)
                    ],
                    axis=0,
                )
                for client, steps in enumerate(epoch_steps)
            ]
        )
        bitmap = layout.shared_size if self.count_mask_bits else 0
        same, kept = np.ones(clients), 1.0 if self.prunable else 0.0
        weights, buffers = (
            BITS_PER_WEIGHT * size for size in (layout.shared_size, layout.shared_buffer_size)
        )
        return Demand(
            fixed_updates=work[:, 0] + (1.0 - kept) * work[:, 1],
            prunable_updates=kept * work[:, 1],
            fixed_upload_bits=same * (bitmap + buffers + (1.0 - kept) * weights),
            prunable_upload_bits=same * kept * weights,
            fixed_download_bits=same * BITS_PER_WEIGHT * layout.upload_size,
            prunable_download_bits=np.zeros(clients),
        )

    def _possible(self, client: int, streams: Streams | None, epoch_steps: int) -> list[Program]:
        """The client's programs, all as likely: the one of a round, or one for each fraction."""
        if streams is not None:
            return [self.program_of(client, streams, epoch_steps)]
        return [_shortened(self.program, fraction, epoch_steps) for fraction in self.work_fractions]


def _shortened(program: Program, fraction: float, epoch_steps: int) -> Program:
    """`program` with this share of the steps of each `Train`, at least one where it has any."""
    lengths = [steps_of(phase, epoch_steps) for phase in program]
    return tuple(
        replace(phase, epochs=None, steps=min(length, max(1, round(fraction * length))))
        if isinstance(phase, Train)
        else phase
        for phase, length in zip(program, lengths, strict=True)
    )
