"""Decentralised averaging of whole models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.accounting import BITS_PER_WEIGHT, updates
from training.cohort import Cohort
from training.decentralised import Inbox, Local, PeerMethod, Place
from training.decentralised_state import AgentsState, Row
from training.peers import Mixing, Peers, mixed
from training.program import LocalResult, LocalWork, Program, Vector, in_epochs
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.values import Demand


@dataclass(frozen=True, kw_only=True)
class Averaging(PeerMethod):
    """w_i <- sum_j W_ij w_j + (w_i' - w_i): the models of the round's start are averaged, local steps are added.

    w_i' is what `program` makes of w_i; the sum runs over the closed neighbourhood as `mixing` says. An agent holds its
    `vector` (size,), running statistics included, and sends it whole. With `proximal_mu` it holds the `mean` of the
    exchange, too, and adds mu (w - mean of the last one) to every gradient.
    """

    task: Task
    graph: Graph
    program: Program
    mixing: Mixing = "uniform"
    proximal_mu: float = 0.0

    def usual_program(self) -> Program:
        """That of all agents in every round."""
        return self.program

    def start(self, cohort: Cohort, peers: Peers, seed: int) -> AgentsState:
        """One seeded model for all agents."""
        same = np.tile(cohort.first_vector(seed), (cohort.clients, 1))
        return AgentsState(seed, 0, {"vector": same, "mean": same.copy()} if self.proximal_mu else {"vector": same})

    def demand(
        self, clients: int, epoch_steps: Sequence[int] | None = None, state: AgentsState | None = None
    ) -> Demand:
        """All updates and bits are fixed: steps times the weights, 32 bits a number."""
        return dense_demand(self, clients, epoch_steps)

    def work(self, place: Place, own: Row, inbox: Inbox) -> LocalWork:
        """The program on the agent's own model; mu (w - w_i) is the phase's, mu (w_i - mean) is the correction."""
        correction = np.float32(self.proximal_mu) * (own["vector"] - own["mean"]) if self.proximal_mu else None
        return LocalWork(
            client=place.agent,
            vector=own["vector"],
            program=self.program,
            pruning_ratio=0.0,
            streams=place.streams,
            correction=correction,
        )

    def local(self, place: Place, own: Row, result: LocalResult) -> Local:
        """It sends the model with which it began."""
        bits = float(BITS_PER_WEIGHT * len(result.vector))
        message = {"vector": own["vector"]}
        return Local(own={**own, "trained": result.vector}, message=message, bits=bits)

    def mix(self, place: Place, own: Row, inbox: Inbox) -> Row:
        """The neighbourhood's mean and the agent's own steps."""
        step = own["trained"].astype(np.float64) - own["vector"]
        mean = neighbourhood_mean(self.mixing, place, own["vector"], inbox)
        vector = (mean + step).astype(np.float32)
        return {"vector": vector, "mean": mean} if self.proximal_mu else {"vector": vector}

    def model(self, own: Row, common: Row) -> Vector:
        """The agent's own model."""
        return own["vector"]


def neighbourhood_mean(mixing: Mixing, place: Place, own: Vector, inbox: Inbox) -> Vector:
    """sum_j W_ij w_j over the agent's `own` vector and those of its inbox; the weights of who is missing are shared."""
    weights = place.peers.mixing_weights(mixing)[place.agent]
    vectors = {agent: message["vector"] for agent, message in inbox.items()}
    return mixed(own, float(weights[place.agent]), vectors, weights)


def dense_demand(method: PeerMethod, clients: int, epoch_steps: Sequence[int] | None) -> Demand:
    """The demand of a method whose agents train and send everything, whatever the ratio."""
    _, layout = method.spec().build_model()
    steps = nominal_steps(method, clients, epoch_steps)
    work = [sum(updates(method.usual_program(), 0, layout.shared_size, each)) for each in steps]
    nothing = np.zeros(clients)
    return Demand(
        fixed_updates=np.array(work, dtype=np.float64),
        prunable_updates=nothing,
        fixed_upload_bits=np.full(clients, float(BITS_PER_WEIGHT * layout.size)),
        prunable_upload_bits=nothing,
    )


def nominal_steps(method: PeerMethod, clients: int, epoch_steps: Sequence[int] | None) -> Sequence[int]:
    """Steps of each agent's epoch, nominal ones where the data are not read yet."""
    if epoch_steps is not None:
        return epoch_steps
    return [method.task.nominal_epoch(clients) if in_epochs(method.usual_program()) else 0] * clients
