"""Decentralised lottery tickets: agents prune as they get good and begin again from common weights
(LotteryFL).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.masked_weights import Payload, masked_demand, masked_work
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers
from training.decentralised.pruned_weights import average_over_holders, masked
from training.decentralised.retention import mask_density, maskable_entries
from training.decentralised.state import AgentValues, PeerState
from training.engine.program import EvaluationWork, LocalResult, LocalWork, Program, SampleSelection
from training.sparsity.counts import keep_count
from training.sparsity.top_k import prune_further
from training.structure.layout import Layout
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.rng import Streams
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class Lottery(PeerMethod):
    """Agents whose masks lose the smallest weights whenever the averaged model under them is good
    enough: [MCE-PL] M-9.

    An agent holds its `vector` (size,), the mean of its neighbourhood, its `mask` (parameter_size,)
    and its `keep_ratio`, the share that is left by its own count; the initial `weights` are common.
    The rule is that of `lottery-dsgd`, whose fields these are.
    """

    task: Task
    graph: Graph
    program: Program
    keep_ratio: float
    prune_share: float
    accuracy_threshold: float
    threshold_on: Literal["train", "test"]
    threshold_samples: int
    payload: Payload

    def nominal_program(self) -> Program:
        """That of all agents in every round."""
        return self.program

    def start(self, cohort: ClientPool, peers: Peers, seed: int) -> PeerState:
        """One seeded model for all agents, of which everything is kept."""
        vector, clients, size = (
            cohort.initial_vector(seed),
            cohort.clients,
            cohort.layout.parameter_size,
        )
        rows = {
            "vector": np.tile(vector, (clients, 1)),
            "mask": np.ones((clients, size), dtype=np.bool_),
            "keep_ratio": np.ones(clients),
        }
        return PeerState(seed, 0, rows, {"weights": vector[:size]})

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """That of the masks before the round, which can only shrink in it; dense before the first
        one.
        """
        _, layout = self.spec().build_model()
        ones = np.full(clients, layout.parameter_size)
        if state is not None:
            ones = np.count_nonzero(state.rows["mask"], axis=1)
        return masked_demand(self, layout, ones, epoch_steps, self.payload)

    def begin(self, state: PeerState, cohort: ClientPool, agents: Sequence[int]) -> PeerState:
        """Who is above the threshold prunes and starts again from the common weights."""
        rows = {name: array.copy() for name, array in state.rows.items()}
        looking = [agent for agent in agents if rows["keep_ratio"][agent] > self.keep_ratio]
        works = (self._look(state, agent) for agent in looking)
        for agent, accuracy in zip(looking, cohort.executor.evaluate(works), strict=True):
            if accuracy > self.accuracy_threshold:
                vector = rows["vector"][agent]
                mask = self._pruned(vector, rows["mask"][agent], cohort.layout)
                rows["mask"][agent] = mask
                rows["keep_ratio"][agent] *= 1.0 - self.prune_share
                vector[: mask.size] = np.where(mask, state.common["weights"], vector[: mask.size])
        return replace(state, rows=rows)

    def work(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """SGD on what is kept."""
        return masked_work(place, own, self.program)

    def local(self, place: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """It sends what it keeps; what it does not keep stays as it was."""
        mask = own["mask"]
        weights = np.where(mask, result.vector[: mask.size], own["vector"][: mask.size])
        trained = np.concatenate([weights, result.vector[mask.size :]])
        bits = self.payload.bits(place.cohort.layout, int(np.count_nonzero(mask)))
        return LocalOutcome(
            own={**own, "vector": trained},
            message={"vector": result.vector, "mask": mask},
            bits=bits,
        )

    def mix(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """Mean of each weight over those of the closed neighbourhood who keep it."""
        return {**own, "vector": average_over_holders(own["vector"], own["mask"], inbox)}

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The mean under the agent's mask."""
        return masked(own["vector"], own["mask"])

    def extra(self, state: PeerState, cohort: ClientPool) -> dict[str, float]:
        """The share of weights that is left, mean over agents."""
        return {"ones_share": mask_density(state.rows["mask"], cohort.layout)}

    def _look(self, state: PeerState, agent: int) -> EvaluationWork:
        """The accuracy that decides, on the same samples in every round."""
        seed = Streams(state.seed).seed_for("threshold", agent)
        sample = SampleSelection(of=self.threshold_on, count=self.threshold_samples, seed=seed)
        return EvaluationWork(
            client=agent, vector=self.model(state.own(agent), state.common), sample=sample
        )

    def _pruned(self, vector: Vector, mask: Mask, layout: Layout) -> Mask:
        """`mask` without the smallest |w| of what it has in each tensor of weights."""
        pruned = mask.copy()
        for entry in maskable_entries(layout):
            alive = mask[entry.slice]
            kept = keep_count(self.prune_share, int(np.count_nonzero(alive)))
            pruned[entry.slice] = prune_further(alive, np.abs(vector[entry.slice]), kept)
        return pruned
