"""Decentralised lottery tickets: agents prune accurate models and restart from common weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from training.arrays import Mask, Vector
from training.clients import ClientPool
from training.decentralised.masked_weights import Payload, masked, masked_demand, masked_work
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers
from training.decentralised.pruned_weights import average_over_holders
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

ThresholdData = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True)
class Lottery(PeerMethod):
    """Agents whose masks lose the smallest weights whenever their model is accurate: [MCE-PL] M-9.

    An agent has its `vector` (size,), the mean of its neighbourhood, its `mask` (parameter_size,)
    and its `keep_ratio`, the nominal fraction of the weights that are left; the initial `weights`
    are common. The rule is that of `lottery-dsgd`.

    Attributes:
        task: Data set, partition and model.
        graph: Communication graph.
        program: Local training of an agent in a round.
        keep_ratio: Nominal fraction below which an agent does not prune any more, in (0, 1].
        prune_fraction: Fraction of a tensor's weights that is pruned at once, in (0, 1).
        accuracy_threshold: Accuracy above which an agent prunes, in [0, 1].
        threshold_on: Samples on which that accuracy is measured.
        threshold_samples: Largest number of these samples, at least 1.
        payload: Bits of a masked model.
    """

    task: Task
    graph: Graph
    program: Program
    keep_ratio: float
    prune_fraction: float
    accuracy_threshold: float
    threshold_on: ThresholdData
    threshold_samples: int
    payload: Payload

    def nominal_program(self) -> Program:
        """The program of all agents in every round."""
        return self.program

    def init(self, pool: ClientPool, peers: Peers, seed: int) -> PeerState:
        """One seeded model for all agents, of which everything is kept."""
        vector = pool.initial_vector(seed)
        size = pool.layout.parameter_size
        rows = {
            "vector": np.tile(vector, (pool.clients, 1)),
            "mask": np.ones((pool.clients, size), dtype=np.bool_),
            "keep_ratio": np.ones(pool.clients),
        }
        return PeerState(seed, 0, rows, {"weights": vector[:size]})

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """The demand of the masks before the round, an upper bound; dense before the first."""
        _, layout = self.spec().build_model()
        ones = np.full(clients, layout.parameter_size)
        if state is not None:
            ones = np.count_nonzero(state.rows["mask"], axis=1)
        return masked_demand(self, layout, ones, epoch_steps, self.payload)

    def begin(self, state: PeerState, pool: ClientPool, agents: Sequence[int]) -> PeerState:
        """Agents above the threshold prune and restart from the common weights."""
        rows = {name: array.copy() for name, array in state.rows.items()}
        candidates = [agent for agent in agents if rows["keep_ratio"][agent] > self.keep_ratio]
        works = (self._threshold_work(state, agent) for agent in candidates)
        for agent, accuracy in zip(candidates, pool.executor.evaluate(works), strict=True):
            if accuracy > self.accuracy_threshold:
                vector = rows["vector"][agent]
                mask = self._pruned(vector, rows["mask"][agent], pool.layout)
                rows["mask"][agent] = mask
                rows["keep_ratio"][agent] *= 1.0 - self.prune_fraction
                vector[: mask.size] = np.where(mask, state.common["weights"], vector[: mask.size])
        return replace(state, rows=rows)

    def work(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """SGD on the weights that are kept."""
        return masked_work(context, own, self.program)

    def local(self, context: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """The weights that are kept, which are sent; pruned ones do not change."""
        mask = own["mask"]
        weights = np.where(mask, result.vector[: mask.size], own["vector"][: mask.size])
        trained = np.concatenate([weights, result.vector[mask.size :]])
        return LocalOutcome(
            own={**own, "vector": trained},
            message={"vector": result.vector, "mask": mask},
            bits=self.payload.bits(context.pool.layout, int(np.count_nonzero(mask))),
        )

    def mix(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """Mean of each weight over its holders in the closed neighbourhood."""
        return {**own, "vector": average_over_holders(own["vector"], own["mask"], inbox)}

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The mean under the agent's mask."""
        return masked(own["vector"], own["mask"])

    def extra(self, state: PeerState, pool: ClientPool) -> dict[str, float]:
        """Mask density, mean over agents."""
        return {"ones_share": mask_density(state.rows["mask"], pool.layout)}

    def _threshold_work(self, state: PeerState, agent: int) -> EvaluationWork:
        """Evaluation for the threshold, on the same samples in every round."""
        seed = Streams(state.seed).seed_for("threshold", agent)
        sample = SampleSelection(of=self.threshold_on, count=self.threshold_samples, seed=seed)
        return EvaluationWork(
            client=agent, vector=self.model(state.own(agent), state.common), sample=sample
        )

    def _pruned(self, vector: Vector, mask: Mask, layout: Layout) -> Mask:
        """`mask` without the smallest |w| of its ones in each tensor of weights."""
        pruned = mask.copy()
        for entry in maskable_entries(layout):
            alive = mask[entry.slice]
            kept = keep_count(self.prune_fraction, int(np.count_nonzero(alive)))
            pruned[entry.slice] = prune_further(alive, np.abs(vector[entry.slice]), kept)
        return pruned
