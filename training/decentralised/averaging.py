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
    """w_i <- sum_j W_ij w_j + (w_i' - w_i): the models of the round's start are averaged, local
    steps are added.

    w_i' is what `program` makes of w_i; the sum runs over the closed neighbourhood as `mixing`
    says. An agent holds its `vector` (size,), running statistics included, and sends it whole. With
    `proximal_mu` it holds the `mean` of the exchange, too, and adds mu (w - mean of the last one)
    to every gradient.
    """

    task: Task
    graph: Graph
    program: Program
    mixing: Mixing = "uniform"
    proximal_mu: float = 0.0

    def nominal_program(self) -> Program:
        """That of all agents in every round."""
        return self.program

    def start(self, cohort: ClientPool, peers: Peers, seed: int) -> PeerState:
        """One seeded model for all agents."""
        same = np.tile(cohort.initial_vector(seed), (cohort.clients, 1))
        return PeerState(
            seed, 0, {"vector": same, "mean": same.copy()} if self.proximal_mu else {"vector": same}
        )

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """All updates and bits are fixed: steps times the weights, 32 bits a number."""
        return dense_demand(self, clients, epoch_steps)

    def work(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """The program on the agent's own model; mu (w - w_i) is the phase's, mu (w_i - mean) is the
        correction.
        """
        correction = (
            np.float32(self.proximal_mu) * (own["vector"] - own["mean"])
            if self.proximal_mu
            else None
        )
        return LocalWork(
            client=place.agent,
            vector=own["vector"],
            program=self.program,
            pruning_ratio=0.0,
            streams=place.streams,
            correction=correction,
        )

    def local(self, place: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """It sends the model with which it began."""
        bits = float(BITS_PER_WEIGHT * len(result.vector))
        message = {"vector": own["vector"]}
        return LocalOutcome(own={**own, "trained": result.vector}, message=message, bits=bits)

    def mix(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """The neighbourhood's mean and the agent's own steps."""
        step = own["trained"].astype(np.float64) - own["vector"]
        mean = neighbourhood_mean(self.mixing, place, own["vector"], inbox)
        vector = (mean + step).astype(np.float32)
        return {"vector": vector, "mean": mean} if self.proximal_mu else {"vector": vector}

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The agent's own model."""
        return own["vector"]


def neighbourhood_mean(mixing: Mixing, place: AgentContext, own: Vector, inbox: Inbox) -> Vector:
    """sum_j W_ij w_j over the agent's `own` vector and those of its inbox; the weights of who is
    missing are shared.
    """
    weights = place.peers.mixing_weights(mixing)[place.agent]
    vectors = {agent: message["vector"] for agent, message in inbox.items()}
    return mixed(own, float(weights[place.agent]), vectors, weights)
