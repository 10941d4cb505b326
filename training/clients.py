"""Clients bound to their data and to an executor: the common part of the trainers."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from training.arrays import Mask, Vector
from training.engine.accounting import Accounting
from training.engine.program import EvaluationWork, Program, Train, epoch_batches
from training.engine.spec import EngineSpec
from training.executors import check_device, make_executor
from training.task import Task
from wirelessfl.errors import InputError, check_number
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.text import in_full
from wirelessfl.values import Array, Delivery, MeanScore, StepMetrics


class ClientPool:
    """The clients of a run with their data, and the executor that trains them.

    Attributes:
        clients: Number of clients K.
        layout: Layout of the model's flat vector.
        samples: Number of training samples of each client.
        test_sets: An identity of each client's test set; clients with the same one share it.
        executor: Executor of the clients' work.
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
        """Read and divide the data and start the executor.

        Args:
            spec: Settings of the engine; device and precision are those of `runtime`.
            task: The learning task.
            program: Local training, by whose cost an executor is chosen.
            clients: Number of clients K.
            seed: Seed of the division of the data.
            runtime: Device, precision, executor and folder of data sets.

        Raises:
            InputError: The task, the data or the runtime are invalid.
        """
        spec = replace(
            spec,
            device=check_device(runtime.device),
            precision=runtime.precision,
            deterministic=runtime.deterministic,
        )
        self.clients = clients
        self._spec = spec
        model, self.layout = spec.build_model()
        self._accounting = Accounting.of(model, self.layout)
        data = task.load(clients=clients, seed=seed, data_root=runtime.data_root)
        self.samples = [len(index) for index in data.train_index]
        self._batch_sizes = [min(task.batch_size, size) for size in self.samples]
        self._epochs = [
            epoch_batches(size, task.batch_size, self.layout.smallest_batch)
            for size in self.samples
        ]
        self.test_sets = [id(index) for index in data.test_index]
        # Weights of the mean; None for a mean over clients.
        self._score_weights = (
            [len(index) for index in data.test_index] if task.score_mean == "samples" else None
        )
        self.executor = make_executor(
            spec,
            data,
            runtime,
            round_flops=self._dense_flops(program),
            step_flops=self._step_flops(),
        )

    @property
    def epoch_steps(self) -> list[int]:
        """Steps of each client's epoch."""
        return [len(epoch) for epoch in self._epochs]

    def initial_vector(self, seed: int) -> Vector:
        """The seeded weights at the start of a run.

        Args:
            seed: Seed of the run.

        Returns:
            Weights and buffers, (size,).

        Raises:
            InputError: The seed is out of range.
        """
        return initial_vector(self._spec, seed)

    def flops(self, client: int, program: Program, mask: Mask, *, masked: bool = False) -> float:
        """FLOPs of a client in a round.

        Args:
            client: Number of the client.
            program: Its local training.
            mask: Kept weights and buffers at the end, (upload_size,).
            masked: Whether `mask` applies from the start.

        Returns:
            Floating-point operations.
        """
        return self._accounting.flops(
            program,
            mask,
            self._batch_sizes[client],
            epoch=self._epochs[client],
            masked=masked,
        )

    def accuracy(self, vector_of: Callable[[int], Vector], *, one_model: bool) -> MeanScore:
        """Mean over the clients of the accuracy of each client's model on its test samples.

        Clients are weighted as the task's `score_mean` says.

        Args:
            vector_of: Weights and buffers (size,) of client k's model.
            one_model: Whether all models are the same: each test set is then evaluated once.

        Returns:
            The mean of `Engine.evaluate`, with the accuracy of each client.
        """
        # The client whose accuracy stands for each client: the first one with the same test set.
        representative = list(range(self.clients))
        if one_model:
            first: dict[int, int] = {}
            for client, test_set in enumerate(self.test_sets):
                first.setdefault(test_set, client)
            representative = [first[test_set] for test_set in self.test_sets]
        clients = sorted(set(representative))
        works = (EvaluationWork(client=k, vector=vector_of(k)) for k in clients)
        accuracy = dict(zip(clients, self.executor.evaluate(works), strict=True))
        scores = np.array([accuracy[client] for client in representative])
        return MeanScore(float(np.average(scores, weights=self._score_weights)), scores)

    def check(self, pruning_ratio: Array, delivery: Delivery) -> Array:
        """Check the inputs of a round; see `check_round_inputs`.

        Args:
            pruning_ratio: Pruning ratio of each client, (K,).
            delivery: Participation and lateness of each client, (K,).

        Returns:
            The ratios, (K,).

        Raises:
            InputError: A shape or a ratio is invalid.
        """
        return check_round_inputs(self.clients, pruning_ratio, delivery)

    def close(self) -> None:
        """Release the executor."""
        self.executor.close()

    def _step_flops(self) -> float:
        """FLOPs of a dense step of the client with the largest mini-batch."""
        step = Train(part="all", steps=1, learning_rate=1.0, stream="")
        dense = np.ones(self.layout.upload_size, dtype=np.bool_)
        return self._accounting.flops((step,), dense, max(self._batch_sizes))

    def _dense_flops(self, program: Program) -> float:
        """FLOPs of a round in which all clients take part and nothing is pruned."""
        dense = np.ones(self.layout.upload_size, dtype=np.bool_)

        @cache  # a thousand clients have few different numbers of samples
        def flops(batch_size: int, epoch: tuple[int, ...]) -> float:
            return self._accounting.flops(program, dense, batch_size, epoch=epoch)

        return sum(
            flops(size, tuple(epoch))
            for size, epoch in zip(self._batch_sizes, self._epochs, strict=True)
        )


def check_client(client: int | None, clients: int, *, one_model: bool) -> int:
    """Check the index of a client whose model is requested.

    Args:
        client: Index of the client; None for the global model.
        clients: Number of clients K.
        one_model: Whether all clients have the global model.

    Returns:
        The index; 0 for the global model.

    Raises:
        InputError: The index is not within 0 and K - 1, or None without a global model.
    """
    index = 0 if client is None and one_model else client
    if index is None or not 0 <= index < clients:
        reason = "" if one_model else " (--client), as every client has its own model"
        got = "none" if client is None else client
        raise InputError(f"client must be within 0 and {clients - 1}{reason}, got {got}")
    return index


def initial_vector(spec: EngineSpec, seed: int) -> Vector:
    """The seeded weights of a model.

    Args:
        spec: Settings of the engine.
        seed: Seed of the run.

    Returns:
        Weights and buffers, (size,).

    Raises:
        InputError: The seed is out of range.
    """
    check_number("run.seed", seed, at_least=0, at_most=np.iinfo(np.int64).max)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(Streams(seed).seed_for("model"))
        model, layout = spec.build_model()
    vector: Vector = layout.flatten(model).numpy()
    return vector


class RoundCosts:
    """Costs and losses of a round, collected client by client.

    Attributes:
        uplink_bits: Bits sent by each client, (K,).
        flops: Floating-point operations of each client, (K,).
        losses: Losses of the clients that trained; None for a client without a step.
    """

    def __init__(self, clients: int) -> None:
        """Start with costs of 0.

        Args:
            clients: Number of clients K.
        """
        self.uplink_bits = np.zeros(clients)
        self.flops = np.zeros(clients)
        self.losses: list[float | None] = []

    def metrics(self, downlink_bits: Array, extra: dict[str, float] | None = None) -> StepMetrics:
        """The costs as recorded.

        Args:
            downlink_bits: Bits received by each client, (K,).
            extra: Further metrics by name.

        Returns:
            The metrics of the round, with the mean loss.
        """
        losses = [loss for loss in self.losses if loss is not None]
        return StepMetrics(
            loss=float(np.mean(losses)) if losses else None,
            uplink_bits=self.uplink_bits,
            downlink_bits=downlink_bits,
            flops=self.flops,
            extra=extra or {},
        )


def check_round_inputs(clients: int, pruning_ratio: Array, delivery: Delivery) -> Array:
    """Check the inputs of a round.

    Args:
        clients: Number of clients K.
        pruning_ratio: Pruning ratio of each client, (K,).
        delivery: Participation and lateness of each client, (K,).

    Returns:
        The ratios, (K,) float64.

    Raises:
        InputError: A shape is not (K,), or a ratio is not within [0, 1].
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
        raise InputError(f"pruning_ratio must be within 0 and 1, got {in_full(ratios[outside][0])}")
    return ratios


def require_no_pruning(ratios: Array, algorithm: str) -> NDArray[np.bool_]:
    """Check that an algorithm without pruning gets no pruning ratio between 0 and 1.

    Args:
        ratios: Pruning ratio of each client, (K,).
        algorithm: Description of the algorithm in the message.

    Returns:
        True for clients that are not scheduled (ratio 1), (K,).

    Raises:
        InputError: A ratio is between 0 and 1.
    """
    between = (ratios > 0) & (ratios < 1)
    if between.any():
        raise InputError(
            "pruning_ratio must be 0, or 1 for an unscheduled client, in an algorithm "
            f"{algorithm}, got {in_full(ratios[between][0])}: "
            "choose an allocation.method without it, such as min-latency"
        )
    unscheduled: NDArray[np.bool_] = ratios == 1
    return unscheduled
