"""Decentralised training: agents on a graph that exchange messages with their neighbours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from training.arrays import Vector
from training.clients import ClientPool, RoundCosts, check_client
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers
from training.decentralised.state import AgentValues, PeerState
from training.engine.program import LocalWork
from training.method_based import MethodBased
from training.sparsity.payload import network_bits
from training.state import StateTrainer
from training.torch_settings import one_thread
from wirelessfl.graph import Graph
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics


class PeerTrainer(StateTrainer[PeerState]):
    """Training by a `PeerMethod` on data that are divided over agents.

    A round is synchronous: all agents work on the state of its beginning, then each sends one
    message to all its neighbours, then all mix the messages that they have received. Local work is
    created one by one, when the executor requests it.

    Args:
        method: The algorithm.
        clients: Number of agents K.
        seed: Seed of the partition and of the graph.
        runtime: Device, executor and precision.
    """

    def __init__(self, method: PeerMethod, *, clients: int, seed: int, runtime: Runtime) -> None:
        self._method = method
        self._peers = Peers.of(method.graph, clients, seed)
        self._pool = ClientPool(
            method.spec(),
            method.task,
            method.nominal_program(),
            clients=clients,
            seed=seed,
            runtime=runtime,
        )

    def init(self, seed: int) -> PeerState:
        """The initial state of the method.

        Args:
            seed: Seed of the run, at least 0.

        Returns:
            The state before the first round.
        """
        with one_thread():
            return self._method.init(self._pool, self._peers, seed)

    def demand(self, state: PeerState) -> Demand:
        """Demand of the coming round: one multicast of each agent, and no download.

        Args:
            state: State before the round.

        Returns:
            Demand with arrays (K,).
        """
        return self._method.demand(self._pool.clients, self._pool.epoch_steps, state)

    def step(
        self, state: PeerState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[PeerState, StepMetrics]:
        """One round of the participating agents; the others keep their state at no cost.

        A message that is lost is transmitted and counted, and reaches no neighbour; a late one
        reaches the neighbours in the round in which it arrives, unless a newer one does.

        Args:
            state: State before the round.
            pruning_ratio: Ratios of the allocation within [0, 1], (K,).
            delivery: Outcome of the transmissions, arrays (K,).

        Returns:
            The state after the round, and its metrics.

        Raises:
            InputError: If a ratio is out of range or cannot be used by the method.
        """
        ratios = self._pool.check(pruning_ratio, delivery)
        agents = np.flatnonzero(delivery.participates & self._method.takes_part(ratios)).tolist()
        state = self._method.begin(state, self._pool, agents)
        contexts = {agent: self._context(state, agent, float(ratios[agent])) for agent in agents}
        costs = RoundCosts(self._pool.clients)
        own: dict[int, AgentValues] = {}
        arrived: dict[int, AgentValues] = {}
        late: dict[int, AgentValues] = {}
        for agent, message in state.late.items():
            if delivery.arrived_late[agent]:
                arrived[agent] = message
            elif not delivery.on_time[agent]:
                late[agent] = message
        for agent, outcome in self._outcomes(state, contexts, costs):
            own[agent] = outcome.own
            costs.uplink_bits[agent] = outcome.bits
            if outcome.message is not None and delivery.late[agent]:
                late[agent] = outcome.message
            if outcome.message is not None and delivery.on_time[agent]:
                arrived[agent] = outcome.message
        last_received = _renewed(state.last_received, arrived)
        rows = {name: array.copy() for name, array in state.rows.items()}
        with one_thread():
            for agent, context in contexts.items():
                inbox = self._inbox(agent, last_received, arrived)
                values = self._method.mix(context, own.pop(agent), inbox)
                for name, array in rows.items():
                    array[agent] = values[name]
        after = replace(
            state, round=state.round + 1, rows=rows, last_received=last_received, late=late
        )
        no_download = np.zeros(self._pool.clients)
        return after, costs.metrics(no_download, self._extra(after, costs))

    def evaluate(self, state: PeerState) -> float:
        """Mean over agents of the accuracy of the agent's model on its test samples.

        Args:
            state: State after any round.

        Returns:
            Accuracy in [0, 1].
        """
        return self._pool.accuracy(lambda agent: self.model(state, agent), one_model=False)

    def model(self, state: PeerState, client: int | None = None) -> Vector:
        """The model of an agent, see `StateTrainer.model`; there is no global one.

        Args:
            state: State after any round.
            client: Index of the agent.

        Returns:
            Flat model, (size,).

        Raises:
            InputError: If there is no such agent, or None is given.
        """
        agent = check_client(client, self._pool.clients, one_model=False)
        return self._method.model(state.own(agent), state.common)

    def close(self) -> None:
        """Release the executor and its worker processes."""
        self._pool.close()

    def _outcomes(
        self, state: PeerState, contexts: Mapping[int, AgentContext], costs: RoundCosts
    ) -> Iterator[tuple[int, LocalOutcome]]:
        """Agents in order with the outcome of their work; its costs are recorded meanwhile."""
        in_progress: dict[int, LocalWork] = {}

        def works() -> Iterator[LocalWork]:
            for agent, context in contexts.items():
                with one_thread():
                    inbox = self._inbox(agent, state.last_received, {})
                    work = self._method.work(context, state.own(agent), inbox)
                in_progress[agent] = work
                yield work

        results = self._pool.executor.train(works())
        for (agent, context), result in zip(contexts.items(), results, strict=True):
            work = in_progress.pop(agent)
            costs.flops[agent] = self._pool.flops(
                agent, work.program, result.mask, masked=work.mask is not None
            )
            costs.losses.append(result.loss)
            yield agent, self._method.local(context, state.own(agent), result)

    def _context(self, state: PeerState, agent: int, pruning_ratio: float) -> AgentContext:
        return AgentContext(
            agent=agent,
            pruning_ratio=pruning_ratio,
            streams=Streams(state.seed, state.round),
            pool=self._pool,
            peers=self._peers,
            common=state.common,
        )

    def _inbox(self, agent: int, last_received: AgentValues, arrived: Inbox) -> Inbox:
        """Messages from the neighbours of `agent`: the last of each where stored, else arrived."""
        neighbours = self._peers.neighbours(agent)
        if last_received:
            return {
                other: {name: rows[other] for name, rows in last_received.items()}
                for other in neighbours
            }
        return {other: arrived[other] for other in neighbours if other in arrived}

    def _extra(self, state: PeerState, costs: RoundCosts) -> dict[str, float]:
        degrees = self._peers.degrees
        return {
            "traffic_unicast_mb": network_bits(costs.uplink_bits, degrees) / 8e6,
            "traffic_broadcast_mb": network_bits(costs.uplink_bits, degrees, broadcast=True) / 8e6,
            **self._method.extra(state, self._pool),
        }


def _renewed(last_received: AgentValues, arrived: Inbox) -> AgentValues:
    """The last message of every sender after further messages."""
    renewed = {name: rows.copy() for name, rows in last_received.items()}
    for agent, message in arrived.items():
        for name, rows in renewed.items():
            rows[agent] = message[name]
    return renewed


@dataclass(frozen=True, kw_only=True)
class PeerBased(MethodBased[PeerMethod]):
    """Base of algorithm plug-ins that are described by a `PeerMethod`.

    Attributes:
        graph: Communication graph of the agents.
    """

    trainer_type = PeerTrainer
    runs_with: ClassVar[Mapping[str, str]] = {"allocation.method": "min-latency"}

    graph: Graph = field(default_factory=Graph)
