"""Interfaces between the packages: channel model, allocator, algorithm and trainer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.history import History
from wirelessfl.allocation.problem import Problem
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Delivery, Demand, Scenario, StepMetrics


class ChannelModel(Protocol):
    """A plug-in of kind `channels`: a frozen dataclass whose fields are its parameters."""

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """Channel of one round, a function of (seed, round, client) only.

        Args:
            scenario: Cell and clients.
            streams: Random streams of the round.

        Returns:
            Gains of all clients; (K,).
        """
        ...

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Linear power gain of one round, averaged over small-scale fading only.

        Args:
            scenario: Cell and clients.
            streams: Random streams of the round.

        Returns:
            Linear power gain; (K,).
        """
        ...


class Allocator(Protocol):
    """A plug-in of kind `allocators`: a frozen dataclass whose fields are its settings."""

    def solve(self, problem: Problem) -> Allocation:
        """Allocate bandwidth and pruning ratios.

        Args:
            problem: Allocation problem of shape (..., K).

        Returns:
            Bandwidth fractions and pruning ratios, both (..., K). Infeasibility is a result, never
            an exception.
        """
        ...


class AllocatorWithMemory(Protocol):
    """An allocator whose answer depends on the rounds before; it says `memory = True`."""

    memory: ClassVar[bool]

    def solve(self, problem: Problem, history: History | None = None) -> Allocation:
        """Allocate bandwidth and pruning ratios.

        Args:
            problem: Allocation problem of shape (K,), or (..., K) without a history.
            history: Course of the run before the round, of the same clients; None: none.

        Returns:
            Bandwidth fractions and pruning ratios, as for `Allocator`.
        """
        ...


def has_memory(allocator: object) -> bool:
    """True if an allocator asks for the course of the run.

    Args:
        allocator: The allocator.

    Returns:
        Its `memory`, False unless it says so.
    """
    return bool(getattr(type(allocator), "memory", False))


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Execution settings of the training; the numbers of CPU runs agree within rounding.

    Attributes:
        device: PyTorch device, such as cpu or cuda.
        executor: Executor of the clients' local training: auto, loop, workers, compiled,
            stacked or graph.
        workers: Number of worker processes; 0 stands for the number of cores.
        stack: Number of clients trained as one program; 0 stands for as many as 1 GiB holds.
        precision: Arithmetic of the training, float32 or bfloat16 (autocast).
        deterministic: Ask CUDA for operations that repeat bit for bit.
        data_root: Folder of the data sets; None for data that needs none.
        given: Executor of the caller in place of the one that `executor` names, see
            `training.executors.executor.Executor`; None for none.
    """

    device: str = "cpu"
    executor: str = "auto"
    workers: int = 0
    stack: int = 0
    precision: str = "float32"
    deterministic: bool = False
    data_root: Path | None = None
    given: Any = None


class Trainer(Protocol):
    """Training bound to data and to a machine.

    The state is opaque to all other packages and is never modified in place.
    """

    def init(self, seed: int) -> Any:
        """State before the first round.

        Args:
            seed: Seed of the initial weights.

        Returns:
            The state.
        """
        ...

    def demand(self, state: Any) -> Demand:
        """Computation and communication of the coming round.

        Args:
            state: State before the round.

        Returns:
            Weight updates and bits per client; (K,).
        """
        ...

    def step(self, state: Any, pruning_ratio: Array, delivery: Delivery) -> tuple[Any, StepMetrics]:
        """Train one round: masks, local training, aggregation of the delivered updates.

        Args:
            state: State before the round.
            pruning_ratio: Pruning ratio of each client; (K,), from 0 to 1.
            delivery: Updates that the aggregation may use.

        Returns:
            The state after the round, and the round's metrics.
        """
        ...

    def evaluate(self, state: Any) -> float:
        """Mean over clients of the test accuracy.

        Args:
            state: State after a round.

        Returns:
            Accuracy in [0, 1]; a `MeanScore` where the accuracy of each client is known.
        """
        ...

    def pack(self, state: Any) -> dict[str, NDArray[Any]]:
        """Convert the complete state to plain arrays, for a checkpoint.

        Args:
            state: State after a round.

        Returns:
            Arrays by name.
        """
        ...

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> Any:
        """Restore the state from the arrays of `pack`.

        Args:
            arrays: Arrays by name.

        Returns:
            The state.
        """
        ...

    def close(self) -> None:
        """Release worker processes and devices."""
        ...


class Algorithm(Protocol):
    """A plug-in of kind `algorithms`: a frozen dataclass of hyper-parameters and task.

    The task consists of data, model and partition.
    """

    def demand(self, clients: int) -> Demand:
        """Computation and communication of a first round, from the shapes of the model alone.

        Args:
            clients: Number K of clients.

        Returns:
            Weight updates and bits per client; (K,).
        """
        ...

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """Training of this algorithm on partitioned data.

        Args:
            clients: Number K of clients.
            seed: Seed of the partition.
            runtime: Execution settings.

        Returns:
            The trainer.
        """
        ...
