"""Quantities of the convergence theorems, measured in every round of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from training.arrays import Floats, Mask, Vector
from training.convergence.objectives import LocalObjectives
from training.convergence.smoothness import smoothness
from training.engine.spec import EngineSpec
from training.task import Task
from training.torch_settings import one_thread
from wirelessfl.protocols import Runtime
from wirelessfl.values import Array

VectorOf = Callable[[int], Vector]  # client -> its whole vector, (size,)


@dataclass(frozen=True)
class Observer:
    """Measurements on the objectives of the clients' own training samples.

    Gradients are measured in every round. Noise and smoothness, some hundred times as expensive,
    are measured in every `every`-th one.

    Attributes:
        objectives: The objectives F_k.
        every: Rounds from one measurement of noise and smoothness to the next.
    """

    objectives: LocalObjectives
    every: int

    @classmethod
    def of(
        cls, task: Task, spec: EngineSpec, every: int, clients: int, seed: int, runtime: Runtime
    ) -> "Observer | None":
        """The observer of a run, or None where nothing is measured.

        Args:
            task: The learning task.
            spec: Settings of the engine.
            every: Rounds from one measurement to the next; 0 for none.
            clients: Number of clients K.
            seed: Seed of the division of the data.
            runtime: Folder of data sets.

        Returns:
            The observer.
        """
        if not every:
            return None
        data = task.load(clients=clients, seed=seed, data_root=runtime.data_root)
        return cls(LocalObjectives(spec, data), every)

    def due(self, round_index: int) -> bool:
        """True in rounds in which noise and smoothness are measured.

        Args:
            round_index: Index of the round, from 0.

        Returns:
            True in the first round and in every `every`-th after it.
        """
        return round_index % self.every == 0

    def gradients(self, vector_of: VectorOf) -> Floats:
        """The gradients of all F_k.

        Args:
            vector_of: Client -> its vector.

        Returns:
            Gradients, (K, parameter_size).
        """
        clients = range(self.objectives.clients)
        return np.stack([self.objectives.gradient(k, vector_of(k)) for k in clients])

    @one_thread()
    def personalised(
        self,
        round_index: int,
        before: VectorOf,
        middle: VectorOf,
        masks: Mapping[int, Mask],
        ratios: Array,
    ) -> dict[str, float]:
        """The quantities of [WFL] eq. (31) in a round.

        Args:
            round_index: Index of the round, from 0.
            before: Client -> its vector [v_k^g, u^g] before the round.
            middle: Client -> its vector [v_k^(g+1), u^g], after the steps on the personal part.
            masks: Masks of the shared part, (N_u,), of the clients whose uploads are averaged.
            ratios: Pruning ratios, (K,).

        Returns:
            `loss` F; `personal_gradient` sum_k ||grad_v F_k||^2 and `shared_gradient`
            ||grad_u F||^2; `diversity` of [WFL] eq. (30) over the latter; `ratios` summed over all
            clients; `holders` of the weight with fewest, among weights with any;
            `without_holder`, a fraction of weights; `pruning_error` ||u - u m_k||^2 / rho_k, the
            largest. When due also the largest `shared_smoothness`, `personal_smoothness`,
            `cross_smoothness`, `shared_noise`, `personal_noise` and `shared_moment` of a client.
        """
        layout, clients = self.objectives.layout, range(self.objectives.clients)
        first = self.gradients(before)[:, layout.personal]
        second = self.gradients(middle)[:, layout.shared]
        mean = second.mean(axis=0)
        held = sum(
            (mask.astype(np.int64) for mask in masks.values()), np.zeros(len(mean), np.int64)
        )
        shared = before(0)[layout.shared].astype(np.float64)
        errors = [
            float((shared[~mask] ** 2).sum()) / ratios[client]
            for client, mask in masks.items()
            if ratios[client]
        ]
        found = {
            "loss": float(np.mean([self.objectives.loss(k, before(k)) for k in clients])),
            "personal_gradient": float((first**2).sum()),
            "shared_gradient": float(mean @ mean),
            "diversity": float(((second - mean) ** 2).sum(axis=1).mean()),
            "ratios": float(ratios.sum()),
            "holders": float(held[held > 0].min()) if held.any() else 0.0,
            "without_holder": float((held == 0).mean()),
            "pruning_error": max(errors, default=0.0),
        }
        if not self.due(round_index):
            return found
        each = [self._constants(client, middle(client), second[client]) for client in clients]
        return found | {name: max(one[name] for one in each) for name in each[0]}

    def _constants(self, client: int, vector: Vector, gradient: Floats) -> dict[str, float]:
        """The constants of the assumptions of a client with this shared gradient."""
        layout = self.objectives.layout
        size, shared, personal = layout.parameter_size, layout.shared, layout.personal
        product = self.objectives.hessian(client, vector)
        noise = self.objectives.noise(client, vector)
        return {
            "shared_smoothness": smoothness(product, size, shared, shared),
            "personal_smoothness": smoothness(product, size, personal, personal),
            "cross_smoothness": smoothness(product, size, shared, personal),
            "shared_noise": noise.shared,
            "personal_noise": noise.personal,
            "shared_moment": float(gradient @ gradient) + noise.shared,
        }

    @one_thread()
    def shared(self, round_index: int, vector: Vector, weights: Floats) -> dict[str, float]:
        """The quantities of [CA-HFP] eq. (10) in a round, without the error of pruning.

        Args:
            round_index: Index of the round, from 0.
            vector: The global model w_t, (size,).
            weights: Weights p_k, (K,), with sum 1.

        Returns:
            `loss` F(w_t), `gradient` ||grad F(w_t)||^2, `dissimilarity` of [CA-HFP] eq. (8); when
            due also the largest `smoothness` and `noise` of a client.
        """
        clients = range(self.objectives.clients)
        gradients = self.gradients(lambda client: vector)
        mean = weights @ gradients
        losses = [self.objectives.loss(client, vector) for client in clients]
        found = {
            "loss": float(weights @ losses),
            "gradient": float(mean @ mean),
            "dissimilarity": float(weights @ ((gradients - mean) ** 2).sum(axis=1)),
        }
        if not self.due(round_index):
            return found
        whole = self.objectives.layout.part("all")
        size = self.objectives.layout.parameter_size
        return found | {
            "smoothness": max(
                smoothness(self.objectives.hessian(client, vector), size, whole, whole)
                for client in clients
            ),
            "noise": max(sum(self.objectives.noise(client, vector)) for client in clients),
        }
