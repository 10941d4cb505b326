"""What makes a decentralised algorithm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.arrays import Vector
from training.clients import ClientPool, require_no_pruning
from training.decentralised.neighbours import Peers
from training.decentralised.state import AgentValues, PeerState
from training.engine.engine import EngineSpec
from training.engine.program import LocalResult, LocalWork, Program
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Demand

Inbox = Mapping[
    int, AgentValues
]  # what an agent has from its neighbours, by sender, in their order


@dataclass(frozen=True, kw_only=True, eq=False)
class AgentContext:
    """One agent in one round: who it is and what it knows besides its own state."""

    agent: int
    pruning_ratio: float
    streams: Streams
    cohort: ClientPool
    peers: Peers
    common: AgentValues


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalOutcome:
    """What an agent has after its local work: what it takes into the exchange, and what it sends.

    `own` may hold more than the state does, for `PeerMethod.mix`. Who sends nothing has no
    `message`; `bits` is what its multicast takes on the air.
    """

    own: AgentValues
    message: AgentValues | None = None
    bits: float = 0.0


class PeerMethod(Protocol):
    """What makes a decentralised algorithm: what an agent holds, does, sends, and makes of what it
    hears.

    Agents' numbers have names that the method chooses. Every function is one of the agent's place,
    of what it holds and of what it has from its neighbours; nothing given may be edited. An `Inbox`
    has the messages of this round that arrived, or the last one of every neighbour where the first
    state has something `heard`.
    """

    task: Task
    graph: Graph

    def nominal_program(self) -> Program:
        """An agent's local work, as far as it decides the machinery."""
        ...

    def start(self, cohort: ClientPool, peers: Peers, seed: int) -> PeerState:
        """The state before the first round."""
        ...

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """What a round (the first one without a state) asks of the network; `epoch_steps` of each
        agent's data.
        """
        ...

    def work(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """The local work; the inbox has what is remembered from earlier rounds."""
        ...

    def local(self, place: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """What comes of it."""
        ...

    def mix(self, place: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """The agent's next state from what its local work left and what it has now heard."""
        ...

    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The vector (size,) by which an agent is judged."""
        ...

    def begin(self, state: PeerState, cohort: ClientPool, agents: Sequence[int]) -> PeerState:
        """The state with which these agents go into a round, where they look at their models before
        they train.
        """
        return state

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """Who has anything to do under these ratios, (K,); `InputError` for ratios that the method
        has no use for.
        """
        return ~require_no_pruning(pruning_ratio, "that prunes nothing")

    def extra(self, state: PeerState, cohort: ClientPool) -> dict[str, float]:
        """The method's own quantities after a round."""
        return {}

    def spec(self) -> EngineSpec:
        """The engine that trains it."""
        return EngineSpec(
            model=self.task.model,
            form=self.task.form,
            personalised=False,
            batch_size=self.task.batch_size,
            device="cpu",
        )
