"""Description of a decentralised algorithm."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.arrays import Vector
from training.clients import ClientPool, require_no_pruning
from training.decentralised.neighbours import Peers
from training.decentralised.state import AgentValues, PeerState
from training.engine.program import LocalResult, LocalWork, Program
from training.engine.spec import EngineSpec
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Demand

Inbox = Mapping[int, AgentValues]  # messages from the neighbours of an agent, by sender, in order


@dataclass(frozen=True, kw_only=True, eq=False)
class AgentContext:
    """One agent in one round: its identity and what it knows in addition to its own state.

    Attributes:
        agent: Index of the agent.
        pruning_ratio: Ratio of the allocation in the round, within [0, 1].
        streams: Random streams of the round.
        pool: All agents with their data, and the executor.
        peers: Neighbours of all agents.
        common: Arrays that are the same for all agents.
    """

    agent: int
    pruning_ratio: float
    streams: Streams
    pool: ClientPool
    peers: Peers
    common: AgentValues


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalOutcome:
    """Values and message of an agent after its local work.

    Attributes:
        own: Values that the agent takes into the exchange, for `PeerMethod.mix`; possibly more than
            its state has.
        message: Values that it sends to all its neighbours; none if None.
        bits: Payload of its multicast in bits.
    """

    own: AgentValues
    message: AgentValues | None = None
    bits: float = 0.0


class PeerMethod(ABC):
    """Decentralised algorithm: state, local work, message, mixing and evaluated model of an agent.

    The arrays of the agents have names that the method chooses. Every function depends on the
    context of the agent, its own values and its inbox; no argument may be edited. An `Inbox` has
    the messages of the round that arrived, or the last message of every neighbour where the initial
    state has `last_received`.

    Attributes:
        task: Data set, partition and model.
        graph: Communication graph.
    """

    task: Task
    graph: Graph

    @abstractmethod
    def nominal_program(self) -> Program:
        """Local work of an agent, as far as it determines executor and demand."""

    @abstractmethod
    def init(self, pool: ClientPool, peers: Peers, seed: int) -> PeerState:
        """The state before the first round.

        Args:
            pool: All agents with their data.
            peers: Neighbours of all agents.
            seed: Seed of the run.

        Returns:
            State of round 0.
        """

    @abstractmethod
    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        state: PeerState | None = None,
    ) -> Demand:
        """Weight updates and bits of a round.

        Args:
            clients: Number of agents K.
            epoch_steps: Steps in an epoch of each agent, (K,); nominal ones if None.
            state: State before the round; that of a first round if None.

        Returns:
            Demand with arrays (K,).
        """

    @abstractmethod
    def work(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> LocalWork:
        """Local work of an agent.

        Args:
            context: The agent in the round.
            own: Its values.
            inbox: Messages of earlier rounds, where the state stores them.

        Returns:
            Work for the executor.
        """

    @abstractmethod
    def local(self, context: AgentContext, own: AgentValues, result: LocalResult) -> LocalOutcome:
        """Values and message of an agent after its local work.

        Args:
            context: The agent in the round.
            own: Its values before the work.
            result: Result of the work.

        Returns:
            Values, message and payload.
        """

    @abstractmethod
    def mix(self, context: AgentContext, own: AgentValues, inbox: Inbox) -> AgentValues:
        """The values of an agent after the exchange.

        Args:
            context: The agent in the round.
            own: Values after its local work.
            inbox: Messages from its neighbours.

        Returns:
            Values under the names of `PeerState.rows`.
        """

    @abstractmethod
    def model(self, own: AgentValues, common: AgentValues) -> Vector:
        """The model by which an agent is evaluated.

        Args:
            own: Values of the agent.
            common: Values of all agents.

        Returns:
            Flat model, (size,).
        """

    def begin(self, state: PeerState, pool: ClientPool, agents: Sequence[int]) -> PeerState:
        """The state at the beginning of a round, for methods that evaluate models before training.

        Args:
            state: State after the round before.
            pool: All agents with their data.
            agents: Agents that take part in the round.

        Returns:
            The state with which they start; unchanged by default.
        """
        return state

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """Agents that train under the ratios of a round.

        Args:
            pruning_ratio: Ratios of the allocation, (K,).

        Returns:
            True for the agents that train, (K,).

        Raises:
            InputError: If the method cannot use a ratio.
        """
        return ~require_no_pruning(pruning_ratio, "that prunes nothing")

    def extra(self, state: PeerState, pool: ClientPool) -> dict[str, float]:
        """Additional quantities of the method in the record of a round.

        Args:
            state: State after the round.
            pool: All agents with their data.

        Returns:
            Quantities by name; none by default.
        """
        return {}

    def spec(self) -> EngineSpec:
        """The engine that trains the model."""
        return EngineSpec.of(self.task)
