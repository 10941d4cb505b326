"""Interface of algorithms that train many runs as one program."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from wirelessfl.protocols import Algorithm, Runtime
from wirelessfl.values import Demand, StepMetrics


@dataclass(frozen=True, kw_only=True)
class StackedRun:
    """One run of a stack.

    Attributes:
        algorithm: Algorithm of the run.
        clients: Number K of clients.
        seed: Seed of the run.
        rounds: Number of rounds.
        eval_every: Rounds from one evaluation to the next.
        done: Number of rounds that are recorded already.
        start: Packed state of the trainer after them; None: the run begins.
    """

    algorithm: Algorithm
    clients: int
    seed: int
    rounds: int
    eval_every: int
    done: int = 0
    start: Mapping[str, NDArray[Any]] | None = None

    def is_due(self, round_index: int) -> bool:
        """True where a round ends with an evaluation.

        Args:
            round_index: Index of the round, from 0.

        Returns:
            True for every `eval_every`-th round and the last one.
        """
        return (round_index + 1) % self.eval_every == 0 or round_index + 1 == self.rounds


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedRound:
    """Results of a trainer's `demand`, `step` and `evaluate` in one round.

    Attributes:
        demand: Weight updates and bits of the round; (K,).
        metrics: Cost and loss of the round.
        accuracy: Mean test accuracy in [0, 1]; None where no evaluation is due.
    """

    demand: Demand
    metrics: StepMetrics
    accuracy: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedRun:
    """Result of one run of a stack.

    Attributes:
        rounds: The rounds since the last result, of a diverged run those before the divergence; any
            sequence, also one that makes a round on request. Arrays may be common to several.
        state: Packed state of the trainer after the last round.
        diverged: One line that says where a run diverged and what to reduce; None for a finite run.
    """

    rounds: Sequence[TrainedRound]
    state: Mapping[str, NDArray[Any]]
    diverged: str | None = None


# Called between steps with a function that takes the results since its last call, in the order of
# the runs; true ends the training.
Pause = Callable[[Callable[[], Sequence[TrainedRun]]], bool]


def no_pause(take: Callable[[], Sequence[TrainedRun]]) -> bool:
    """A `Pause` that does nothing."""
    return False


@runtime_checkable
class Stackable(Protocol):
    """An `Algorithm` that may train the runs of several experiments in one program.

    The numbers are those of its trainer. It is used only where every update is delivered in its
    round; the training may not depend on the pruning ratios.
    """

    def stack_key(self) -> Hashable | None:
        """Key of the stack: algorithms with equal keys may be trained together.

        None where this one must be trained separately.
        """
        ...

    def train_stack(
        self, runs: Sequence[StackedRun], runtime: Runtime, pause: Pause = no_pause
    ) -> Iterable[TrainedRun]:
        """Train several runs together; called on the algorithm of the first one.

        Args:
            runs: Runs whose algorithms have the same key.
            runtime: Execution settings.
            pause: Called between steps, so that long training can be recorded as it goes on; short
                training may ignore it.

        Returns:
            Results since the last ones that `pause` took, in the order of the runs.
        """
        ...
