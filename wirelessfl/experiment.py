"""Experiments and their run settings."""

from dataclasses import dataclass
from pathlib import Path

from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.graph import Graph
from wirelessfl.protocols import Algorithm, Allocator, ChannelModel, Runtime, has_memory
from wirelessfl.values import Scenario

WEIGHTS = ("equal", "samples", "age")
PRECISIONS = ("float32", "tf32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Length, records and execution of a run; section `run` of a scenario file.

    On a CPU the executors `loop` and `workers` do not change a run's numbers.

    Attributes:
        rounds: Number of rounds; at least 1.
        seed: Seed of every random stream of the run; at least 0.
        eval_every: Rounds from one evaluation of the test accuracy to the next; at least 1. The
            last round is always evaluated.
        checkpoint_every: Rounds from one checkpoint to the next; at least 1.
        train: Train the model; false runs channel, allocation and cell only.
        device: PyTorch device of the training, such as cpu or cuda.
        executor: Executor of the clients' local training: auto, loop, workers, compiled,
            stacked or graph.
        workers: Number of worker processes; 0 stands for the number of cores.
        stack: Number of clients trained as one program; 0 stands for as many as 1 GiB holds.
        precision: Arithmetic of the training: float32; tf32, in which CUDA multiplies float32
            values with 10 bits of their fractions; or bfloat16, which multiplies in bfloat16 where
            that is common (autocast).
        deterministic: Ask CUDA for operations that repeat bit for bit.
        participants: Number of clients that take part in a round, drawn anew in each; from 1 to
            `scenario.clients`. Not set: all clients.
        stop_at_accuracy: Test accuracy at which the run ends, at most 1. Not set: no such end.
        patience: Number of evaluations without a better accuracy after which the run ends; at
            least 1. Not set: no such end.
        max_simulated_s: Simulated time in s after which the run ends with an evaluation; above 0.
            Not set: no such end.
        max_wall_s: Wall-clock time in s after which the run is interrupted with a checkpoint; above
            0. Each resumption starts anew. Not set: no limit.
        keep_best: Keep the state of the round with the highest accuracy in addition to the last
            checkpoints.

    Raises:
        InputError: A value is outside its limits.
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
    stop_at_accuracy: float | None = None
    patience: int | None = None
    max_simulated_s: float | None = None
    max_wall_s: float | None = None
    keep_best: bool = False

    def __post_init__(self) -> None:
        for name in ("rounds", "eval_every", "checkpoint_every"):
            check_count(f"run.{name}", getattr(self, name))
        for name in ("seed", "workers", "stack"):
            check_count(f"run.{name}", getattr(self, name), at_least=0)
        check_choice("run.precision", self.precision, PRECISIONS)
        if self.precision == "tf32" and self.device == "cpu":
            raise InputError("run.precision must not be 'tf32' with run.device 'cpu', got 'tf32'")
        if self.participants is not None:
            check_count("run.participants", self.participants)
        if self.stop_at_accuracy is not None:
            check_number("run.stop_at_accuracy", self.stop_at_accuracy, at_most=1)
        if self.patience is not None:
            check_count("run.patience", self.patience)
        for name in ("max_simulated_s", "max_wall_s"):
            if getattr(self, name) is not None:
                check_number(f"run.{name}", getattr(self, name), above=0)

    @property
    def ends_early(self) -> bool:
        """True if the run may end before `rounds` rounds are recorded."""
        limits = (self.stop_at_accuracy, self.patience, self.max_simulated_s)
        return any(limit is not None for limit in limits)

    def runtime(self, data_root: Path | None) -> Runtime:
        """Execution settings of the training.

        Args:
            data_root: Folder of the data sets; None for data that needs none.

        Returns:
            The settings of this section that say where and how training computes.
        """
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
    """An experiment: scenario, plug-ins and run settings.

    Attributes:
        scenario: Cell and clients; distributions are drawn with the seed of the run.
        channel: Channel model, a plug-in of kind `channels`.
        allocator: Allocator of bandwidth and pruning ratios, a plug-in of kind `allocators`.
        max_pruning_ratio: Largest pruning ratio of any client; from 0 to 1; 1 is no limit.
        weights: Factor of `scenario.weight` in the objective of the allocation: `equal` is 1,
            `samples` a client's training samples over their mean, `age` one more than the rounds
            since its last delivered update.
        algorithm: Training algorithm, a plug-in of kind `algorithms`.
        run: Length, records and execution.

    Raises:
        InputError: `max_pruning_ratio` is outside its limits, more clients take part than there
            are, or channel model and algorithm have different graphs of the agents.
    """

    scenario: Scenario
    channel: ChannelModel
    allocator: Allocator
    max_pruning_ratio: float = 1.0
    weights: str = "equal"
    algorithm: Algorithm
    run: RunSettings

    def __post_init__(self) -> None:
        object.__setattr__(self, "scenario", self.scenario.seeded(self.run.seed))
        check_number("allocation.max_pruning_ratio", self.max_pruning_ratio, at_least=0, at_most=1)
        check_choice("allocation.weights", self.weights, WEIGHTS)
        if self.run.participants is not None and self.run.participants > self.scenario.clients:
            raise InputError(
                f"run.participants must be at most {self.scenario.clients} (scenario.clients), "
                f"got {self.run.participants}"
            )
        _check_same_graph(self.channel, self.algorithm)

    @property
    def has_memory(self) -> bool:
        """True if the allocation of a round depends on the run: its rounds so far or its data."""
        return self.weights != "equal" or has_memory(self.allocator)


def _check_same_graph(channel: ChannelModel, algorithm: Algorithm) -> None:
    """Refuse a channel model and an algorithm that have different graphs of the agents."""
    radio = getattr(channel, "graph", None)
    training = getattr(algorithm, "graph", None)
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
