"""Local steps of a round: mini-batches by the engine, or full gradients of convex tasks."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from training.arrays import Floats
from training.clients import ClientPool, initial_vector
from training.control_variates.method import ControlVariateMethod
from training.convex.factory import full_gradients
from training.convex.full_gradients import FullGradients
from training.engine.accounting import Accounting
from training.engine.program import LocalWork
from training.sparsity.prox import Prox
from training.structure.layout import Layout
from wirelessfl.errors import DivergenceError, InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams

Trained = tuple[int, Floats, float | None]  # client, its trained values (size,), its mean loss


class StepRunner(Protocol):
    """Local steps of clients on their data.

    Attributes:
        layout: Layout of the model.
    """

    layout: Layout

    def initial_vector(self, seed: int) -> Floats:
        """The model before the first round.

        Args:
            seed: Seed of the run, at least 0.

        Returns:
            Flat model, (size,).
        """
        ...

    def train(
        self,
        start: Floats,
        control: Floats,
        clients: Sequence[int],
        *,
        streams: Streams,
        steps: int,
        proxes: Sequence[Prox | None],
    ) -> Iterator[Trained]:
        """Steps w <- prox_i(w - gamma (g_i(w) - h_i)): [SPS] Algorithm 1, lines 6 and 7.

        Args:
            start: Model at the start, the same for all clients, (size,).
            control: Control variates h_i of all clients, (K, d).
            clients: Clients that train.
            streams: Random streams of the round.
            steps: Number of local steps.
            proxes: Operators of all clients, (K,).

        Yields:
            Results of `clients`.

        Raises:
            DivergenceError: If a value is not finite.
        """
        ...

    def accuracy(self, vector: Floats) -> float:
        """Mean over clients of the test accuracy, or R^2 of a regression.

        Args:
            vector: Flat model, (size,).

        Returns:
            Accuracy in [0, 1], or R^2.
        """
        ...

    def objective(self, vector: Floats) -> float | None:
        """The training objective, where it is cheap enough for every round.

        Args:
            vector: Flat model, (size,).

        Returns:
            Sum of the clients' objectives; None where it needs a pass over the data.
        """
        ...

    def flops(self, client: int, steps: int) -> float:
        """Floating-point operations of a client in a round.

        Args:
            client: Index of the client.
            steps: Number of local steps.

        Returns:
            Operations.
        """
        ...

    def close(self) -> None:
        """Release worker processes."""
        ...


class MinibatchSteps:
    """Steps on mini-batches by an executor, in float32; -h_i is the correction of every gradient.

    Args:
        method: The algorithm as data.
        clients: Number of clients K.
        seed: Seed of the partition.
        runtime: Device, executor and precision.
    """

    def __init__(
        self, method: ControlVariateMethod, *, clients: int, seed: int, runtime: Runtime
    ) -> None:
        self._method = method
        nominal = method.descent.program(max(1, round(method.descent.expected_steps)))
        self._pool = ClientPool(
            method.spec(), method.task, nominal, clients=clients, seed=seed, runtime=runtime
        )
        self.layout = self._pool.layout
        self._dense = np.ones(self.layout.upload_size, dtype=np.bool_)

    def initial_vector(self, seed: int) -> Floats:
        """One seeded model, see `StepRunner.initial_vector`."""
        return self._pool.initial_vector(seed)

    def train(
        self,
        start: Floats,
        control: Floats,
        clients: Sequence[int],
        *,
        streams: Streams,
        steps: int,
        proxes: Sequence[Prox | None],
    ) -> Iterator[Trained]:
        """Steps by the executor, see `StepRunner.train`; buffers have no control variates."""
        start = np.array(start)  # a copy, because torch warns of read-only arrays
        buffers = np.zeros(self.layout.size - self.layout.parameter_size, dtype=np.float32)
        corrected = self._method.rules.control
        works = (
            LocalWork(
                client=client,
                vector=start,
                program=self._method.descent.program(steps, proxes[client]),
                pruning_ratio=0.0,
                streams=streams,
                correction=np.concatenate([-control[client], buffers]) if corrected else None,
            )
            for client in clients
        )
        for client, result in zip(clients, self._pool.executor.train(works), strict=True):
            yield client, result.vector, result.loss

    def accuracy(self, vector: Floats) -> float:
        """Test accuracy by the engine, see `StepRunner.accuracy`."""
        model = np.array(vector)
        return self._pool.accuracy(lambda client: model, one_model=True)

    def objective(self, vector: Floats) -> float | None:
        """None: the objective needs a pass over all data."""
        return None

    def flops(self, client: int, steps: int) -> float:
        """Operations of an algorithm with a dense local model, see `StepRunner.flops`."""
        return self._pool.flops(client, self._method.descent.program(steps), self._dense)

    def close(self) -> None:
        """Release the executor and its worker processes."""
        self._pool.close()


class FullGradientSteps:
    """Steps on all samples of all clients at once in float64: `training.convex`.

    Args:
        method: The algorithm as data.
        gradients: Full gradients of the K clients.
        samples: Training samples of each client, (K,).
    """

    def __init__(
        self, method: ControlVariateMethod, gradients: FullGradients, samples: Sequence[int]
    ) -> None:
        self._method = method
        self._spec = method.spec()
        self._gradients = gradients
        model, self.layout = self._spec.build_model()
        accounting = Accounting.of(model, self.layout)
        one_step = method.descent.program(1)
        dense = np.ones(self.layout.upload_size, dtype=np.bool_)
        self._step_flops = [accounting.flops(one_step, dense, count) for count in samples]

    def initial_vector(self, seed: int) -> Floats:
        """One seeded model, or 0 for a model that starts at 0."""
        return initial_vector(self._spec, seed).astype(np.float64)

    def train(
        self,
        start: Floats,
        control: Floats,
        clients: Sequence[int],
        *,
        streams: Streams,
        steps: int,
        proxes: Sequence[Prox | None],
    ) -> Iterator[Trained]:
        """Steps of all clients in one program for each operator, see `StepRunner.train`."""
        controls = control[None] if self._method.rules.control else None
        for prox in dict.fromkeys(proxes[client] for client in clients):
            with np.errstate(over="ignore", invalid="ignore"):
                trained = self._gradients.local_steps(
                    start[None],
                    controls,
                    rate=np.array([self._method.descent.learning_rate]),
                    steps=np.array([steps]),
                    prox=prox,
                )[0]
            for client in (client for client in clients if proxes[client] == prox):
                check_finite(trained[client], client, streams.round, steps)
                yield client, trained[client], None

    def accuracy(self, vector: Floats) -> float:
        """R^2 or accuracy on the test samples, see `StepRunner.accuracy`."""
        return float(self._gradients.score(vector[None])[0])

    def objective(self, vector: Floats) -> float | None:
        """Sum of the clients' objectives."""
        return float(self._gradients.loss(vector[None])[0])

    def flops(self, client: int, steps: int) -> float:
        """Operations of steps on all samples of the client, see `StepRunner.flops`."""
        return steps * self._step_flops[client]

    def close(self) -> None:
        """No process to release."""


def local_steps(
    method: ControlVariateMethod, *, clients: int, seed: int, runtime: Runtime
) -> StepRunner:
    """The local steps by the gradients of a method.

    Args:
        method: The algorithm as data.
        clients: Number of clients K.
        seed: Seed of the partition.
        runtime: Device, executor and precision.

    Returns:
        Steps on mini-batches or with full gradients.

    Raises:
        InputError: If the data are missing, or the model has no full gradients.
    """
    descent = method.descent
    if descent.gradients != "full":
        return MinibatchSteps(method, clients=clients, seed=seed, runtime=runtime)
    if runtime.given is not None:
        raise InputError(
            "training.gradients must be 'minibatch' with an executor of the caller, got 'full', "
            "whose steps are no work of clients"
        )
    data = method.task.load(clients=clients, seed=seed, data_root=runtime.data_root)
    gradients = full_gradients(data, method.task.model, ridge=descent.ridge, l2=descent.l2)
    return FullGradientSteps(method, gradients, [len(rows) for rows in data.train_index])


def check_finite(trained: Floats, client: int, round_index: int, steps: int) -> None:
    """Check the result of local steps with full gradients.

    Args:
        trained: Trained values of the client, (size,).
        client: Index of the client.
        round_index: Index of the round, from 0.
        steps: Number of local steps.

    Raises:
        DivergenceError: If a value is not finite.
    """
    if not np.isfinite(trained).all():
        raise DivergenceError(
            f"training diverged: client {client}, round {round_index + 1}, weights are not finite "
            f"after {steps} steps; reduce training.learning_rate"
        )
