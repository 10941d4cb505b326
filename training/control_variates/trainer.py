"""Server-based training with control variates: [SPS] Algorithm 1, one round from one
communication to the next.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.clients import RoundCosts, check_round_inputs, require_no_pruning
from training.control_variates.local_steps import LocalSteps, local_steps
from training.control_variates.method import ControlVariateMethod, Floats
from training.control_variates.state import ControlVariateState
from training.sparsity.prox import TopK
from wirelessfl.errors import DivergenceError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics

EXPLODED = 1e15  # a norm of weights from which nothing comes back


class ControlVariateTrainer:
    """Training by a `ControlVariateMethod` on data divided over `clients` clients (a
    `wirelessfl.protocols.Trainer`).

    `steps` takes the place of the local steps that the method asks for.

    **Differs:** [SPS] has all clients in every round ([SPS] Appendix C). Here who is not delivered,
    late ones too, is left out of the mean of lines 10 and 11 for good, keeps its h_i, and starts
    the next round from the new model; the h_i of the others move by their distance from their own
    mean, so that the sum of all h_i stays 0. [SPS] Algorithm 1, line 19 prunes the last model that
    was communicated: between two communications the clients' models differ.
    """

    def __init__(
        self,
        method: ControlVariateMethod,
        *,
        clients: int,
        seed: int,
        runtime: Runtime,
        steps: LocalSteps | None = None,
    ) -> None:
        self._method, self._clients = method, clients
        self._steps = steps or local_steps(method, clients=clients, seed=seed, runtime=runtime)
        self._layout = self._steps.layout
        self._model_kept = method.model_kept(self._layout.parameter_size)

    def init(self, seed: int) -> ControlVariateState:
        """The state before the first round: one seeded model, all h_i = 0."""
        start, size = self._steps.start(seed), self._layout.parameter_size
        control = np.zeros((self._clients, size), dtype=start.dtype)
        return ControlVariateState.of(seed, 0, start, control, np.full(self._clients, size))

    def demand(self, state: ControlVariateState) -> Demand:
        """That of the round's own number of local steps."""
        return self._method.demand(
            self._clients,
            layout=self._layout,
            steps=self._method.descent.steps(Streams(state.seed, state.round)),
            sent=state.sent,
            nonzero=self._nonzero(state),
        )

    def step(
        self, state: ControlVariateState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[ControlVariateState, StepMetrics]:
        """The round's local steps and the communication behind them; ratios (K,).

        Ratios are the sparsity of uploads where the method says so, else 0; with ratio 1 a client
        is left out.
        """
        ratios = check_round_inputs(self._clients, pruning_ratio, delivery)
        left_out = (
            ratios == 1
            if self._method.allocated
            else require_no_pruning(ratios, "whose sparsity is its own")
        )
        steps = self._method.descent.steps(Streams(state.seed, state.round))
        trains, kept = (
            np.flatnonzero(delivery.participates & ~left_out),
            self._method.kept(ratios, self._layout.parameter_size),
        )
        trained, costs = self._trained(state, trains.tolist(), kept, steps)
        uploads = self._method.pieces.sent(trained[:, : self._layout.parameter_size], kept[trains])
        sent, joins = state.sent.copy(), delivery.on_time[trains]
        sent[trains] = np.count_nonzero(uploads, axis=1)
        costs.uplink_bits[trains] = self._method.upload_bits(kept, sent, self._layout)[trains]
        down = np.where(
            delivery.participates,
            self._method.download_bits(self._nonzero(state), self._layout),
            0.0,
        )
        shared, control, own = state.shared, state.control, {}
        if joins.any():
            members, trained, uploads = trains[joins], trained[joins], uploads[joins]
            shared, control = self._communicated(state, members, trained, uploads, steps)
            own["gradient"] = self._gradient(state, members, trained, steps)
        after = ControlVariateState.of(state.seed, state.round + 1, shared, control, sent)
        extra = observed(after.round, shared[: self._layout.parameter_size], control, steps) | own
        objective = self._steps.objective(self._pruned(shared))
        if objective is not None:
            costs.losses, extra["train_loss"] = [objective / self._clients], objective
        return after, costs.metrics(down, extra)

    def evaluate(self, state: ControlVariateState) -> float:
        """Mean over clients of the test accuracy (R^2 of a regression) of TopK(w_bar)."""
        return self._steps.accuracy(self._pruned(state.shared))

    def pack(self, state: ControlVariateState) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return state.pack()

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> ControlVariateState:
        """The state that `pack` gave; `InputError` for arrays of another model or number of
        clients.
        """
        return ControlVariateState.unpack(arrays, self.init(0))

    def close(self) -> None:
        """End worker processes."""
        self._steps.close()

    def _trained(
        self, state: ControlVariateState, clients: list[int], kept: NDArray[np.int64], steps: int
    ) -> tuple[Floats, RoundCosts]:
        """The clients' numbers after their local steps, (clients, size), and what they cost."""
        rule = self._method.pieces.every_step
        proxes = (
            [None] * self._clients if rule is None else [rule(count) for count in kept.tolist()]
        )
        places = {client: place for place, client in enumerate(clients)}
        trained, costs = (
            np.empty((len(clients), self._layout.size), dtype=state.shared.dtype),
            RoundCosts(self._clients),
        )
        results = self._steps.train(
            state.shared,
            state.control,
            clients,
            streams=Streams(state.seed, state.round),
            steps=steps,
            proxes=proxes,
        )
        for client, vector, loss in results:
            trained[places[client]] = vector
            costs.losses.append(loss)
            costs.flops[client] = self._steps.flops(client, steps)
        return trained, costs

    def _communicated(
        self,
        state: ControlVariateState,
        members: NDArray[np.intp],
        trained: Floats,
        uploads: Floats,
        steps: int,
    ) -> tuple[Floats, Floats]:
        """The model (size,) and all control variates (K, d) after `members` have sent `uploads` of
        what they `trained`.

        Buffers are averaged as they are.
        """
        size, control = self._layout.parameter_size, np.array(state.control)
        with np.errstate(over="ignore", invalid="ignore"):  # `observed` says what diverged
            model, control[members] = self._method.pieces.exchange(
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
        """Norm of the mean over clients and steps of g_i, by how far they came; of a prox on the
        way that is part.
        """
        size = self._layout.parameter_size
        with np.errstate(over="ignore", invalid="ignore"):
            way = (state.shared[:size] - trained[:, :size].mean(axis=0, dtype=np.float64)) / steps
            mean = state.control[members].mean(axis=0, dtype=np.float64)  # 0 where there are none
            return float(np.linalg.norm(way / self._method.descent.learning_rate + mean))

    def _pruned(self, shared: Floats) -> Floats:
        """The model that counts, (size,): TopK of the weights, buffers as they are."""
        size = self._layout.parameter_size
        return np.concatenate([TopK(self._model_kept)(shared[:size]), shared[size:]])

    def _nonzero(self, state: ControlVariateState) -> int | None:
        """Weights of the model that clients get in the coming round; None before the first, when
        all may be.
        """
        return (
            int(np.count_nonzero(state.shared[: self._layout.parameter_size]))
            if state.round
            else None
        )


def observed(rounds: int, model: Floats, control: Floats, steps: int) -> dict[str, float]:
    """What a record has of w_bar `model` (d,) and the h_i `control` (K, d) after round `rounds` of
    so many `steps`.

    Euclidean norms of w_bar, of sum_i h_i and of the h_i on average. `DivergenceError` where the
    weights explode.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norm = float(np.linalg.norm(model.astype(np.float64)))
    if not norm < EXPLODED:
        raise DivergenceError(
            f"training diverged: round {rounds}, the norm of the model is {norm:g}; reduce training.learning_rate"
        )
    return {
        "local_steps": float(steps),
        "norm": norm,
        "nonzero": float(np.count_nonzero(model)),
        "sum_control": float(np.linalg.norm(control.sum(axis=0, dtype=np.float64))),
        "mean_control": float(np.sqrt([row @ row for row in control]).mean()),
    }
