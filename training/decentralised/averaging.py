"""Decentralised averaging of whole models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.arrays import Vector
from training.clients import ClientPool
from training.decentralised.demand import dense_demand
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Mixing, Peers, mixed
from training.decentralised.state import AgentValues, PeerState
from training.engine.program import LocalResult, LocalWork, Program
from training.sparsity.payload import BITS_PER_WEIGHT
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class Averaging(PeerMethod):
    """w_i <- sum_j W_ij w_j + (w_i' - w_i): mean of the models at the round's start, plus steps.

    w_i' is the result of `program` from w_i; the sum runs over the closed neighbourhood. An agent
    has its `vector` (size,), running statistics included, and sends it whole. With a proximal term
    it has its `anchor` in addition, the mean of the last exchange that renewed it.

    Attributes:
        task: Data set, partition and model.
        graph: Communication graph.
        program: Local training of an agent in a round.
        mixing: Mixing weights W.
        proximal_mu: Factor mu of (w - anchor) in every gradient, at least 0.
        anchor_rounds: Rounds for which an anchor is held, at least 1.
    """

    task: Task
    graph: Graph
    program: Program
    mixing: Mixing = "uniform"
    proximal_mu: float = 0.0
    anchor_rounds: int = 1

    def nominal_program(self) -> Program:
        """The program of all agents in every round."""
        return self.program

    def init(self, pool: ClientPool, peers: Peers, seed: int) -> PeerState:
        """One seeded model for all agents."""
        vectors = np.tile(pool.initial_vector(seed), (pool.clients, 1))
        rows = {"vector": vectors}
        if self.proximal_mu:
            rows["anchor"] = vectors.copy()
        return PeerState(seed, 0, rows)

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """Steps times the weights, and 32 bits for each value; all of it fixed."""
        return dense_demand(self, clients, epoch_steps)

    def work(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """The program on the agent's model.

        The phase adds mu (w - w_i) to the gradients, the correction mu (w_i - anchor).
        """
        correction = None
        if self.proximal_mu:
            correction = np.float32(self.proximal_mu) * (own["vector"] - own["anchor"])
        return LocalWork(
            client=context.agent,
            vector=own["vector"],
            program=self.program,
            pruning_ratio=0.0,
            streams=context.streams,
            correction=correction,
        )

    def local(self, context: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """The trained model; the agent sends the model with which it began."""
        return LocalOutcome(
            own={**own, "trained": result.vector},
            message={"vector": own["vector"]},
            bits=float(BITS_PER_WEIGHT * len(result.vector)),
        )

    def mix(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """Mean of the neighbourhood plus the agent's own steps."""
        step = own["trained"].astype(np.float64) - own["vector"]
        mean = neighbourhood_mean(self.mixing, context, own["vector"], inbox)
        vector = (mean + step).astype(np.float32)
        if not self.proximal_mu:
            return {"vector": vector}
        renewed = (context.streams.round + 1) % self.anchor_rounds == 0
        return {"vector": vector, "anchor": mean if renewed else own["anchor"]}

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The agent's model."""
        return own["vector"]


def neighbourhood_mean(mixing: Mixing, context: AgentContext, own: Vector, inbox: Inbox) -> Vector:
    """The mean sum_j W_ij w_j over an agent and its inbox.

    The weights of missing messages are distributed over the others.

    Args:
        mixing: Mixing weights W.
        context: The agent in the round.
        own: Its vector w_i, (size,).
        inbox: Messages with a `vector` (size,).

    Returns:
        Mean (size,).
    """
    weights = context.peers.mixing_weights(mixing)[context.agent]
    vectors = {agent: message["vector"] for agent, message in inbox.items()}
    return mixed(own, float(weights[context.agent]), vectors, weights)
