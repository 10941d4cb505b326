"""Description of a server-based algorithm, as data."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from training.engine.program import Program, Train
from training.engine.spec import EngineSpec
from training.engine.updates import steps_of, updates
from training.sparsity.payload import BITS_PER_WEIGHT
from training.sparsity.quantise import UploadPrecision
from training.task import Task
from wirelessfl.rng import Streams
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class ServerMethod:
    """Server-based algorithm: the local program of its clients, and what they share.

    Attributes:
        task: Data set, partition and model.
        program: Local training of a client in a round.
        personalised: Whether the personal sub-modules of the model stay with the clients, so that
            only the rest is shared, pruned and uploaded; otherwise the whole model is shared.
        count_mask_bits: Whether every upload has a bitmap of N_u bits in addition.
        prunable: Whether the demand of the shared part shrinks with the pruning ratio.
        weighted: Whether means count clients by their samples.
        work_fractions: Fractions of the `Train` steps, in (0, 1]; in every round each client draws
            one of them with equal probabilities.
        upload: Bits of a weight in the uploads.
        bound_every: Rounds between two measurements of the constants of [WFL] eq. (31); 0 for no
            measurement of the theorem.
    """

    task: Task
    program: Program
    personalised: bool
    count_mask_bits: bool
    prunable: bool = True
    weighted: bool = False
    work_fractions: tuple[float, ...] = (1.0,)
    upload: UploadPrecision = field(default_factory=UploadPrecision)
    bound_every: int = 0

    @property
    def draws_work(self) -> bool:
        """True if clients do different fractions of the program."""
        return self.work_fractions != (1.0,)

    def program_of(self, client: int, streams: Streams, epoch_steps: int) -> Program:
        """The program of one client in one round.

        Of n steps the client does max(1, round(fraction n)), in full batches only; with fraction 1
        it does the program itself.

        Args:
            client: Index of the client.
            streams: Random streams of the round.
            epoch_steps: Steps in an epoch of the client.

        Returns:
            The program, shortened by the fraction that the client draws.
        """
        if not self.draws_work:
            return self.program
        fraction = float(streams.generator("work", client).choice(self.work_fractions))
        return self.program if fraction == 1.0 else _shortened(self.program, fraction, epoch_steps)

    def spec(self) -> EngineSpec:
        """The engine that trains the model."""
        return EngineSpec.of(self.task, personalised=self.personalised)

    def demand(
        self, clients: int, epoch_steps: Sequence[int] | None = None, streams: Streams | None = None
    ) -> Demand:
        """Weight updates and bits of a dense round, from the program and the model's shapes.

        Shared buffers (running statistics of batch norm) are transmitted with the weights and
        never pruned, and neither are the scales of quantised tensors. The broadcast is dense.

        Args:
            clients: Number of clients K.
            epoch_steps: Steps in an epoch of each client, (K,); nominal ones if None.
            streams: Random streams of the round in which work is drawn; its expectation if None.

        Returns:
            Demand with arrays (K,).
        """
        layout = self.spec().layout()
        if epoch_steps is None:
            epoch_steps = self.task.epoch_steps(clients, self.program)
        sizes = layout.personal_size, layout.shared_size
        if streams is None:  # clients with equally many steps have the same expectation
            each = {steps: self._mean_updates(0, None, steps, *sizes) for steps in set(epoch_steps)}
            work = np.array([each[steps] for steps in epoch_steps])
        else:
            work = np.array(
                [
                    self._mean_updates(client, streams, steps, *sizes)
                    for client, steps in enumerate(epoch_steps)
                ]
            )
        bitmap = layout.shared_size if self.count_mask_bits else 0
        weights = self.upload.bits_per_weight * layout.shared_size
        scales = self.upload.overhead_bits(len(layout.shared_tensors))
        buffers = BITS_PER_WEIGHT * layout.shared_buffer_size
        ones = np.ones(clients)
        kept = 1.0 if self.prunable else 0.0
        return Demand(
            fixed_updates=work[:, 0] + (1.0 - kept) * work[:, 1],
            prunable_updates=kept * work[:, 1],
            fixed_upload_bits=ones * (bitmap + scales + buffers + (1.0 - kept) * weights),
            prunable_upload_bits=ones * kept * weights,
            fixed_download_bits=ones * BITS_PER_WEIGHT * layout.upload_size,
            prunable_download_bits=np.zeros(clients),
        )

    def _mean_updates(
        self, client: int, streams: Streams | None, steps: int, personal: int, shared: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Mean fixed and prunable updates (2,) over the programs that a client may draw."""
        programs = self._possible(client, streams, steps)
        each = np.array([updates(program, personal, shared, steps) for program in programs])
        return np.asarray(each.mean(axis=0), dtype=np.float64)

    def _possible(self, client: int, streams: Streams | None, epoch_steps: int) -> list[Program]:
        """Equally probable programs of a client: that of a round, or one for each fraction."""
        if streams is not None:
            return [self.program_of(client, streams, epoch_steps)]
        return [_shortened(self.program, fraction, epoch_steps) for fraction in self.work_fractions]


def _shortened(program: Program, fraction: float, epoch_steps: int) -> Program:
    """`program` with a fraction of the steps of each `Train`, at least one where it has any."""
    lengths = [steps_of(phase, epoch_steps) for phase in program]
    return tuple(
        replace(phase, epochs=None, steps=min(length, max(1, round(fraction * length))))
        if isinstance(phase, Train)
        else phase
        for phase, length in zip(program, lengths, strict=True)
    )
