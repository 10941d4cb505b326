"""Base of algorithms with control variates: demand, training and batched runs from `method`."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

from training.control_variates.batched_runs import train_stacked
from training.control_variates.local_descent import LocalDescent, rounds_within
from training.control_variates.method import ControlVariateMethod
from training.control_variates.trainer import ControlVariateTrainer
from training.method_based import MethodBased
from wirelessfl.batched_runs import Pause, StackedRun, TrainedRun, no_pause
from wirelessfl.protocols import Runtime


@dataclass(frozen=True, kw_only=True)
class ControlVariateBased(MethodBased[ControlVariateMethod]):
    """Base of algorithm plug-ins that are described by a `ControlVariateMethod`.

    Attributes:
        descent: Local steps between two communications.
    """

    trainer_type = ControlVariateTrainer
    runs_with: ClassVar[Mapping[str, str]] = {
        "allocation.method": "min-latency",
        "scenario.deadline_s": "100ms",  # ten steps in the mean
    }

    descent: LocalDescent = field(default_factory=LocalDescent)

    def rounds_within(self, seed: int, steps: int) -> int:
        """Number of whole rounds within a budget of local steps.

        Args:
            seed: Seed of the run.
            steps: Budget of local steps, at least 0.

        Returns:
            Rounds, at least 0.
        """
        descent = self.method.descent
        return rounds_within(seed, descent.probability, steps, descent.coin)

    def stack_key(self) -> Hashable | None:
        """Key of runs that are trained together: those with full gradients of one convex task."""
        method = self.method
        descent = method.descent
        if descent.gradients != "full" or method.allocated:
            return None
        return "full gradients", method.task, descent.ridge, descent.l2

    def train_stack(
        self, runs: Sequence[StackedRun], runtime: Runtime, pause: Pause = no_pause
    ) -> Iterable[TrainedRun]:
        """Train runs of equal keys as one program, see `batched_runs.train_stacked`.

        Args:
            runs: Runs of algorithms with this base.
            runtime: Device, executor and precision.
            pause: Called between steps; takes results and may end the training.

        Returns:
            The trained runs, in the same order.
        """
        methods = [cast(ControlVariateBased, run.algorithm).method for run in runs]
        return train_stacked(methods, runs, runtime, pause)
