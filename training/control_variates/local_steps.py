"""Two ways to take a round's local steps: mini-batches by the engine, full gradients of convex
tasks.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from training.clients import ClientPool, initial_vector
from training.control_variates.method import ControlVariateMethod, Floats
from training.convex.factory import full_gradients
from training.convex.full_gradients import FullGradients
from training.engine.accounting import Accounting
from training.engine.program import LocalWork
from training.sparsity.prox import Prox
from training.structure.layout import Layout
from wirelessfl.errors import DivergenceError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams

Trained = tuple[int, Floats, float | None]  # a client, its numbers (size,), its mean loss


class LocalSteps(Protocol):
    """The local steps of clients bound to their data."""

    layout: Layout

    def start(self, seed: int) -> Floats:
        """The numbers that a run starts with, (size,)."""
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
        """`steps` of w <- prox_i(w - gamma (g_i(w) - h_i)) from `start` (size,) for each of
        `clients`, in their order.

        `control` (K, d) and `proxes` (K) are those of all clients. [SPS] Algorithm 1, lines 6 and
        7.
        """
        ...

    def accuracy(self, vector: Floats) -> float:
        """Mean over clients of the test accuracy, or R^2, of one model (size,)."""
        ...

    def objective(self, vector: Floats) -> float | None:
        """The training objective of a model (size,) where it is cheap enough to have in every
        round.
        """
        ...

    def flops(self, client: int, steps: int) -> float:
        """Floating-point operations of a client's round."""
        ...

    def close(self) -> None:
        """Let go of worker processes."""
        ...


class MinibatchSteps:
    """Steps on mini-batches through an executor, in float32; the correction of every gradient is
    -h_i.
    """

    def __init__(
        self, method: ControlVariateMethod, *, clients: int, seed: int, runtime: Runtime
    ) -> None:
        self._method = method
        nominal = method.descent.program(max(1, round(method.descent.expected_steps)))
        self._cohort = ClientPool(
            method.spec(), method.task, nominal, clients=clients, seed=seed, runtime=runtime
        )
        self.layout = self._cohort.layout
        self._dense = np.ones(self.layout.upload_size, dtype=np.bool_)

    def start(self, seed: int) -> Floats:
        """One seeded model."""
        return self._cohort.initial_vector(seed)

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
        """As the executor trains them; buffers move with the batches and have no control variate."""
        start, behind = (
            np.array(start),
            np.zeros(self.layout.size - self.layout.parameter_size, dtype=np.float32),
        )
        works = (
            LocalWork(
                client=client,
                vector=start,
                program=self._method.descent.program(steps, proxes[client]),
                pruning_ratio=0.0,
                streams=streams,
                correction=np.concatenate([-control[client], behind])
                if self._method.pieces.control
                else None,
            )
            for client in clients
        )
        for client, result in zip(clients, self._cohort.executor.train(works), strict=True):
            yield client, result.vector, result.loss

    def accuracy(self, vector: Floats) -> float:
        """By the engine; of a regression R^2."""
        model = np.array(vector)
        return self._cohort.accuracy(lambda client: model, one_model=True)

    def objective(self, vector: Floats) -> float | None:
        """Nothing: it is a pass over all data."""
        return None

    def flops(self, client: int, steps: int) -> float:
        """As of every algorithm with a dense local model."""
        return self._cohort.flops(client, self._method.descent.program(steps), self._dense)

    def close(self) -> None:
        """End worker processes."""
        self._cohort.close()


class FullGradientSteps:
    """Steps on all samples of all clients at once in float64: `training.convex`."""

    def __init__(
        self, method: ControlVariateMethod, gradients: FullGradients, samples: Sequence[int]
    ) -> None:
        self._method, self._spec, self._gradients = method, method.spec(), gradients
        model, self.layout = self._spec.build_model()
        accounting, one = Accounting.of(model, self.layout), method.descent.program(1)
        dense = np.ones(self.layout.upload_size, dtype=np.bool_)
        self._step_flops = [accounting.flops(one, dense, count) for count in samples]

    def start(self, seed: int) -> Floats:
        """One seeded model; 0 where the model starts at 0."""
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
        """All clients in one program for each different prox; `DivergenceError` where numbers are
        no longer finite.
        """
        rate, length = np.array([self._method.descent.learning_rate]), np.array([steps])
        held = control[None] if self._method.pieces.control else None
        for prox in dict.fromkeys(proxes[client] for client in clients):
            with np.errstate(over="ignore", invalid="ignore"):
                trained = self._gradients.local_steps(
                    start[None], held, rate=rate, steps=length, prox=prox
                )[0]
            for client in (client for client in clients if proxes[client] == prox):
                if not np.isfinite(trained[client]).all():
                    raise DivergenceError(
                        f"training diverged: client {client}, round {streams.round + 1}, weights are not finite after "
                        f"{steps} steps; reduce training.learning_rate"
                    )
                yield client, trained[client], None

    def accuracy(self, vector: Floats) -> float:
        """R^2 or accuracy on the test samples."""
        return float(self._gradients.score(vector[None])[0])

    def objective(self, vector: Floats) -> float | None:
        """The sum of the clients' objectives."""
        return float(self._gradients.loss(vector[None])[0])

    def flops(self, client: int, steps: int) -> float:
        """Those of steps on all samples of the client, row by row."""
        return steps * self._step_flops[client]

    def close(self) -> None:
        """Nothing to let go of."""


def local_steps(
    method: ControlVariateMethod, *, clients: int, seed: int, runtime: Runtime
) -> LocalSteps:
    """The local steps that the method asks for."""
    descent = method.descent
    if descent.gradients != "full":
        return MinibatchSteps(method, clients=clients, seed=seed, runtime=runtime)
    data = method.task.load(clients=clients, seed=seed, data_root=runtime.data_root)
    gradients = full_gradients(data, method.task.model, ridge=descent.ridge, l2=descent.l2)
    return FullGradientSteps(method, gradients, [len(rows) for rows in data.train_index])
