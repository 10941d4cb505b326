"""Decentralised training: agents on a graph that keep their own state and hear their neighbours,
without a server.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.clients import ClientPool, RoundCosts
from training.decentralised.method import AgentContext, Inbox, LocalOutcome, PeerMethod
from training.decentralised.neighbours import Peers
from training.decentralised.state import AgentValues, PeerState
from training.engine.program import LocalWork
from training.sparsity.payload import network_bits
from training.torch_settings import one_thread
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics


class PeerTrainer:
    """Training by a `PeerMethod` on data divided over `clients` agents (a
    `wirelessfl.protocols.Trainer`).

    A round is synchronous: all agents work on the state of its beginning, then each sends one
    message to all its neighbours, then all take up what they have heard. Works are made one by one,
    as the executor takes them.
    """

    def __init__(self, method: PeerMethod, *, clients: int, seed: int, runtime: Runtime) -> None:
        self._method, self._peers = method, Peers.of(method.graph, clients, seed)
        self._cohort = ClientPool(
            method.spec(),
            method.task,
            method.nominal_program(),
            clients=clients,
            seed=seed,
            runtime=runtime,
        )

    def init(self, seed: int) -> PeerState:
        """The state before the first round."""
        with one_thread():
            return self._method.start(self._cohort, self._peers, seed)

    def demand(self, state: PeerState) -> Demand:
        """What the round asks of the network: each agent multicasts once; nothing comes down."""
        return self._method.demand(self._cohort.clients, self._cohort.epoch_steps, state)

    def step(
        self, state: PeerState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[PeerState, StepMetrics]:
        """One round of who is here and takes part; the others keep their state, send nothing and
        cost nothing.

        A message that is not delivered is sent and paid for and reaches nobody; a late one reaches
        the neighbours in the round in which it arrives, unless a newer one does.
        """
        ratios = self._cohort.check(pruning_ratio, delivery)
        agents = np.flatnonzero(delivery.participates & self._method.takes_part(ratios)).tolist()
        state = self._method.begin(state, self._cohort, agents)
        places = {agent: self._place(state, agent, float(ratios[agent])) for agent in agents}
        costs, own = RoundCosts(self._cohort.clients), {}
        arrived = {
            agent: message for agent, message in state.late.items() if delivery.arrived_late[agent]
        }
        late = {
            k: message
            for k, message in state.late.items()
            if not (delivery.arrived_late[k] or delivery.on_time[k])
        }
        for agent, local in self._locals(state, places, costs):
            own[agent] = local.own
            costs.uplink_bits[agent] = local.bits
            if local.message is not None and delivery.late[agent]:
                late[agent] = local.message
            if local.message is not None and delivery.on_time[agent]:
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

    def evaluate(self, state: PeerState) -> float:
        """Mean over agents of the accuracy of an agent's model on its test samples."""
        return self._cohort.accuracy(
            lambda agent: self._method.model(state.own(agent), state.common), one_model=False
        )

    def pack(self, state: PeerState) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return state.pack()

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> PeerState:
        """The state that `pack` gave; `InputError` for arrays of another model or number of agents."""
        return PeerState.unpack(arrays, self.init(0))

    def close(self) -> None:
        """End worker processes."""
        self._cohort.close()

    def _locals(
        self, state: PeerState, places: Mapping[int, AgentContext], costs: RoundCosts
    ) -> Iterator[tuple[int, LocalOutcome]]:
        """Agents in their order with what comes of their local work; on the way its costs are kept."""
        under_way: dict[int, LocalWork] = {}

        def works() -> Iterator[LocalWork]:
            for agent, place in places.items():
                with one_thread():
                    work = self._method.work(
                        place, state.own(agent), self._inbox(agent, state.heard, {})
                    )
                under_way[agent] = work
                yield work

        for (agent, place), result in zip(
            places.items(), self._cohort.executor.train(works()), strict=True
        ):
            work = under_way.pop(agent)
            costs.flops[agent] = self._cohort.flops(
                agent, work.program, result.mask, masked=work.mask is not None
            )
            costs.losses.append(result.loss)
            yield agent, self._method.local(place, state.own(agent), result)

    def _place(self, state: PeerState, agent: int, pruning_ratio: float) -> AgentContext:
        return AgentContext(
            agent=agent,
            pruning_ratio=pruning_ratio,
            streams=Streams(state.seed, state.round),
            cohort=self._cohort,
            peers=self._peers,
            common=state.common,
        )

    def _inbox(self, agent: int, heard: AgentValues, arrived: Inbox) -> Inbox:
        """What `agent` has from its neighbours: what is remembered of each, else what has arrived."""
        neighbours = self._peers.neighbours(agent)
        if heard:
            return {
                other: {name: rows[other] for name, rows in heard.items()} for other in neighbours
            }
        return {other: arrived[other] for other in neighbours if other in arrived}

    def _extra(self, state: PeerState, costs: RoundCosts) -> dict[str, float]:
        degrees = self._peers.degrees
        return {
            "traffic_unicast_mb": network_bits(costs.uplink_bits, degrees) / 8e6,
            "traffic_broadcast_mb": network_bits(costs.uplink_bits, degrees, broadcast=True) / 8e6,
            **self._method.extra(state, self._cohort),
        }


def _renewed(heard: AgentValues, arrived: Inbox) -> AgentValues:
    """What is remembered of every sender after these messages."""
    renewed = {name: rows.copy() for name, rows in heard.items()}
    for agent, message in arrived.items():
        for name, rows in renewed.items():
            rows[agent] = message[name]
    return renewed


class PeerBased(Protocol):
    """An algorithm that is a `PeerMethod`: demand and training follow from what its `method` says.

    A plug-in that names it as its base has `demand` and `trainer` and writes down fields, checks
    and `method`.
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
        return PeerTrainer(self.method, clients=clients, seed=seed, runtime=runtime)
