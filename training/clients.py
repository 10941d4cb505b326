"""Clients bound to their data and to a machine: what trainers of server-based algorithms have in
common.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from training.arrays import Mask, Vector
from training.engine.accounting import Accounting
from training.engine.engine import EngineSpec
from training.engine.program import EvaluationWork, Program, epoch_batches
from training.executors import check_device, make_executor
from training.task import Task
from wirelessfl.errors import InputError, check_number
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, StepMetrics


class ClientPool:
    """`clients` clients of a task, each with as much data and work as it has, and the executor that
    trains them.
    """

    def __init__(
        self,
        spec: EngineSpec,
        task: Task,
        program: Program,
        *,
        clients: int,
        seed: int,
        runtime: Runtime,
    ) -> None:
        spec = replace(
            spec,
            device=check_device(runtime.device),
            precision=runtime.precision,
            deterministic=runtime.deterministic,
        )
        self.clients, self._spec = clients, spec
        model, self.layout = spec.build_model()
        self._accounting = Accounting.of(model, self.layout)
        data = task.load(clients=clients, seed=seed, data_root=runtime.data_root)
        self.samples = [len(index) for index in data.train_index]
        self._batch_sizes = [min(task.batch_size, size) for size in self.samples]
        self._epochs = [
            epoch_batches(size, task.batch_size, self.layout.smallest_batch)
            for size in self.samples
        ]
        self.test_sets = [
            id(index) for index in data.test_index
        ]  # clients with the same one share its vector
        self._score_weights = (
            [len(index) for index in data.test_index] if task.score_mean == "samples" else None
        )
        self.executor = make_executor(spec, data, runtime, round_flops=self._dense_flops(program))

    @property
    def epoch_steps(self) -> list[int]:
        """Steps of each client's epoch."""
        return [len(epoch) for epoch in self._epochs]

    def initial_vector(self, seed: int) -> Vector:
        """The seeded weights that a run starts with, (size,)."""
        return initial_vector(self._spec, seed)

    def flops(self, client: int, program: Program, mask: Mask, *, masked: bool = False) -> float:
        """FLOPs of a client that ends with `mask` (upload_size,), or with `masked` has had it from
        the start.
        """
        batch_size, epoch = self._batch_sizes[client], self._epochs[client]
        return self._accounting.flops(program, mask, batch_size, epoch=epoch, masked=masked)

    def accuracy(self, vector_of: Callable[[int], Vector], *, one_model: bool) -> float:
        """Mean over clients of the accuracy of client k's model `vector_of(k)` on its test samples,
        weighted as the task's `score_mean` says.

        With `one_model` all are the same and each test set is looked at once.
        """
        different = list(range(self.clients))
        if one_model:
            first = {
                test_set: client for client, test_set in reversed(list(enumerate(self.test_sets)))
            }
            different = [first[test_set] for test_set in self.test_sets]
        clients = sorted(set(different))
        works = (EvaluationWork(client=k, vector=vector_of(k)) for k in clients)
        accuracy = dict(zip(clients, self.executor.evaluate(works), strict=True))
        scores = [accuracy[client] for client in different]
        return float(np.average(scores, weights=self._score_weights))

    def check(self, pruning_ratio: Array, delivery: Delivery) -> Array:
        """The ratios (K,) of a round; `InputError` for other shapes and values that no ratio has."""
        return check_round_inputs(self.clients, pruning_ratio, delivery)

    def close(self) -> None:
        """End worker processes."""
        self.executor.close()

    def _dense_flops(self, program: Program) -> float:
        """FLOPs of a round in which all clients take part and nothing is pruned."""
        dense = np.ones(self.layout.upload_size, dtype=np.bool_)

        @cache
        def flops(
            batch_size: int, epoch: tuple[int, ...]
        ) -> float:  # a thousand clients have few different ones
            return self._accounting.flops(program, dense, batch_size, epoch=epoch)

        return sum(
            flops(size, tuple(epoch))
            for size, epoch in zip(self._batch_sizes, self._epochs, strict=True)
        )


def initial_vector(spec: EngineSpec, seed: int) -> Vector:
    """The seeded weights of a model of `spec`, (size,)."""
    check_number("run.seed", seed, at_least=0, at_most=np.iinfo(np.int64).max)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(Streams(seed).seed_for("model"))
        model, layout = spec.build_model()
    vector: Vector = layout.flatten(model).numpy()
    return vector


class RoundCosts:
    """What a round costs and achieves, gathered client by client."""

    def __init__(self, clients: int) -> None:
        self.uplink_bits, self.flops = np.zeros(clients), np.zeros(clients)
        self.losses: list[float | None] = []

    def metrics(self, downlink_bits: Array, extra: dict[str, float] | None = None) -> StepMetrics:
        """As the record of the round has it."""
        losses = [loss for loss in self.losses if loss is not None]
        return StepMetrics(
            loss=float(np.mean(losses)) if losses else None,
            uplink_bits=self.uplink_bits,
            downlink_bits=downlink_bits,
            flops=self.flops,
            extra=extra or {},
        )


def check_round_inputs(clients: int, pruning_ratio: Array, delivery: Delivery) -> Array:
    """The ratios (K,) of a round of `clients`; `InputError` for other shapes and values that no
    ratio has.
    """
    ratios = np.asarray(pruning_ratio, dtype=np.float64)
    named = (
        ("pruning_ratio", ratios),
        *((f"delivery.{name}", array) for name, array in vars(delivery).items()),
    )
    for name, array in named:
        if array.shape != (clients,):
            raise InputError(f"{name} must have shape ({clients},), got {array.shape}")
    outside = ~((ratios >= 0) & (ratios <= 1))
    if outside.any():
        raise InputError(f"pruning_ratio must be within 0 and 1, got {ratios[outside][0]:g}")
    return ratios


def require_no_pruning(ratios: Array, algorithm: str) -> NDArray[np.bool_]:
    """Who is left out (ratio 1), (K,); `InputError` for a ratio in between, which an `algorithm`
    has no use for.
    """
    between = (ratios > 0) & (ratios < 1)
    if between.any():
        raise InputError(
            f"pruning_ratio must be 0, or 1 for who is left out, in an algorithm {algorithm}, got "
            f"{ratios[between][0]:g}: choose an allocation.method without it, such as min-latency"
        )
    left_out: NDArray[np.bool_] = ratios == 1
    return left_out
