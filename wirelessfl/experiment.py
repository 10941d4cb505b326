"""An experiment: scenario, plug-ins and run settings."""

from dataclasses import dataclass
from pathlib import Path

from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.graph import Graph
from wirelessfl.protocols import Algorithm, Allocator, ChannelModel, Runtime
from wirelessfl.values import Scenario

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Length and records of a run; section `run` of a scenario file.

    `participants` clients take part in a round, drawn anew in each (all unless given). `train =
    false` runs channel, allocation and cell only. `device`, `executor`, `workers` and `stack`
    decide where training computes; on a CPU the executors `loop` and `workers` do not change
    the numbers of a run. With `precision = "bfloat16"` training multiplies in bfloat16 where that
    is common (autocast); `deterministic` asks CUDA for operations that repeat bit for bit.
    """

    rounds: int = 50
    seed: int = 0
    eval_every: int = 5
    checkpoint_every: int = 5
    train: bool = True
    device: str = "cpu"
    executor: str = "auto"
    workers: int = 0
    stack: int = 0
    precision: str = "float32"
    deterministic: bool = False
    participants: int | None = None

    def __post_init__(self) -> None:
        for name in ("rounds", "eval_every", "checkpoint_every"):
            check_count(f"run.{name}", getattr(self, name))
        for name in ("seed", "workers", "stack"):
            check_count(f"run.{name}", getattr(self, name), at_least=0)
        check_choice("run.precision", self.precision, PRECISIONS)
        if self.participants is not None:
            check_count("run.participants", self.participants)

    def runtime(self, data_root: Path | None) -> Runtime:
        """Device and executor of the training, with the data under `data_root`."""
        return Runtime(
            device=self.device,
            executor=self.executor,
            workers=self.workers,
            stack=self.stack,
            precision=self.precision,
            deterministic=self.deterministic,
            data_root=data_root,
        )


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment: scenario, plug-ins, length and seed."""

    scenario: Scenario
    channel: ChannelModel
    allocator: Allocator
    max_pruning_ratio: float = 1.0
    algorithm: Algorithm
    run: RunSettings

    def __post_init__(self) -> None:
        check_number("allocation.max_pruning_ratio", self.max_pruning_ratio, at_least=0, at_most=1)
        if self.run.participants is not None and self.run.participants > self.scenario.clients:
            raise InputError(
                f"run.participants must be at most {self.scenario.clients} (scenario.clients), "
                f"got {self.run.participants}"
            )
        _check_same_graph(self.channel, self.algorithm)


def _check_same_graph(channel: ChannelModel, algorithm: Algorithm) -> None:
    """Raise `InputError` when radio and training each have a graph of the agents, and not the same
    one.
    """
    radio, training = getattr(channel, "graph", None), getattr(algorithm, "graph", None)
    if not isinstance(radio, Graph) or not isinstance(training, Graph):
        return
    names = {"erdos-renyi": "edge_probability", "given": "adjacency"}
    for name in ("graph", names.get(radio.graph, "graph")):
        one, other = getattr(radio, name), getattr(training, name)
        if one != other:
            raise InputError(
                f"training.{name} must be that of the channel, "
                f"channel.{name} = {one!r}, got {other!r}"
            )
