"""The only round loop: channel -> allocation -> cell -> training -> record, one direction, every round."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wirelessfl import cell, formula
from wirelessfl.allocation import Allocation, AllocationProblem, Problem
from wirelessfl.allocation_psd import NoisePsdProblem
from wirelessfl.errors import InputError, check_count, check_number
from wirelessfl.no_training import NoTraining
from wirelessfl.protocols import Algorithm, Allocator, ChannelModel, Trainer
from wirelessfl.records import Checkpoint, RunFolder
from wirelessfl.rng import Streams
from wirelessfl.values import (
    Backlog,
    ChannelState,
    Delivery,
    Demand,
    RoundRecord,
    RoundTiming,
    Scenario,
    StepMetrics,
)


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How long a run goes and what it records; section `run` of a scenario file.

    `train = false` runs channel, allocation and cell only. `device`, `executor` and `workers` say where training
    computes; on a CPU they do not change a run's numbers.
    """

    rounds: int = 50
    seed: int = 0
    eval_every: int = 5
    checkpoint_every: int = 5
    train: bool = True
    device: str = "cpu"
    executor: str = "auto"
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("rounds", "eval_every", "checkpoint_every"):
            check_count(f"run.{name}", getattr(self, name))
        for name in ("seed", "workers"):
            check_count(f"run.{name}", getattr(self, name), at_least=0)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides a run: its values, its plug-ins, its length and seed."""

    scenario: Scenario
    channel: ChannelModel
    allocator: Allocator
    max_pruning_ratio: float = 1.0
    algorithm: Algorithm
    run: RunSettings

    def __post_init__(self) -> None:
        check_number("allocation.max_pruning_ratio", self.max_pruning_ratio, at_least=0, at_most=1)


@dataclass(frozen=True, eq=False)
class PlannedRound:
    """What the server decided in one round, and from what."""

    channel: ChannelState
    problem: Problem
    allocation: Allocation


def allocation_problem(
    scenario: Scenario, channel: ChannelState, demand: Demand, max_pruning_ratio: float = 1.0
) -> Problem:
    """Scenario, channel (as the server believes it) and demand boiled down to seconds and bits per client, (K,).

    Noise of a given density makes a `NoisePsdProblem` for Shannon's rate (the gap divides its SNR).

    **Differs:** with a cap, a table or a waterfall of packet errors the server does not plan with the gain in SNR that
    a smaller share brings: it plans with the goodput per hertz of the whole band, an `AllocationProblem`. Efficiency
    and success only rise with the SNR, so nobody is late for it; what such a plan leaves is time, not lateness.
    """
    common: dict[str, Any] = {
        "deadline_s": scenario.deadline_s,
        "fixed_s": formula.fixed_s(scenario, demand),
        "prunable_s": formula.prunable_s(scenario, demand),
        "upload_bits": demand.prunable_upload_bits,
        "fixed_upload_bits": demand.fixed_upload_bits,
        "max_pruning_ratio": max_pruning_ratio,
        "bandwidth_hz": scenario.bandwidth_hz,
    }
    link = scenario.link
    if scenario.noise_density_w_per_hz is not None and link.is_shannon and link.packet_error != "waterfall":
        snr = formula.full_band_snr(scenario, channel, channel.believed_gain)
        return NoisePsdProblem(snr=snr / link.snr_gap, **common)
    return AllocationProblem(rate_bps=formula.planned_rate_bps(scenario, channel), **common)


def plan(experiment: Experiment, demand: Demand, round: int = 0) -> PlannedRound:
    """Sample the channel of round `round` (from 0) and solve its allocation."""
    channel = experiment.channel.sample(experiment.scenario, Streams(experiment.run.seed, round))
    problem = allocation_problem(experiment.scenario, channel, demand, experiment.max_pruning_ratio)
    allocation = experiment.allocator.solve(problem)
    for name in ("bandwidth_fraction", "pruning_ratio"):
        values = getattr(allocation, name)
        bad = ~((values >= 0) & (values <= 1.0 + 1e-9))
        if bad.any():
            raise InputError(f"allocation.method gave {name} {values[bad][0]:g}, which must be within 0 and 1")
    return PlannedRound(channel, problem, allocation)


def check_feasible(experiment: Experiment, demand: Demand) -> None:
    """Raise `InputError` when no client can meet the deadline however much it prunes."""
    fixed_s = formula.fixed_s(experiment.scenario, demand)
    if np.all(fixed_s > experiment.scenario.deadline_s):
        raise InputError(
            f"scenario.deadline_s must be above {fixed_s.min():g}, the fixed work of the fastest client, "
            f"got {experiment.scenario.deadline_s:g}: no client can meet it"
        )


def run_rounds(
    experiment: Experiment,
    trainer: Trainer | NoTraining,
    folder: RunFolder,
    *,
    identity: str = "",
    on_start: Callable[[], None] = lambda: None,
    on_round: Callable[[RoundRecord], None] = lambda record: None,
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    """Run (or go on with) an experiment in its folder until `run.rounds` rounds are recorded.

    `identity` names the experiment in its checkpoints; a folder whose checkpoints bear another name is refused.
    `on_start` is called once the folder was found good, `on_round` after every new round; `notify` hears what a
    person should know, one line each.
    """
    settings = experiment.run
    start, clock_s, state, backlog = _restore(experiment, identity, trainer, folder, notify)
    on_start()
    folder.summary_file.unlink(missing_ok=True)
    for round in range(start, settings.rounds):
        state, backlog, record = run_round(experiment, trainer, state, backlog, round, clock_s)
        clock_s = record.clock_s
        folder.append(record)
        done = round + 1
        if done % settings.checkpoint_every == 0 or done == settings.rounds:
            folder.save_checkpoint(Checkpoint(done, clock_s, {**trainer.pack(state), **backlog.pack()}, identity))
        on_round(record)
    folder.write_summary(summarise(folder.records()))


def run_round(
    experiment: Experiment, trainer: Trainer | NoTraining, state: Any, backlog: Backlog, round: int, clock_s: float
) -> tuple[Any, Backlog, RoundRecord]:
    """One round (counted from 0) that starts at `clock_s` simulated seconds with a backlog: state, backlog, record."""
    settings, scenario = experiment.run, experiment.scenario
    demand = trainer.demand(state)
    planned = plan(experiment, backlog.on_top_of(demand), round)
    rng = Streams(settings.seed, round)
    timing = cell.simulate(scenario, planned.channel, demand, planned.allocation, rng=rng, backlog=backlog)
    stuck = ~np.isfinite(timing.finish_s) & ~timing.lost & ~timing.backlog.pending  # what is owed may go on later
    if stuck.any():
        raise InputError(
            f"round {round + 1}: client {np.argmax(stuck)} never finishes, it has bits to upload and no band or rate"
        )
    state, metrics = trainer.step(state, planned.allocation.pruning_ratio, delivery(scenario, timing))
    due = (round + 1) % settings.eval_every == 0 or round + 1 == settings.rounds
    accuracy = trainer.evaluate(state) if due else None
    return state, timing.backlog, _record(round + 1, clock_s, planned, timing, metrics, accuracy)


def delivery(scenario: Scenario, timing: RoundTiming) -> Delivery:
    """What the scenario's deadline policy lets the aggregation of a round use."""
    if scenario.deadline_policy == "wait":
        return Delivery.of(~timing.lost)
    if scenario.deadline_policy == "drop":
        return Delivery.of(timing.delivered)
    on_the_way = timing.backlog.pending  # of a client that uploads nothing now: its older update
    return Delivery(now=timing.delivered & ~on_the_way, later=on_the_way, earlier=timing.earlier)


def _record(
    round: int,
    clock_s: float,
    planned: PlannedRound,
    timing: RoundTiming,
    metrics: StepMetrics,
    accuracy: float | None,
) -> RoundRecord:
    allocation = planned.allocation
    return RoundRecord(
        round=round,
        clock_s=clock_s + timing.round_s,
        round_s=timing.round_s,
        loss=metrics.loss,
        accuracy=accuracy,
        bandwidth_fraction=allocation.bandwidth_fraction.tolist(),
        pruning_ratio=allocation.pruning_ratio.tolist(),
        gain=planned.channel.gain.tolist(),
        believed_gain=planned.channel.believed_gain.tolist(),
        planned_s=[_finite(second) for second in allocation.latency_s],
        latency_s=[_finite(second) for second in timing.finish_s],
        delivered=timing.delivered.tolist(),
        earlier=timing.earlier.tolist(),
        retransmissions=timing.retransmissions.tolist(),
        band_utilisation=timing.band_utilisation,
        uplink_bits=metrics.uplink_bits.tolist(),
        downlink_bits=metrics.downlink_bits.tolist(),
        flops=metrics.flops.tolist(),
        energy_j=timing.energy_j.tolist(),
        extra=dict(metrics.extra),
    )


def _finite(second: float) -> float | None:
    return float(second) if np.isfinite(second) else None


def _restore(
    experiment: Experiment,
    identity: str,
    trainer: Trainer | NoTraining,
    folder: RunFolder,
    notify: Callable[[str], None],
) -> tuple[int, float, Any, Backlog]:
    """Round to start with, clock, state and backlog: those of the last good checkpoint, else the beginning."""
    settings = experiment.run
    checkpoint = folder.last_checkpoint(notify)
    if checkpoint is None:
        if len(folder.records()) > settings.checkpoint_every and not folder.checkpoint_files():
            notify(f"{folder.path} has lost its checkpoints: the run starts over")
        folder.keep_rounds(0)
        return 0, 0.0, trainer.init(settings.seed), Backlog.none(experiment.scenario.clients)
    if checkpoint.experiment != identity:
        raise InputError(
            f"{folder.path} is damaged: its checkpoints are of experiment {checkpoint.experiment!r}, "
            f"its experiment.toml is {identity!r}"
        )
    if checkpoint.round > settings.rounds:
        raise InputError(
            f"run.rounds must be at least {checkpoint.round}, the rounds already done, got {settings.rounds}"
        )
    due = checkpoint.round % settings.eval_every == 0 or checkpoint.round == settings.rounds
    folder.keep_rounds(checkpoint.round, evaluated_last=due)
    arrays = dict(checkpoint.arrays)
    backlog = Backlog.unpack(arrays, experiment.scenario.clients)
    return checkpoint.round, checkpoint.clock_s, trainer.unpack(arrays), backlog


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The summary of a run from its records: plain numbers, simulated seconds."""
    accuracies = [record["accuracy"] for record in records if record["accuracy"] is not None]
    latencies = [second for record in records for second in record["latency_s"] if second is not None]
    late = ~np.array([record["delivered"] for record in records])
    ratios = np.array([record["pruning_ratio"] for record in records])
    return {
        "rounds": len(records),
        "clock_s": records[-1]["clock_s"],
        "final_loss": records[-1]["loss"],
        "final_accuracy": accuracies[-1] if accuracies else None,
        "best_accuracy": max(accuracies) if accuracies else None,
        "mean_round_s": float(np.mean([record["round_s"] for record in records])),
        "max_latency_s": float(max(latencies, default=0.0)),
        "mean_pruning_ratio": float(ratios.mean()),
        "starved_per_round": float((ratios >= 1.0).sum(axis=1).mean()),
        "late_per_round": float(late.sum(axis=1).mean()),
        "miss_rate": float(late.mean()),
        "lost_per_round": float(np.mean([record["latency_s"].count(None) for record in records])),
        "retransmissions": int(np.sum([record["retransmissions"] for record in records])),
        "band_utilisation": float(np.mean([record["band_utilisation"] for record in records])),
        "uplink_bits": float(np.sum([record["uplink_bits"] for record in records])),
        "downlink_bits": float(np.sum([record["downlink_bits"] for record in records])),
        "flops": float(np.sum([record["flops"] for record in records])),
        "energy_j": float(np.sum([record["energy_j"] for record in records])),
    }
