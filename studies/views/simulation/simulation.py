"""Many rounds of a cell without training: latencies, deadline misses and energy."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.report.drops import has_drops, period
from wirelessfl.allocation.history import History
from wirelessfl.border import gate
from wirelessfl.errors import check_number
from wirelessfl.experiment import Experiment
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import check_before_start
from wirelessfl.records.correlated_mean import effective_rounds, standard_error
from wirelessfl.rounds.one_round import first_history, run_round, simulate_round
from wirelessfl.values import Backlog, RoundRecord, RoundTiming

Array = NDArray[np.float64]
PERCENTILES = (5, 50, 95, 99)
FIELDS = (
    "clients",
    "clock_s",
    "round_s",
    "planned_s",
    "latency_s",
    "delivered",
    "earlier",
    "retransmissions",
    "lost",
    "band_utilisation",
    "pruning_ratio",
    "energy_j",
)


@dataclass(frozen=True, eq=False)
class RoundSeen:
    """One round as simulated by its cell.

    Attributes:
        round: Its number, from 1.
        backlog: Late updates at its start.
        timing: Times and trace of the round.
    """

    round: int
    backlog: Backlog
    timing: RoundTiming


@dataclass(frozen=True, eq=False)
class Simulation:
    """The records of N rounds as columns.

    Attributes:
        experiment: The experiment.
        columns: Field -> (N,), or (N, n) for the n participating clients; NaN for null.
        seen: The round whose trace was kept, if any.
    """

    experiment: Experiment
    columns: Mapping[str, Array]
    seen: RoundSeen | None

    @property
    def missed(self) -> NDArray[np.bool_]:
        """True for updates that did not arrive by the deadline, late or lost, (N, n)."""
        return np.asarray(self.columns["delivered"] == 0)

    @property
    def lost(self) -> NDArray[np.bool_]:
        """True for lost updates: the client dropped out or gave up, (N, n)."""
        return np.asarray(self.columns["lost"] == 1)


def simulate(
    experiment: Experiment,
    *,
    seen: int | None = None,
    on_start: Callable[[], None] = lambda: None,
    on_round: Callable[[RoundRecord], None] = lambda record: None,
) -> Simulation:
    """Run channel, allocation and cell for `run.rounds` rounds.

    Args:
        experiment: The experiment.
        seen: The round, from 1, whose trace is kept.
        on_start: Called when the experiment has been checked.
        on_round: Called with the record of each round.

    Returns:
        The records as columns.

    Raises:
        InputError: The experiment cannot start, or a client never finishes.
    """
    demand = gate.first_demand(experiment.algorithm, experiment.scenario.clients)
    check_before_start(experiment, demand)
    on_start()
    trainer = NoTraining(demand)
    clock_s = 0.0
    backlog = Backlog.none(experiment.scenario.clients)
    history = first_history(experiment)
    rows: dict[str, list[Any]] = {name: [] for name in FIELDS}
    kept = None
    for round in range(experiment.run.rounds):
        if round + 1 == seen:
            kept = RoundSeen(seen, backlog, _timing(experiment, trainer, backlog, round, history))
        done = run_round(experiment, trainer, None, backlog, round, clock_s, history)
        backlog, history, record = done.backlog, done.history, done.record
        clock_s = record.clock_s
        for name, row in rows.items():
            row.append(np.asarray(getattr(record, name), dtype=np.float64))
        on_round(record)
    return Simulation(experiment, {name: np.array(row) for name, row in rows.items()}, kept)


def check_round(experiment: Experiment, round: int) -> int:
    """Check that the experiment has this round, counted from 1.

    Args:
        experiment: The experiment.
        round: The number of a round.

    Returns:
        The number.

    Raises:
        InputError: There is no such round.
    """
    check_number("--round", round, at_least=1, at_most=experiment.run.rounds)
    return round


def _timing(
    experiment: Experiment,
    trainer: NoTraining,
    backlog: Backlog,
    round: int,
    history: History | None,
) -> RoundTiming:
    """The cell of one round with its trace, which is not recorded but drawn again."""
    return simulate_round(experiment, trainer.demand(None), backlog, round, history)[2]


def distribution(seconds: Array) -> dict[str, float | None]:
    """Mean, percentiles and maximum.

    Args:
        seconds: Values of any shape; NaN is ignored.

    Returns:
        The statistics by name; None where there are no values.
    """
    values = seconds[~np.isnan(seconds)]
    names = ("mean", *(f"percentile_{percent}" for percent in PERCENTILES), "max")
    if not values.size:
        return dict.fromkeys(names)
    found = (values.mean(), *np.percentile(values, PERCENTILES), values.max())
    return {name: float(value) for name, value in zip(names, found, strict=True)}


def rate_interval(
    happened: NDArray[np.bool_], *, period: int | None = None
) -> tuple[float, float, float]:
    """The rate of an event and its 95 % interval.

    Wilson's score interval (E. B. Wilson 1927, JASA 22) on N K / d trials. The design effect d >= 1
    (L. Kish 1965) is the variance of the mean as the rounds spread over that of N K independent
    trials: clients of one round share its band, and rounds may be correlated (`standard_error`).

    Args:
        happened: Events in N rounds of K clients, (N, K).
        period: Number of rounds after which the channel starts over; it bounds the number of
            trials.

    Returns:
        The rate and the ends of the interval.
    """
    rounds = min(len(happened), period or len(happened))
    rate = float(happened.mean())
    trials = rounds * happened.shape[1]
    independent = rate * (1.0 - rate) / trials
    error = float(standard_error(happened.mean(axis=1), period=period))
    spread = 0.0 if math.isnan(error) else error**2
    count = trials / max(1.0, spread / independent) if independent > 0 else float(trials)
    z = 1.959963984540054  # the standard normal quantile of 97.5 %
    centre = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return rate, max(0.0, centre - half), min(1.0, centre + half)


def summary(found: Simulation) -> dict[str, Any]:
    """The results of a simulation as plain values, as `wirelessfl simulate` prints them."""
    columns = found.columns
    run = found.experiment.run
    scenario = found.experiment.scenario
    repeats = period(found.experiment)
    missed = found.missed
    rate, low, high = rate_interval(missed, period=repeats)
    return {
        "rounds": run.rounds,
        "clients": scenario.clients,
        "participants": run.participants or scenario.clients,
        "seed": run.seed,
        "deadline_s": scenario.deadline_s,
        "deadline_policy": scenario.deadline_policy,
        "clock_s": float(columns["clock_s"][-1]),
        "mean_round_s": float(columns["round_s"].mean()),
        "planned_s": distribution(columns["planned_s"]),
        "latency_s": distribution(columns["latency_s"]),
        "miss_rate": rate,
        "miss_rate_interval": [low, high],
        "effective_rounds": effective_rounds(missed.mean(axis=1), period=repeats),
        "period_rounds": repeats,
        "one_drop": has_drops(found.experiment),
        "lost_per_round": float(found.lost.sum(axis=1).mean()),
        "late_joined_per_round": float(columns["earlier"].sum(axis=1).mean()),
        "retransmissions_per_round": float(columns["retransmissions"].sum(axis=1).mean()),
        "band_utilisation": float(columns["band_utilisation"].mean()),
        "mean_pruning_ratio": float(columns["pruning_ratio"].mean()),
        "energy_per_round_j": float(columns["energy_j"].sum(axis=1).mean()),
        "per_client": [_client(found, int(client)) for client in np.unique(columns["clients"])],
    }


def _client(found: Simulation, client: int) -> dict[str, Any]:
    here = found.columns["clients"] == client
    columns = {name: values[here] for name, values in found.columns.items() if values.ndim == 2}
    return {
        "client": client,
        "planned_s": distribution(columns["planned_s"]),
        "latency_s": distribution(columns["latency_s"]),
        "miss_rate": float(found.missed[here].mean()),
        "lost": int(found.lost[here].sum()),
        "retransmissions": int(columns["retransmissions"].sum()),
        "mean_pruning_ratio": float(columns["pruning_ratio"].mean()),
        "energy_per_round_j": float(columns["energy_j"].mean()),
    }
