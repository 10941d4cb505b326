"""Three or four agents in a row that learn the embedded digits."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.protocols import Algorithm, Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery, StepMetrics

TASK = Task(partition="labels", labels_per_client=3, batch_size=16)
LOOP = Runtime(executor="loop")


def row(agents: int = 3) -> Graph:
    """Agent k talks to k - 1 and k + 1; the first and the last have one neighbour."""
    matrix = np.eye(agents, k=1, dtype=int) + np.eye(agents, k=-1, dtype=int)
    return Graph(graph="given", adjacency=tuple(map(tuple, matrix.tolist())))


def started(algorithm: Algorithm, agents: int = 3, runtime: Runtime = LOOP) -> tuple[Any, Any]:
    """A trainer and its first state."""
    trainer = algorithm.trainer(clients=agents, seed=0, runtime=runtime)
    return trainer, trainer.init(0)


def rounds(
    algorithm: Algorithm, count: int, agents: int = 3, runtime: Runtime = LOOP
) -> tuple[Any, StepMetrics]:
    """The state after `count` rounds in which all is delivered, and the costs of the last one."""
    trainer, state = started(algorithm, agents, runtime)
    for _ in range(count):
        state, metrics = trainer.step(state, np.zeros(agents), Delivery.all(agents))
    trainer.close()
    return state, metrics


def equal(one: Any, other: Any) -> bool:
    """True if two states are equal bit for bit."""
    one = one.pack()
    other = other.pack()
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) for name in one
    )


def batches(
    agents: int, round: int, stream: str = "batches/shared"
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The first mini-batch of every agent in a round: normalised images and labels."""
    data = TASK.load(clients=agents, seed=0, data_root=None)
    for agent, rows in enumerate(data.train_index):
        generator = torch.Generator().manual_seed(Streams(0, round).seed_for(stream, agent))
        chosen = rows[torch.randperm(len(rows), generator=generator)][: TASK.batch_size]
        images = (data.train_images[chosen].float() - data.mean) / data.std
        # Of equal pixels in a pool it depends on the format to which one the gradient goes.
        yield images.to(memory_format=torch.channels_last), data.train_labels[chosen]


def delivery(agents: int = 3, **changes: Sequence[int]) -> Delivery:
    """All agents participate and are on time, except for these lists of agents."""
    parts = {"participates": np.ones(agents, bool), "on_time": np.ones(agents, bool)}
    parts |= {"late": np.zeros(agents, bool), "arrived_late": np.zeros(agents, bool)}
    for name, chosen in changes.items():
        parts[name] = np.isin(np.arange(agents), chosen)
    return Delivery(**parts)
