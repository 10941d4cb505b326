"""Description of an algorithm with sub-models, as data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from training.engine.program import Program, Train
from training.engine.spec import EngineSpec
from training.engine.updates import updates
from training.server.time_model import TimeModel
from training.sparsity.payload import BITS_PER_WEIGHT
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from training.submodels.bandit import Bandit, Trials
from training.submodels.fusion import Fusion
from training.submodels.ratios import FilterRatios
from training.submodels.scores import FilterScore
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Demand

Reconstruct = Literal["residual", "holders", "zero-fill"]


@dataclass(frozen=True, kw_only=True)
class SubModelMethod:
    """Algorithm with sub-models: local program, pruning ratios, filter scores and reconstruction.

    Models of different filters are averaged in one of three ways. `residual` puts each of them back
    into a copy of w_t, then w_{t+1} = sum_k p_k w_k, [CA-HFP] eq. (4). `holders` averages every
    value over its holders, and keeps it where there is none. `zero-fill` takes 0 for values that a
    client does not hold, [CA-HFP] eq. (5) and (13).

    Attributes:
        task: Data set, partition and model.
        program: Local training of a client in a round.
        ranks: Pruning ratio of each client.
        score: Importance of the filters.
        reconstruct: Average of models of different filters.
        weighted: Whether p_k counts the samples of client k.
        dense_download: Whether the whole model is sent to all clients.
        bandit: Settings of the bandits, where they choose the ratios.
        time: Assumed round time, for the rewards of the bandits.
        fusion: Local training before pruning, after which clients score the filters themselves;
            none if None.
        bound_every: Rounds between two measurements of the constants of [CA-HFP] eq. (10); 0 for
            no measurement of the theorem.
    """

    task: Task
    program: Program
    ranks: FilterRatios
    score: FilterScore
    reconstruct: Reconstruct = "residual"
    weighted: bool = True
    dense_download: bool = False
    bandit: Bandit = field(default_factory=Bandit)
    time: TimeModel = field(default_factory=TimeModel)
    fusion: Fusion | None = None
    bound_every: int = 0

    def spec(self) -> EngineSpec:
        """The engine that trains the model."""
        return EngineSpec.of(self.task)

    def structure(self) -> Structure:
        """The filters of the task's model.

        Returns:
            Structure in which `whole_groups` are not pruned.

        Raises:
            InputError: If the model declares no groups of filters, or not the `whole_groups`.
        """
        structure = Structure.of(*self.spec().build_model())
        if not structure.groups:
            raise InputError(
                f"training.model {self.task.model!r} must declare groups of filters to be pruned "
                "by them, got none"
            )
        return structure.without_pruning(self.ranks.whole_groups)

    def effective_rate(self, round_index: int) -> float:
        """Effective step eta' = eta / (1 - momentum) of a weight under a constant gradient.

        Args:
            round_index: Index of the round, from 0.

        Returns:
            The step in the round, above 0.
        """
        train = next(phase for phase in self.program if isinstance(phase, Train))
        rate = train.schedule.factor(round_index) * train.learning_rate
        return rate / (1.0 - train.momentum)

    def programs(self, epoch_steps: int) -> tuple[Program, Program]:
        """Programs of a client on the whole model, and then on its sub-model.

        Args:
            epoch_steps: Steps in an epoch of the client.

        Returns:
            The two programs; the first is empty without a fusion.
        """
        if self.fusion is None:
            return (), self.program
        return self.fusion.split(self.program, epoch_steps)

    @property
    def by_bandit(self) -> bool:
        """True if bandits choose the ratios."""
        return self.ranks.ratios == "bandit"

    def filter_ratios(
        self, clients: int, trials: Trials | None = None, streams: Streams | None = None
    ) -> Array | None:
        """The ratios of a round that the method chooses itself.

        Args:
            clients: Number of clients K.
            trials: History of the bandits.
            streams: Random streams of the round; without them the ratios of bandits are the middle
                of their range.

        Returns:
            Ratios (K,); None where the allocation gives them.

        Raises:
            InputError: If the ratios, or the speeds that bandits use, are of another number of
                clients.
        """
        if not self.by_bandit:
            return self.ranks.of(clients)
        self.time.of(clients)
        if trials is None or streams is None:
            return np.full(clients, self.bandit.bandit_most / 2)
        return trials.choices(self.bandit, streams)

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        filter_ratios: Array | None = None,
    ) -> Demand:
        """Weight updates and bits of a round, up and down, running statistics included.

        Where the allocation gives the ratios, the demand is that of the whole model, all of it
        prunable. With ratios of its own, it is that of each client's sub-model, all of it fixed;
        its updates are the whole model's times its fraction of the FLOPs, since time is
        proportional to FLOPs. Work before a fusion is on the whole model, and fixed. Squared
        gradients are measured and sent in addition.

        Args:
            clients: Number of clients K.
            epoch_steps: Steps in an epoch of each client, (K,); nominal ones if None.
            filter_ratios: Ratios in place of the method's own, (K,).

        Returns:
            Demand with arrays (K,).
        """
        structure = self.structure()
        size = structure.layout.shared_size
        if epoch_steps is None:
            epoch_steps = self.task.epoch_steps(clients, self.program)
        before = np.zeros(clients)
        work = np.zeros((clients, 2))
        for client, steps in enumerate(epoch_steps):
            dense_program, program = self.programs(steps)
            before[client] = sum(updates(dense_program, 0, size, steps))
            work[client] = updates(program, 0, size, steps)
        whole = SubModel.first(structure.widths)
        bits = np.full(clients, structure.bits(whole))
        nothing = np.zeros(clients)
        ratios = self.filter_ratios(clients) if filter_ratios is None else filter_ratios
        if ratios is None:
            return Demand(
                fixed_updates=before + work[:, 0],
                prunable_updates=work[:, 1],
                fixed_upload_bits=np.full(clients, self.squares_bits(structure, whole)),
                prunable_upload_bits=bits,
                fixed_download_bits=bits if self.dense_download else nothing,
                prunable_download_bits=nothing if self.dense_download else bits,
            )
        subs = {ratio: SubModel.first(structure.uniform(ratio)) for ratio in set(ratios.tolist())}

        def each(cost: Callable[[SubModel], float]) -> Array:
            costs = {ratio: cost(sub) for ratio, sub in subs.items()}
            return np.array([costs[ratio] for ratio in ratios.tolist()])

        sub_bits = each(structure.bits)
        flops_fraction = each(structure.flops) / structure.flops(whole)
        return Demand(
            fixed_updates=before + work.sum(axis=1) * flops_fraction,
            prunable_updates=nothing,
            fixed_upload_bits=sub_bits + each(lambda sub: self.squares_bits(structure, sub)),
            prunable_upload_bits=nothing,
            fixed_download_bits=bits if self.dense_download else sub_bits,
        )

    def squares_bits(self, structure: Structure, sub: SubModel) -> float:
        """Bits of the squared gradients that a client sends with its model.

        Args:
            structure: Structure of the whole model.
            sub: Sub-model of the client.

        Returns:
            32 bits for each parameter; 0 where the score does not need them.
        """
        if not self.score.asks_clients:
            return 0.0
        return float(BITS_PER_WEIGHT * structure.parameters(sub))
