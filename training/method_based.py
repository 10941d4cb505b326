"""Base class of training algorithms that are described by a method, as data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from training.engine.spec import EngineSpec
from training.task import Task
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.values import Demand


class Method(Protocol):
    """Description of an algorithm from which its demand follows."""

    def spec(self) -> EngineSpec:
        """The engine that trains the model."""
        ...

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a first round.

        Args:
            clients: Number of clients K.

        Returns:
            Demand with arrays (K,).
        """
        ...


class TrainerType(Protocol):
    """Class of the trainers of one family of methods."""

    def __call__(self, method: Any, /, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """A trainer of `method`, see `MethodBased.trainer`."""
        ...


M = TypeVar("M", bound=Method, covariant=True)


@dataclass(frozen=True, kw_only=True)
class MethodBased(ABC, Generic[M]):
    """Algorithm plug-in whose demand and training follow from its `method`.

    A plug-in inherits the base of its family (`ServerBased`, `GlobalMaskBased`, `SubModelBased`,
    `PeerBased`, `ControlVariateBased`) and adds fields, their checks and `method`.

    Attributes:
        task: Data set, partition and model.
    """

    trainer_type: ClassVar[TrainerType]
    # Changes of the preset `digits` with which it trains, `section.field` -> value.
    runs_with: ClassVar[Mapping[str, str]] = {}

    task: Task = field(default_factory=Task)

    @property
    @abstractmethod
    def method(self) -> M:
        """The algorithm as data, in the form of its family."""

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a first round, from the shapes of the model alone.

        Args:
            clients: Number of clients K.

        Returns:
            Demand with arrays (K,), without pruning.
        """
        return self.method.demand(clients)

    def trainer(
        self, *, clients: int, seed: int, runtime: Runtime, executor: Any = None
    ) -> Trainer:
        """Training on data that are divided over clients.

        Args:
            clients: Number of clients K.
            seed: Seed of the partition, at least 0.
            runtime: Device, executor and precision.
            executor: Executor of the clients' work in place of the one that `runtime` names, see
                `training.executors.executor.Executor`.

        Returns:
            A trainer whose `close` ends its executor.
        """
        if executor is not None:
            runtime = replace(runtime, given=executor)
        return self.trainer_type(self.method, clients=clients, seed=seed, runtime=runtime)
