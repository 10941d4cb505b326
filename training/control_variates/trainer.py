"""Server-based training with control variates: [SPS] Algorithm 1.

One round goes from one communication to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.arrays import Floats
from training.clients import (
    RoundCosts,
    check_client,
    check_round_inputs,
    require_no_pruning,
)
from training.control_variates.local_steps import StepRunner, local_steps
from training.control_variates.method import ControlVariateMethod
from training.control_variates.state import ControlVariateState
from training.sparsity.prox import Prox, TopK
from training.state import StateTrainer
from wirelessfl.errors import DivergenceError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics

EXPLODED = 1e15  # norm of the weights from which training does not recover


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedClients:
    """The result of the local steps of a round.

    Attributes:
        clients: Clients that trained, ascending, (n,).
        vectors: Their values after the steps, (n, size).
        losses: Mean losses of clients, None where they are not known.
    """

    clients: NDArray[np.intp]
    vectors: Floats
    losses: Sequence[float | None] = ()


class ControlVariateTrainer(StateTrainer[ControlVariateState]):
    """Training by a `ControlVariateMethod` on data that are divided over clients.

    **Differs:** [SPS] has all clients in every round ([SPS] Appendix C). Here clients whose upload
    is not delivered in time are permanently excluded from the mean of [SPS] Algorithm 1, lines 10
    and 11, keep their h_i, and start the next round from the new model; the h_i of the others move
    by their distance from their own mean, so that the sum of all h_i stays 0. [SPS] Algorithm 1,
    line 19 prunes the last communicated model: between two communications the clients' models
    differ.

    Args:
        method: The algorithm as data.
        clients: Number of clients K.
        seed: Seed of the partition.
        runtime: Device, executor and precision.
        steps: Local steps in place of those of the method.
    """

    def __init__(
        self,
        method: ControlVariateMethod,
        *,
        clients: int,
        seed: int,
        runtime: Runtime,
        steps: StepRunner | None = None,
    ) -> None:
        self._method = method
        self._clients = clients
        self._steps = steps or local_steps(method, clients=clients, seed=seed, runtime=runtime)
        self._layout = self._steps.layout
        self._size = self._layout.parameter_size
        self._model_kept = method.model_kept(self._size)

    def init(self, seed: int) -> ControlVariateState:
        """One seeded model, all h_i = 0.

        Args:
            seed: Seed of the run, at least 0.

        Returns:
            The state before the first round.
        """
        vector = self._steps.initial_vector(seed)
        control = np.zeros((self._clients, self._size), dtype=vector.dtype)
        return ControlVariateState(seed, 0, vector, control, np.full(self._clients, self._size))

    def demand(self, state: ControlVariateState) -> Demand:
        """Demand of the coming round, by its number of local steps.

        Args:
            state: State before the round.

        Returns:
            Demand with arrays (K,).
        """
        return self._method.demand(
            self._clients,
            layout=self._layout,
            steps=self._round_steps(state),
            sent=state.sent,
            nonzero=self._nonzero(state),
        )

    def step(
        self, state: ControlVariateState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[ControlVariateState, StepMetrics]:
        """One round: local steps, then the communication.

        Args:
            state: State before the round.
            pruning_ratio: Sparsity of the uploads where the method is allocated, else 0, within
                [0, 1]; 1 for a client that is excluded, (K,).
            delivery: Outcome of the transmissions, arrays (K,).

        Returns:
            The state after the round, and its metrics.

        Raises:
            InputError: If a ratio is out of range, or cannot be used by the method.
            DivergenceError: If the weights explode.
        """
        ratios = check_round_inputs(self._clients, pruning_ratio, delivery)
        if self._method.allocated:
            excluded = ratios == 1
        else:
            excluded = require_no_pruning(ratios, "whose sparsity is its own")
        clients = np.flatnonzero(delivery.participates & ~excluded)
        kept = self._method.kept(ratios, self._size)
        return self.communicate(state, self._trained(state, clients, kept), kept, delivery)

    def communicate(
        self,
        state: ControlVariateState,
        trained: TrainedClients,
        kept: NDArray[np.int64],
        delivery: Delivery,
    ) -> tuple[ControlVariateState, StepMetrics]:
        """The second half of a round, after the local steps: [SPS] Algorithm 1, lines 9-12.

        Args:
            state: State before the round.
            trained: Result of the local steps.
            kept: Numbers of weights that all clients keep in their upload, (K,).
            delivery: Outcome of the transmissions, arrays (K,).

        Returns:
            The state after the round, and its metrics.

        Raises:
            DivergenceError: If the weights explode.
        """
        steps = self._round_steps(state)
        clients = trained.clients
        costs = RoundCosts(self._clients)
        costs.losses = list(trained.losses)
        for client in clients.tolist():
            costs.flops[client] = self._steps.flops(client, steps)
        uploads = self._method.rules.sent(trained.vectors[:, : self._size], kept[clients])
        sent = state.sent.copy()
        sent[clients] = np.count_nonzero(uploads, axis=1)
        costs.uplink_bits[clients] = self._method.upload_bits(kept, sent, self._layout)[clients]
        model_bits = self._method.download_bits(self._nonzero(state), self._layout)
        downlink_bits = np.where(delivery.participates, model_bits, 0.0)
        shared = state.shared
        control = state.control
        gradient = {}
        delivered = delivery.on_time[clients]
        if delivered.any():
            members = clients[delivered]
            vectors = trained.vectors[delivered]
            shared, control = self._exchanged(state, members, vectors, uploads[delivered], steps)
            gradient["gradient"] = self._gradient(state, members, vectors, steps)
        after = ControlVariateState(state.seed, state.round + 1, shared, control, sent)
        extra = observed(after.round, shared[: self._size], control, steps) | gradient
        objective = self._steps.objective(self._pruned(shared))
        if objective is not None:
            costs.losses = [objective / self._clients]
            extra["train_loss"] = objective
        return after, costs.metrics(downlink_bits, extra)

    def evaluate(self, state: ControlVariateState) -> float:
        """Mean over clients of the test accuracy (R^2 of a regression) of TopK(w_bar).

        Args:
            state: State after any round.

        Returns:
            Accuracy in [0, 1], or R^2.
        """
        return self._steps.accuracy(self.model(state))

    def model(self, state: ControlVariateState, client: int | None = None) -> Floats:
        """TopK(w_bar), the same for all clients, see `StateTrainer.model`.

        Args:
            state: State after any round.
            client: Index of a client, or None.

        Returns:
            Flat model, (size,).

        Raises:
            InputError: If there is no such client.
        """
        check_client(client, self._clients, one_model=True)
        return self._pruned(state.shared)

    def close(self) -> None:
        """Release the executor and its worker processes."""
        self._steps.close()

    def _round_steps(self, state: ControlVariateState) -> int:
        """Number of local steps of the coming round."""
        return self._method.descent.steps(Streams(state.seed, state.round))

    def _trained(
        self, state: ControlVariateState, clients: NDArray[np.intp], kept: NDArray[np.int64]
    ) -> TrainedClients:
        """The first half of a round: local steps of `clients`."""
        rule = self._method.rules.every_step
        proxes: list[Prox | None] = [None] * self._clients
        if rule is not None:
            proxes = [rule(count) for count in kept.tolist()]
        rows = {client: row for row, client in enumerate(clients.tolist())}
        vectors = np.empty((len(clients), self._layout.size), dtype=state.shared.dtype)
        losses: list[float | None] = []
        results = self._steps.train(
            state.shared,
            state.control,
            clients.tolist(),
            streams=Streams(state.seed, state.round),
            steps=self._round_steps(state),
            proxes=proxes,
        )
        for client, vector, loss in results:
            vectors[rows[client]] = vector
            losses.append(loss)
        return TrainedClients(clients=clients, vectors=vectors, losses=losses)

    def _exchanged(
        self,
        state: ControlVariateState,
        members: NDArray[np.intp],
        trained: Floats,
        uploads: Floats,
        steps: int,
    ) -> tuple[Floats, Floats]:
        """The model (size,) and all control variates (K, d) after the uploads of `members`.

        Buffers are averaged without pruning.
        """
        size = self._size
        control = np.array(state.control)
        with np.errstate(over="ignore", invalid="ignore"):  # `observed` reports a divergence
            model, control[members] = self._method.rules.exchange(
                uploads,
                trained[:, :size],
                control[members],
                model_kept=self._model_kept,
                scale=self._method.scale(steps),
            )
        buffers = trained[:, size:].mean(axis=0, dtype=np.float64).astype(trained.dtype)
        return np.concatenate([model, buffers]), control

    def _gradient(
        self, state: ControlVariateState, members: NDArray[np.intp], trained: Floats, steps: int
    ) -> float:
        """Norm of the mean over clients and steps of g_i, from the distance covered.

        With an operator after every step its effect is included.
        """
        size = self._size
        with np.errstate(over="ignore", invalid="ignore"):
            mean = trained[:, :size].mean(axis=0, dtype=np.float64)
            step = (state.shared[:size] - mean) / steps
            control = state.control[members].mean(axis=0, dtype=np.float64)
            return float(np.linalg.norm(step / self._method.descent.learning_rate + control))

    def _pruned(self, shared: Floats) -> Floats:
        """The evaluated model (size,): TopK of the weights, buffers without pruning."""
        size = self._size
        return np.concatenate([TopK(self._model_kept)(shared[:size]), shared[size:]])

    def _nonzero(self, state: ControlVariateState) -> int | None:
        """Nonzero weights of the model that is sent next; None (all) before the first round."""
        return int(np.count_nonzero(state.shared[: self._size])) if state.round else None


def observed(rounds: int, model: Floats, control: Floats, steps: int) -> dict[str, float]:
    """Additional quantities in the record of a round.

    Args:
        rounds: Rounds done.
        model: Model w_bar, (d,).
        control: Control variates h_i, (K, d).
        steps: Number of local steps of the round.

    Returns:
        Number of steps, nonzero weights, and Euclidean norms: of w_bar, of sum_i h_i, and of the
        h_i on average.

    Raises:
        DivergenceError: If the weights explode.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norm = float(np.linalg.norm(model.astype(np.float64)))
    if not norm < EXPLODED:
        raise DivergenceError(
            f"training diverged: round {rounds}, the norm of the model is {norm:g}; reduce "
            "training.learning_rate"
        )
    return {
        "local_steps": float(steps),
        "norm": norm,
        "nonzero": float(np.count_nonzero(model)),
        "sum_control": float(np.linalg.norm(control.sum(axis=0, dtype=np.float64))),
        "mean_control": float(np.sqrt([row @ row for row in control]).mean()),
    }
