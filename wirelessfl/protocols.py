"""Interfaces between the packages: channel, allocator and trainer as the round loop uses them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Delivery, Demand, Scenario, StepMetrics


class ChannelModel(Protocol):
    """A plug-in of kind `channels`: a frozen dataclass whose fields are its parameters."""

    def sample(self, scenario: Scenario, rng: Streams) -> ChannelState:
        """The channel of the round that `rng` stands at; depends on (seed, round, client) only."""
        ...

    def mean_gain(self, scenario: Scenario, rng: Streams) -> Array:
        """Linear power gain of the round that `rng` stands at, averaged over small-scale fading
        only; shape (K,).
        """
        ...


class Allocator(Protocol):
    """A plug-in of kind `allocators`: a frozen dataclass whose fields are its settings."""

    def solve(self, problem: Problem) -> Allocation:
        """Bandwidth and pruning ratios of shape (..., K); infeasibility is a result, never an
        exception.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Device and executor of the training; they never change the results of a CPU run."""

    device: str = "cpu"
    executor: str = "auto"
    workers: int = 0  # 0: as many as there are cores
    stack: int = 0  # clients trained as one program; 0: as many as 1 GiB holds
    precision: str = "float32"
    deterministic: bool = False
    data_root: Path | None = None


class Trainer(Protocol):
    """Training bound to data and to a machine.

    `State` is opaque to all other parts and is never edited.
    """

    def init(self, seed: int) -> Any:
        """The state before the first round."""
        ...

    def demand(self, state: Any) -> Demand:
        """Demand of the coming round on the network."""
        ...

    def step(self, state: Any, pruning_ratio: Array, delivery: Delivery) -> tuple[Any, StepMetrics]:
        """One round: masks with `pruning_ratio` (K,), local training, aggregation of the
        updates in `delivery`.
        """
        ...

    def evaluate(self, state: Any) -> float:
        """Mean over clients of the test accuracy in [0, 1]."""
        ...

    def pack(self, state: Any) -> dict[str, NDArray[Any]]:
        """The complete state as plain arrays, for a checkpoint."""
        ...

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> Any:
        """The state that `pack` gave."""
        ...

    def close(self) -> None:
        """Release worker processes and devices."""
        ...


class Algorithm(Protocol):
    """A plug-in of kind `algorithms`: a frozen dataclass of hyper-parameters and its task (data,
    model, partition).
    """

    def demand(self, clients: int) -> Demand:
        """Demand of a first round of `clients` clients, from the model's shapes, without data."""
        ...

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """Training of this algorithm on data partitioned over `clients` clients with `seed`."""
        ...
