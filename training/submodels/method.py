"""What makes an algorithm with sub-models, as data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from training.engine.accounting import updates
from training.engine.engine import EngineSpec
from training.engine.program import Program, Train, in_epochs
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
    """What makes an algorithm with sub-models: its program, who prunes how much (`ranks`) and what
    (`score`).

    `reconstruct` says how the server averages models of different filters: `residual` puts each
    back into a copy of w_t, then w_{t+1} = sum_k p_k w_k, [CA-HFP] eq. (4); `holders` averages
    every number over those who hold it, and keeps it where nobody does; `zero-fill` takes 0 for
    what a client does not hold, [CA-HFP] eq. (5) and (13). p_k counts samples where `weighted`.
    With `dense_download` the whole model is sent to everybody. `bandit` and `time` serve the ratios
    of that name. With a `fusion` clients score the filters themselves, of a model that they have
    trained before.
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

    def spec(self, device: str = "cpu") -> EngineSpec:
        """The engine that trains it."""
        return EngineSpec(
            model=self.task.model,
            form=self.task.form,
            personalised=False,
            batch_size=self.task.batch_size,
            device=device,
        )

    def structure(self) -> Structure:
        """The filters of the task's model; `InputError` for a model that declares none, or not the
        `whole_groups`.
        """
        structure = Structure.of(*self.spec().build_model())
        if not structure.groups:
            raise InputError(
                f"training.model {self.task.model!r} must declare groups of filters to be pruned by them, got none"
            )
        return structure.without_pruning(self.ranks.whole_groups)

    @property
    def effective_rate(self) -> float:
        """eta' = eta / (1 - momentum): how far a steady gradient moves a weight per step."""
        train = next(phase for phase in self.program if isinstance(phase, Train))
        return train.learning_rate / (1.0 - train.momentum)

    def programs(self, epoch_steps: int) -> tuple[Program, Program]:
        """What a client whose epoch has `epoch_steps` does on the whole model, and then on its
        sub-model.
        """
        return (
            ((), self.program)
            if self.fusion is None
            else self.fusion.split(self.program, epoch_steps)
        )

    @property
    def by_bandit(self) -> bool:
        """Whether bandits choose the ratios."""
        return self.ranks.ratios == "bandit"

    def filter_ratios(
        self, clients: int, trials: Trials | None = None, streams: Streams | None = None
    ) -> Array | None:
        """The ratios (K,) of the round of `streams` after these `trials`, None where the allocation
        gives them.

        Without streams those of bandits are the middle of what they choose from. Raises
        `InputError` for ratios, or for the speeds that bandits go by, of another number of clients.
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

        Where the allocation gives the ratios, those of the whole model, all prunable. With ratios
        of its own, those of each client's sub-model, all fixed; its updates are the whole model's
        times its share of the FLOPs, as time goes by FLOPs. Work before a fusion is on the whole
        model, fixed. Squared gradients are measured and sent on top. `epoch_steps` as for
        `ServerMethod.demand`; `filter_ratios` (K,) take the place of the method's own.
        """
        structure = self.structure()
        if epoch_steps is None:
            epoch_steps = [
                self.task.nominal_epoch(clients) if in_epochs(self.program) else 0
            ] * clients
        programs, size = (
            [self.programs(steps) for steps in epoch_steps],
            structure.layout.shared_size,
        )
        pairs = list(zip(programs, epoch_steps, strict=True))
        before = np.array([sum(updates(dense, 0, size, steps)) for (dense, _), steps in pairs])
        work = np.array([updates(program, 0, size, steps) for (_, program), steps in pairs])
        whole = SubModel.first(structure.widths)
        bits = np.full(clients, structure.bits(whole))
        squares = np.full(clients, self.squares_bits(structure, whole))
        ratios = self.filter_ratios(clients) if filter_ratios is None else filter_ratios
        nothing = np.zeros(clients)
        if ratios is None:
            return Demand(
                fixed_updates=before + work[:, 0],
                prunable_updates=work[:, 1],
                fixed_upload_bits=squares,
                prunable_upload_bits=bits,
                fixed_download_bits=bits if self.dense_download else nothing,
                prunable_download_bits=nothing if self.dense_download else bits,
            )
        subs = {ratio: SubModel.first(structure.uniform(ratio)) for ratio in set(ratios.tolist())}

        def each(cost: Callable[[SubModel], float]) -> Array:
            costs = {ratio: cost(sub) for ratio, sub in subs.items()}
            return np.array([costs[ratio] for ratio in ratios.tolist()])

        sub_bits, flops = each(structure.bits), each(structure.flops) / structure.flops(whole)
        return Demand(
            fixed_updates=before + work.sum(axis=1) * flops,
            prunable_updates=nothing,
            fixed_upload_bits=sub_bits + each(lambda sub: self.squares_bits(structure, sub)),
            prunable_upload_bits=nothing,
            fixed_download_bits=bits if self.dense_download else sub_bits,
        )

    def squares_bits(self, structure: Structure, sub: SubModel) -> float:
        """Bits of the squared gradients that a client sends beside its model."""
        return (
            float(BITS_PER_WEIGHT * structure.parameters(sub)) if self.score.asks_clients else 0.0
        )
