"""The only round loop: channel -> allocation -> cell -> training -> record, one direction, every round."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl import cell
from wirelessfl.allocation import Allocation, AllocationProblem, Problem
from wirelessfl.allocation_psd import NoisePsdProblem
from wirelessfl.errors import InputError, check_count, check_number
from wirelessfl.protocols import Algorithm, Allocator, ChannelModel, Trainer
from wirelessfl.records import Checkpoint, RunFolder
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Demand, RoundRecord, RoundTiming, Scenario, StepMetrics


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
    """Scenario, channel (as the server believes it) and demand boiled down to seconds and bits per client, (K,)."""
    common: dict[str, Any] = {
        "deadline_s": scenario.deadline_s,
        "fixed_s": cell.fixed_s(scenario, demand),
        "prunable_s": cell.prunable_s(scenario, demand),
        "upload_bits": demand.prunable_upload_bits,
        "fixed_upload_bits": demand.fixed_upload_bits,
        "max_pruning_ratio": max_pruning_ratio,
        "bandwidth_hz": scenario.bandwidth_hz,
    }
    if scenario.noise_psd_w_per_hz is not None:
        return NoisePsdProblem(snr=cell.full_band_snr(scenario, channel.believed_gain), **common)
    return AllocationProblem(rate_bps=cell.full_band_rate_bps(scenario, channel.believed_gain), **common)


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
    fixed_s = cell.fixed_s(experiment.scenario, demand)
    if np.all(fixed_s > experiment.scenario.deadline_s):
        raise InputError(
            f"scenario.deadline_s must be above {fixed_s.min():g}, the fixed work of the fastest client, "
            f"got {experiment.scenario.deadline_s:g}: no client can meet it"
        )


class NoTraining:
    """A trainer that only asks: for runs of channel, allocation and cell (`run.train = false`)."""

    def __init__(self, demand: Demand) -> None:
        self._demand = demand

    def init(self, seed: int) -> None:
        """Nothing is carried from round to round."""

    def demand(self, state: None) -> Demand:
        """The same every round."""
        return self._demand

    def step(self, state: None, pruning_ratio: Array, delivered: NDArray[np.bool_]) -> tuple[None, StepMetrics]:
        """Count the bits that were asked for; train nothing."""
        kept = 1.0 - pruning_ratio
        bits = np.where(kept > 0, self._demand.fixed_upload_bits + kept * self._demand.prunable_upload_bits, 0.0)
        down = self._demand.fixed_download_bits + kept * self._demand.prunable_download_bits
        return None, StepMetrics(loss=None, uplink_bits=bits, downlink_bits=down, flops=np.zeros_like(kept))

    def evaluate(self, state: None) -> None:
        """Nothing was trained."""

    def pack(self, state: None) -> dict[str, NDArray[Any]]:
        """Nothing to keep."""
        return {}

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Nothing was kept."""

    def close(self) -> None:
        """Nothing to let go of."""


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
    start, clock_s, state = _restore(settings, identity, trainer, folder, notify)
    on_start()
    folder.summary_file.unlink(missing_ok=True)
    for round in range(start, settings.rounds):
        state, record = run_round(experiment, trainer, state, round, clock_s)
        clock_s = record.clock_s
        folder.append(record)
        done = round + 1
        if done % settings.checkpoint_every == 0 or done == settings.rounds:
            folder.save_checkpoint(Checkpoint(done, clock_s, trainer.pack(state), identity))
        on_round(record)
    folder.write_summary(summarise(folder.records()))


def run_round(
    experiment: Experiment, trainer: Trainer | NoTraining, state: Any, round: int, clock_s: float
) -> tuple[Any, RoundRecord]:
    """One round (counted from 0) that starts at `clock_s` simulated seconds: the new state and its record."""
    settings, scenario = experiment.run, experiment.scenario
    demand = trainer.demand(state)
    planned = plan(experiment, demand, round)
    timing = cell.simulate(scenario, planned.channel, demand, planned.allocation)
    if not np.all(np.isfinite(timing.finish_s)):
        client = int(np.argmax(timing.finish_s))
        raise InputError(
            f"round {round + 1}: client {client} never finishes, it has bits to upload and no band or rate"
        )
    used = timing.delivered if scenario.deadline_policy == "drop" else np.ones_like(timing.delivered)
    state, metrics = trainer.step(state, planned.allocation.pruning_ratio, used)
    due = (round + 1) % settings.eval_every == 0 or round + 1 == settings.rounds
    accuracy = trainer.evaluate(state) if due else None
    return state, _record(round + 1, clock_s, planned.allocation, timing, metrics, accuracy)


def _record(
    round: int,
    clock_s: float,
    allocation: Allocation,
    timing: RoundTiming,
    metrics: StepMetrics,
    accuracy: float | None,
) -> RoundRecord:
    return RoundRecord(
        round=round,
        clock_s=clock_s + timing.round_s,
        round_s=timing.round_s,
        loss=metrics.loss,
        accuracy=accuracy,
        bandwidth_fraction=allocation.bandwidth_fraction.tolist(),
        pruning_ratio=allocation.pruning_ratio.tolist(),
        latency_s=timing.finish_s.tolist(),
        delivered=timing.delivered.tolist(),
        uplink_bits=metrics.uplink_bits.tolist(),
        downlink_bits=metrics.downlink_bits.tolist(),
        flops=metrics.flops.tolist(),
        energy_j=timing.energy_j.tolist(),
    )


def _restore(
    settings: RunSettings,
    identity: str,
    trainer: Trainer | NoTraining,
    folder: RunFolder,
    notify: Callable[[str], None],
) -> tuple[int, float, Any]:
    """Round to start with, clock and state: those of the last good checkpoint, else the beginning."""
    checkpoint = folder.last_checkpoint(notify)
    if checkpoint is None:
        if len(folder.records()) > settings.checkpoint_every and not folder.checkpoint_files():
            notify(f"{folder.path} has lost its checkpoints: the run starts over")
        folder.keep_rounds(0)
        return 0, 0.0, trainer.init(settings.seed)
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
    return checkpoint.round, checkpoint.clock_s, trainer.unpack(checkpoint.arrays)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The summary of a run from its records: plain numbers, simulated seconds."""
    accuracies = [record["accuracy"] for record in records if record["accuracy"] is not None]
    ratios = np.array([record["pruning_ratio"] for record in records])
    return {
        "rounds": len(records),
        "clock_s": records[-1]["clock_s"],
        "final_loss": records[-1]["loss"],
        "final_accuracy": accuracies[-1] if accuracies else None,
        "best_accuracy": max(accuracies) if accuracies else None,
        "mean_round_s": float(np.mean([record["round_s"] for record in records])),
        "max_latency_s": float(np.max([record["latency_s"] for record in records])),
        "mean_pruning_ratio": float(ratios.mean()),
        "starved_per_round": float((ratios >= 1.0).sum(axis=1).mean()),
        "late_per_round": float((~np.array([record["delivered"] for record in records])).sum(axis=1).mean()),
        "uplink_bits": float(np.sum([record["uplink_bits"] for record in records])),
        "downlink_bits": float(np.sum([record["downlink_bits"] for record in records])),
        "flops": float(np.sum([record["flops"] for record in records])),
        "energy_j": float(np.sum([record["energy_j"] for record in records])),
    }
