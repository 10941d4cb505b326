"""The base of algorithms with control variates: demand, training and batched runs follow from
`method`.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Protocol, cast

from training.control_variates.method import ControlVariateMethod, rounds_within
from training.control_variates.trainer import ControlVariateTrainer
from wirelessfl.batched_runs import StackedRun, TrainedRun
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.values import Demand


class ControlVariateBased(Protocol):
    """An algorithm that is a `ControlVariateMethod`: demand and training follow from what its `method`
    says.
    """

    @property
    def method(self) -> ControlVariateMethod:
        """The algorithm as pieces of the meta-algorithm."""
        ...

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a first round, from the model's shapes alone; steps as many as
        are expected.
        """
        return self.method.demand(clients)

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """Training on data divided over `clients` clients with `seed`."""
        return ControlVariateTrainer(self.method, clients=clients, seed=seed, runtime=runtime)

    def rounds_within(self, seed: int, steps: int) -> int:
        """The number of whole rounds that a budget of local `steps` has room for, by the coin of
        `seed`.
        """
        descent = self.method.descent
        return rounds_within(seed, descent.probability, steps, descent.coin)

    def stack_key(self) -> Hashable | None:
        """Runs with full gradients of one convex task are trained together; None for others."""
        method, descent = self.method, self.method.descent
        if descent.gradients != "full" or method.allocated:
            return None
        return "full gradients", method.task, descent.ridge, descent.l2

    def train_stack(self, runs: Sequence[StackedRun], runtime: Runtime) -> Iterable[TrainedRun]:
        """The runs as one program, `training.control_variates.batched_runs`."""
        from training.control_variates.batched_runs import train_stacked

        return train_stacked(
            [cast(ControlVariateBased, run.algorithm).method for run in runs], runs, runtime
        )
