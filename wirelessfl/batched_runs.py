"""Many runs trained as one program: what an algorithm that can do so offers, and what it gives
back.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from wirelessfl.protocols import Algorithm, Runtime
from wirelessfl.values import Demand, StepMetrics


@dataclass(frozen=True, kw_only=True)
class StackedRun:
    """One run of a stack: an algorithm's training on `clients` clients for `rounds` rounds under
    `seed`.
    """

    algorithm: Algorithm
    clients: int
    seed: int
    rounds: int
    eval_every: int

    def is_due(self, round_index: int) -> bool:
        """True if round `round` (from 0) ends with an evaluation."""
        return (round_index + 1) % self.eval_every == 0 or round_index + 1 == self.rounds


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedRound:
    """Results of a trainer's `demand`, `step` and `evaluate` (None where not due) in a round."""

    demand: Demand
    metrics: StepMetrics
    accuracy: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedRun:
    """A run as it came out of a stack: its rounds, and its packed state after the last one.

    A run that diverged has the rounds before that and says in `diverged`, one line, where and what
    to reduce. `rounds` may be any sequence, also one that makes a round when it is asked for;
    arrays may be shared between rounds.
    """

    rounds: Sequence[TrainedRound]
    state: Mapping[str, NDArray[Any]]
    diverged: str | None = None


@runtime_checkable
class Stackable(Protocol):
    """An `Algorithm` that may train several experiments' runs in one program, with the numbers of
    its trainer.

    Only asked where every update is delivered in its round; what it trains may not depend on the
    pruning ratios.
    """

    def stack_key(self) -> Hashable | None:
        """Algorithms with equal keys may be trained in one stack; None where this one must be
        trained on its own.
        """
        ...

    def train_stack(self, runs: Sequence[StackedRun], runtime: Runtime) -> Iterable[TrainedRun]:
        """The runs, in their order, trained together; asked of the algorithm of the first one."""
        ...
