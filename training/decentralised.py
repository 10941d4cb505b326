"""Decentralised training: agents on a graph that keep their own state and hear their neighbours, without a server."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training._process import one_thread
from training.cohort import Cohort, Costs, refuse_pruning
from training.decentralised_state import AgentsState, Row
from training.engine import EngineSpec
from training.mask_bits import network_bits
from training.peers import Peers
from training.program import LocalResult, LocalWork, Program, Vector
from training.task import Task
from wirelessfl.graph import Graph
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics

Inbox = Mapping[int, Row]  # what an agent has from its neighbours, by sender, in their order


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """One agent in one round: who it is and what it knows besides its own state."""

    agent: int
    pruning_ratio: float
    streams: Streams
    cohort: Cohort
    peers: Peers
    common: Row


@dataclass(frozen=True, kw_only=True, eq=False)
class Local:
    """What an agent has after its local work: what it takes into the exchange, and what it sends.

    `own` may hold more than the state does, for `PeerMethod.mix`. Who sends nothing has no `message`; `bits` is what
    its multicast takes on the air.
    """

    own: Row
    message: Row | None = None
    bits: float = 0.0


class PeerMethod(Protocol):
    """What makes a decentralised algorithm: what an agent holds, does, sends, and makes of what it hears.

    Agents' numbers have names that the method chooses. Every function is one of the agent's place, of what it holds and
    of what it has from its neighbours; nothing given may be edited. An `Inbox` has the messages of this round that
    arrived, or the last one of every neighbour where the first state has something `heard`.
    """

    task: Task
    graph: Graph

    def usual_program(self) -> Program:
        """An agent's local work, as far as it decides the machinery."""
        ...

    def start(self, cohort: Cohort, peers: Peers, seed: int) -> AgentsState:
        """The state before the first round."""
        ...

    def demand(
        self, clients: int, epoch_steps: Sequence[int] | None = None, state: AgentsState | None = None
    ) -> Demand:
        """What a round (the first one without a state) asks of the network; `epoch_steps` of each agent's data."""
        ...

    def work(self, place: Place, own: Row, inbox: Inbox) -> LocalWork:
        """The local work; the inbox has what is remembered from earlier rounds."""
        ...

    def local(self, place: Place, own: Row, result: LocalResult) -> Local:
        """What comes of it."""
        ...

    def mix(self, place: Place, own: Row, inbox: Inbox) -> Row:
        """The agent's next state from what its local work left and what it has now heard."""
        ...

    def model(self, own: Row, common: Row) -> Vector:
        """The vector (size,) by which an agent is judged."""
        ...

    def begin(self, state: AgentsState, cohort: Cohort, agents: Sequence[int]) -> AgentsState:
        """The state with which these agents go into a round, where they look at their models before they train."""
        return state

    def takes_part(self, pruning_ratio: Array) -> NDArray[np.bool_]:
        """Who has anything to do under these ratios, (K,); `InputError` for ratios that the method has no use for."""
        return ~refuse_pruning(pruning_ratio, "that prunes nothing")

    def extra(self, state: AgentsState, cohort: Cohort) -> dict[str, float]:
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


class DecentralisedTrainer:
    """Training by a `PeerMethod` on data divided over `clients` agents (a `wirelessfl.protocols.Trainer`).

    A round is synchronous: all agents work on the state of its beginning, then each sends one message to all its
    neighbours, then all take up what they have heard. Works are made one by one, as the executor takes them.
    """

    def __init__(self, method: PeerMethod, *, clients: int, seed: int, runtime: Runtime) -> None:
        self._method, self._peers = method, Peers.of(method.graph, clients, seed)
        self._cohort = Cohort(
            method.spec(), method.task, method.usual_program(), clients=clients, seed=seed, runtime=runtime
        )

    def init(self, seed: int) -> AgentsState:
        """The state before the first round."""
        with one_thread():
            return self._method.start(self._cohort, self._peers, seed)

    def demand(self, state: AgentsState) -> Demand:
        """What the round asks of the network: each agent multicasts once; nothing comes down."""
        return self._method.demand(self._cohort.clients, self._cohort.epoch_steps, state)

    def step(self, state: AgentsState, pruning_ratio: Array, delivery: Delivery) -> tuple[AgentsState, StepMetrics]:
        """One round of who is here and takes part; the others keep their state, send nothing and cost nothing.

        A message that is not delivered is sent and paid for and reaches nobody; a late one reaches the neighbours in
        the round in which it arrives, unless a newer one does.
        """
        ratios = self._cohort.check(pruning_ratio, delivery)
        agents = np.flatnonzero(delivery.here & self._method.takes_part(ratios)).tolist()
        state = self._method.begin(state, self._cohort, agents)
        places = {agent: self._place(state, agent, float(ratios[agent])) for agent in agents}
        costs, own = Costs(self._cohort.clients), {}
        arrived = {agent: message for agent, message in state.late.items() if delivery.earlier[agent]}
        late = {k: message for k, message in state.late.items() if not (delivery.earlier[k] or delivery.now[k])}
        for agent, local in self._locals(state, places, costs):
            own[agent] = local.own
            costs.uplink_bits[agent] = local.bits
            if local.message is not None and delivery.later[agent]:
                late[agent] = local.message
            if local.message is not None and delivery.now[agent]:
                arrived[agent] = local.message
        heard = _renewed(state.heard, arrived)
        rows = {name: array.copy() for name, array in state.rows.items()}
        with one_thread():
            for agent, place in places.items():
                mixed = self._method.mix(place, own.pop(agent), self._inbox(agent, heard, arrived))
                for name, array in rows.items():
                    array[agent] = mixed[name]
        after = replace(state, round=state.round + 1, rows=rows, heard=heard, late=late)
        return after, costs.metrics(np.zeros(self._cohort.clients), self._extra(after, costs))

    def evaluate(self, state: AgentsState) -> float:
        """Mean over agents of the accuracy of an agent's model on its test samples."""
        return self._cohort.accuracy(lambda agent: self._method.model(state.own(agent), state.common), one_model=False)

    def pack(self, state: AgentsState) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return state.pack()

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> AgentsState:
        """The state that `pack` gave; `InputError` for arrays of another model or number of agents."""
        return AgentsState.unpack(arrays, self.init(0))

    def close(self) -> None:
        """End worker processes."""
        self._cohort.close()

    def _locals(self, state: AgentsState, places: Mapping[int, Place], costs: Costs) -> Iterator[tuple[int, Local]]:
        """Agents in their order with what comes of their local work; on the way its costs are kept."""
        under_way: dict[int, LocalWork] = {}

        def works() -> Iterator[LocalWork]:
            for agent, place in places.items():
                with one_thread():
                    work = self._method.work(place, state.own(agent), self._inbox(agent, state.heard, {}))
                under_way[agent] = work
                yield work

        for (agent, place), result in zip(places.items(), self._cohort.executor.train(works()), strict=True):
            work = under_way.pop(agent)
            costs.flops[agent] = self._cohort.flops(agent, work.program, result.mask, masked=work.mask is not None)
            costs.losses.append(result.loss)
            yield agent, self._method.local(place, state.own(agent), result)

    def _place(self, state: AgentsState, agent: int, pruning_ratio: float) -> Place:
        return Place(
            agent=agent,
            pruning_ratio=pruning_ratio,
            streams=Streams(state.seed, state.round),
            cohort=self._cohort,
            peers=self._peers,
            common=state.common,
        )

    def _inbox(self, agent: int, heard: Row, arrived: Inbox) -> Inbox:
        """What `agent` has from its neighbours: what is remembered of each, else what has arrived."""
        neighbours = self._peers.neighbours(agent)
        if heard:
            return {other: {name: rows[other] for name, rows in heard.items()} for other in neighbours}
        return {other: arrived[other] for other in neighbours if other in arrived}

    def _extra(self, state: AgentsState, costs: Costs) -> dict[str, float]:
        degrees = self._peers.degrees
        return {
            "traffic_unicast_mb": network_bits(costs.uplink_bits, degrees) / 8e6,
            "traffic_broadcast_mb": network_bits(costs.uplink_bits, degrees, broadcast=True) / 8e6,
            **self._method.extra(state, self._cohort),
        }


def _renewed(heard: Row, arrived: Inbox) -> Row:
    """What is remembered of every sender after these messages."""
    renewed = {name: rows.copy() for name, rows in heard.items()}
    for agent, message in arrived.items():
        for name, rows in renewed.items():
            rows[agent] = message[name]
    return renewed


class PeerBased(Protocol):
    """An algorithm that is a `PeerMethod`: demand and training follow from what its `method` says.

    A plug-in that names it as its base has `demand` and `trainer` and writes down fields, checks and `method`.
    """

    @property
    def method(self) -> PeerMethod:
        """The algorithm as what its agents do."""
        ...

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a first round, from the model's shapes alone."""
        return self.method.demand(clients)

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """Training on data divided over `clients` agents with `seed`."""
        return DecentralisedTrainer(self.method, clients=clients, seed=seed, runtime=runtime)
