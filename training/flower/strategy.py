"""Strategy of a Flower ServerApp that puts the simulated cell in front of its clients."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector
from training.flower.client import MASK, RATIO
from training.flower.vectors import flat, shaped
from training.sparsity.packing import unpack_mask
from wirelessfl.border.extras import needs_extra
from wirelessfl.errors import InputError, check_count
from wirelessfl.experiment import Experiment
from wirelessfl.planning import PlannedRound
from wirelessfl.rounds.one_round import check_finishes, delivery, simulate_round
from wirelessfl.values import Backlog, Delivery, Demand, RoundTiming

with needs_extra("flower", "training.flower"):
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
    from flwr.serverapp.strategy import FedAvg

BITS = 32.0  # of a value


@dataclass(frozen=True, eq=False)
class WirelessRound:
    """Outcome of a round in the cell.

    Attributes:
        number: Number of the round, from 1.
        clock_s: Simulated time at its end in s.
        pruning_ratio: Ratios of the clients, (K,).
        bandwidth_fraction: Their fractions of the band, (K,).
        latency_s: Time at which each client finishes, (K,).
        delivery: Updates on time, late, and of earlier rounds.
        aggregated: Clients whose update of this or an earlier round was aggregated.
    """

    number: int
    clock_s: float
    pruning_ratio: Any
    bandwidth_fraction: Any
    latency_s: Any
    delivery: Delivery
    aggregated: tuple[int, ...]


Update = tuple[Vector, Mask, float]  # values, kept weights, number of examples


class WirelessStrategy(FedAvg):
    """Federated averaging over a simulated uplink.

    In each round channel model, allocator and cell of an experiment decide which clients take part,
    with which pruning ratio and band, and which updates arrive: late ones are dropped or join a
    later round, by `scenario.deadline_policy`. Weights are averaged over their holders, weighted by
    the number of examples. The client's side is `training.flower.client.pruning_mod`; without it
    clients send whole models. The i-th node, in the order of their identifiers, is client i.

    Args:
        experiment: Scenario, channel model, allocator, seed and participants; its algorithm is
            without effect.
        local_steps: Mini-batch steps of a client in a round, for the computation of the demand.
        demand: Weight updates and bits of a round, (K,); None: computed from the number of weights,
            all of which can be pruned, with a bitmap as fixed bits.
        on_round: Called with the outcome of each round.
        **options: Options of `flwr.serverapp.strategy.FedAvg`.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        local_steps: int = 1,
        demand: Demand | None = None,
        on_round: Callable[[WirelessRound], None] = lambda outcome: None,
        **options: Any,
    ) -> None:
        check_count("local_steps", local_steps)
        clients = experiment.scenario.clients
        super().__init__(**{"min_available_nodes": clients, **options})
        self._experiment = experiment
        self._local_steps = local_steps
        self._demand = demand
        self._on_round = on_round
        self._clock_s = 0.0
        self._backlog = Backlog.none(clients)
        self._pending: dict[int, Update] = {}

    def configure_train(
        self, server_round: int, arrays: Any, config: Any, grid: Any
    ) -> Iterable[Any]:
        """Simulate the round, and send the model to the clients that take part.

        Args:
            server_round: Number of the round, from 1.
            arrays: The global model.
            config: Configuration of the round.
            grid: The nodes.

        Returns:
            One message for each client with a band.

        Raises:
            InputError: There are fewer nodes than clients, or a client can never finish.
        """
        scenario = self._experiment.scenario
        nodes = sorted(grid.get_node_ids())[: scenario.clients]
        if len(nodes) < scenario.clients:
            raise InputError(
                f"scenario.clients must be at most the number of nodes {len(nodes)}, "
                f"got {scenario.clients}"
            )
        self._global = arrays
        self._clients = {node: client for client, node in enumerate(nodes)}
        demand = self._demand or self._computed_demand(flat(arrays.to_numpy_ndarrays()).size)
        participates, planned, timing = simulate_round(
            self._experiment, demand, self._backlog, server_round - 1
        )
        check_finishes(scenario, planned, timing, server_round - 1)
        self._backlog = timing.backlog.where(self._backlog, participates)
        self._delivery = delivery(scenario, timing, participates)
        self._planned: PlannedRound = planned
        self._timing: RoundTiming = timing
        ratios = planned.allocation.pruning_ratio
        sent = []  # a list: the grid of a deployment goes through it twice
        for node, client in self._clients.items():
            if participates[client] and ratios[client] < 1:
                own = {**config, "server-round": server_round, RATIO: float(ratios[client])}
                content = {self.arrayrecord_key: arrays, self.configrecord_key: ConfigRecord(own)}
                sent.append(
                    Message(
                        content=RecordDict(content),
                        message_type=MessageType.TRAIN,
                        dst_node_id=node,
                    )
                )
        return sent

    def aggregate_train(self, server_round: int, replies: Iterable[Any]) -> tuple[Any, Any]:
        """Average the updates that have arrived.

        Args:
            server_round: Number of the round, from 1.
            replies: Replies of the clients.

        Returns:
            The global model, and the mean metrics of the clients that arrived on time.
        """
        valid, _ = self._check_and_log_replies(replies, is_train=True, validate=False)
        found = {self._clients[one.metadata.src_node_id]: one for one in valid}
        arrived: dict[int, Update] = {}
        told = self._delivery
        for client in np.flatnonzero(told.arrived_late).tolist():
            if client in self._pending:
                arrived[client] = self._pending.pop(client)
        for client in sorted(found):
            if told.on_time[client]:
                arrived[client] = self._update(found[client])
            elif told.late[client]:
                self._pending[client] = self._update(found[client])
        before = self._global.to_numpy_ndarrays()
        updates = (arrived[client] for client in sorted(arrived))
        after = shaped(weighted_mean_over_holders(flat(before), updates), before)
        self._clock_s += self._timing.round_s
        allocation = self._planned.allocation
        self._on_round(
            WirelessRound(
                server_round,
                self._clock_s,
                allocation.pruning_ratio,
                allocation.bandwidth_fraction,
                self._timing.finish_s,
                told,
                tuple(sorted(arrived)),
            )
        )
        record = ArrayRecord(
            {name: Array(one) for name, one in zip(self._global, after, strict=True)}
        )
        return record, self._metrics([found[one] for one in sorted(found) if told.on_time[one]])

    def _computed_demand(self, size: int) -> Demand:
        return Demand.same_for_all(
            self._experiment.scenario.clients,
            fixed_updates=0.0,
            prunable_updates=float(self._local_steps * size),
            fixed_upload_bits=float(size),
            prunable_upload_bits=BITS * size,
        )

    def _update(self, reply: Any) -> Update:
        vector = flat(reply.content[self.arrayrecord_key].to_numpy_ndarrays())
        mask = np.ones(vector.size, dtype=np.bool_)
        if MASK in reply.content:
            mask = unpack_mask(reply.content[MASK]["bits"].numpy().tobytes(), vector.size)
        metrics = next(iter(reply.content.metric_records.values()))
        return vector, mask, float(metrics[self.weighted_by_key])

    def _metrics(self, replies: list[Any]) -> Any:
        if not replies:
            return None
        contents = [RecordDict(dict(one.content.metric_records)) for one in replies]
        return self.train_metrics_aggr_fn(contents, self.weighted_by_key)
