"""Joint problem of band, pruning ratios and CPU frequencies under energy budgets, and its answer.

Per client k, with x = 1 - pruning_ratio the kept fraction, b its fraction of the band, f its CPU
frequency and c = fixed_cycles + x prunable_cycles,

    upload_s  = x upload_bits / (b rate_bps),
    latency_s = fixed_s + x prunable_s + c / f + upload_s,      [WFL] eq. (11)-(17)
    energy_j  = capacitance c f^2 + power_w upload_s.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.allocation.costs import round_energy_j
from wirelessfl.allocation.interface import (
    Array,
    broadcast_fields,
    kept_fraction,
    rows_when_read,
)
from wirelessfl.allocation.problem import AllocationProblem, Problem
from wirelessfl.errors import InputError
from wirelessfl.planning import allocation_problem
from wirelessfl.text import in_full
from wirelessfl.values import ON_TIME, ChannelState, Demand, PerClient, Scenario

ROUNDING = ON_TIME - 1.0  # a limit passed by less than this (relative) is met


@rows_when_read
@dataclass(frozen=True, kw_only=True, eq=False)
class JointProblem:
    """min sum_k weight_k pruning_ratio_k over bands, ratios and cpu_hz in [cpu_min_hz, cpu_max_hz].

    Subject to latency_s <= deadline_s, energy_j <= energy_budget_j, sum_k b_k <= 1 and ratios <=
    max_pruning_ratio. Every field is a number or an array, broadcast to (..., K) float64. The whole
    upload is prunable (no fixed bits).

    Attributes:
        deadline_s: T, seconds, at least 1e-65.
        fixed_cycles: CPU cycles of the work that pruning does not shorten.
        prunable_cycles: CPU cycles that shrink with x.
        upload_bits: Bits that shrink with x.
        rate_bps: Rate over the whole band at `power_w`, bit/s.
        power_w: Transmit power, W, at least 1e-30.
        cpu_min_hz: Lowest CPU frequency, Hz, at least 1e-30.
        cpu_max_hz: Highest CPU frequency, Hz, at least `cpu_min_hz`.
        fixed_s: Seconds that cost the client no energy (a download).
        prunable_s: The same, shrinking with x.
        capacitance: kappa, effective switched capacitance, J s^2.
        energy_budget_j: Joules per round, inf without a budget.
        weight: w, 0 or at least 1e-65.
        max_pruning_ratio: Cap on the ratio within [0, 1].

    Raises:
        InputError: Values outside these ranges, times, bits, rates or weights above 1e65, cycles,
            powers, frequencies, capacitances or finite budgets above 1e30, NaN, or shapes that do
            not broadcast.
    """

    deadline_s: ArrayLike
    fixed_cycles: ArrayLike
    prunable_cycles: ArrayLike
    upload_bits: ArrayLike
    rate_bps: ArrayLike
    power_w: ArrayLike
    cpu_min_hz: ArrayLike
    cpu_max_hz: ArrayLike
    fixed_s: ArrayLike = 0.0
    prunable_s: ArrayLike = 0.0
    capacitance: ArrayLike = 1e-28
    energy_budget_j: ArrayLike = np.inf
    weight: ArrayLike = 1.0
    max_pruning_ratio: ArrayLike = 1.0

    def __post_init__(self) -> None:
        broadcast_fields(self)
        crossed = np.asarray(self.cpu_min_hz) > np.asarray(self.cpu_max_hz)
        if np.any(crossed):
            lowest = np.asarray(self.cpu_min_hz)[crossed][0]
            raise InputError(f"cpu_min_hz must be at most cpu_max_hz, got {in_full(lowest)}")

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        channel: ChannelState,
        demand: Demand,
        *,
        cpu_min_hz: PerClient,
        energy_budget_j: PerClient = np.inf,
        max_pruning_ratio: PerClient = 1.0,
    ) -> "JointProblem":
        """Describe one round of a scenario as a joint problem.

        Args:
            scenario: The cell; its `cpu_hz` is the highest frequency.
            channel: Channel of the round; the gain that the server believes in counts.
            demand: Work and bits of the round, without fixed upload bits.
            cpu_min_hz: Lowest frequency, Hz, one number or one per client.
            energy_budget_j: Joules per round, one number or one per client.
            max_pruning_ratio: Cap on the ratio, one number or one per client.

        Returns:
            The problem, arrays (K,).

        Raises:
            InputError: Fixed upload bits, or a scenario whose noise is given by its density.
        """
        for name in ("noise_psd_w_per_hz", "noise_figure_db"):
            if getattr(scenario, name) is not None:
                raise InputError(
                    f"{name} must not be given for a joint problem, "
                    f"got {in_full(getattr(scenario, name))}"
                )
        problem = allocation_problem(scenario, channel, demand)
        found = cls.of_problem(problem, energy_budget_j=energy_budget_j)
        return replace(found, cpu_min_hz=cpu_min_hz, max_pruning_ratio=max_pruning_ratio)

    @classmethod
    def of_problem(cls, problem: Problem, *, energy_budget_j: ArrayLike = np.inf) -> "JointProblem":
        """Make the CPU frequencies of an allocation problem variables, under energy budgets.

        Args:
            problem: The problem with its `costs`, arrays (..., K).
            energy_budget_j: Joules per round, one number or one per client.

        Returns:
            The joint problem, arrays (..., K).

        Raises:
            InputError: A problem without `costs`, with fixed upload bits, or with noise of a given
                density.
        """
        if problem.costs is None:
            raise InputError("costs must be given for a joint problem, got None")
        if not isinstance(problem, AllocationProblem):
            raise InputError(
                "noise_power_w must be the noise of a joint problem, got noise of a given density"
            )
        most = np.max(problem.fixed_upload_bits)
        if most > 0:
            raise InputError(
                f"fixed_upload_bits must be 0 for a joint problem, got {in_full(most)}"
            )
        costs = problem.costs
        fixed_s = np.asarray(problem.fixed_s) - costs.fixed_cycles / costs.cpu_max_hz
        prunable_s = np.asarray(problem.prunable_s) - costs.prunable_cycles / costs.cpu_max_hz
        return cls(
            deadline_s=problem.deadline_s,
            fixed_cycles=costs.fixed_cycles,
            prunable_cycles=costs.prunable_cycles,
            upload_bits=problem.upload_bits,
            rate_bps=problem.rate_bps,
            power_w=costs.power_w,
            cpu_min_hz=costs.cpu_min_hz,
            cpu_max_hz=costs.cpu_max_hz,
            fixed_s=np.maximum(fixed_s, 0.0),
            prunable_s=np.maximum(prunable_s, 0.0),
            capacitance=costs.capacitance,
            energy_budget_j=energy_budget_j,
            weight=problem.weight,
            max_pruning_ratio=problem.max_pruning_ratio,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (..., K)."""
        return np.shape(self.deadline_s)

    @property
    def upload_s(self) -> Array:
        """Seconds to upload the unpruned bits over the whole band; (..., K), inf at rate 0."""
        bits = np.asarray(self.upload_bits)
        rate_bps = np.asarray(self.rate_bps)
        silent = np.where(bits > 0, np.inf, 0.0)
        return np.where(rate_bps > 0, bits / np.where(rate_bps > 0, rate_bps, 1.0), silent)

    def cycles(self, kept: Array) -> Array:
        """CPU cycles c = fixed_cycles + x prunable_cycles.

        Args:
            kept: Kept fractions x, (..., K).

        Returns:
            Cycles, (..., K).
        """
        return np.asarray(np.asarray(self.fixed_cycles) + kept * np.asarray(self.prunable_cycles))

    def waiting_s(self, kept: Array) -> Array:
        """Seconds fixed_s + x prunable_s, in which a client neither computes nor uploads.

        Args:
            kept: Kept fractions x, (..., K).

        Returns:
            Seconds, (..., K).
        """
        return np.asarray(np.asarray(self.fixed_s) + kept * np.asarray(self.prunable_s))

    def cpu_hz(self, kept: Array, upload_s: Array) -> Array:
        """Lowest, and so cheapest, frequency that meets the deadline, within its bounds.

        Args:
            kept: Kept fractions x, (..., K).
            upload_s: Upload times, seconds, (..., K).

        Returns:
            Hertz, (..., K).
        """
        left_s = np.asarray(self.deadline_s) - self.waiting_s(kept) - upload_s
        needed_hz = np.where(
            left_s > 0, self.cycles(kept) / np.where(left_s > 0, left_s, 1.0), np.inf
        )
        return np.clip(needed_hz, self.cpu_min_hz, self.cpu_max_hz)

    def energy_j(self, kept: Array, upload_s: Array) -> Array:
        """Energy of the round at the frequency `cpu_hz`.

        Args:
            kept: Kept fractions x, (..., K).
            upload_s: Upload times, seconds, (..., K).

        Returns:
            Joules, (..., K).
        """
        hz = self.cpu_hz(kept, upload_s)
        power_w = np.asarray(self.power_w)
        return round_energy_j(
            np.asarray(self.capacitance), hz, self.cycles(kept) / hz, power_w, upload_s
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class JointAllocation:
    """Answer to a `JointProblem`; arrays (..., K) unless noted.

    Prices are derivatives of the objective: more kept weight, or joules saved.

    Attributes:
        problem: The problem.
        bandwidth_fraction: b.
        pruning_ratio: rho.
        upload_s: Upload time, seconds.
        bandwidth_price: Price of the whole band; (...,).
        deadline_price: Price of a second of deadline; (...,).
        energy_price: Price of a joule of each budget.
        duality_gap: Bound on the gain of any other allocation; (...,).
        objective: `kept`: most kept weight sum w x. `energy`: least energy at given ratios.
        exact_kept: x with the digits that 1 - rho loses, None where there are none.
    """

    problem: JointProblem
    bandwidth_fraction: Array
    pruning_ratio: Array
    upload_s: Array
    bandwidth_price: Array
    deadline_price: Array
    energy_price: Array
    duality_gap: Array
    objective: Literal["kept", "energy"] = "kept"
    exact_kept: Array | None = None

    @property
    def kept_fraction(self) -> Array:
        """Kept fraction x = 1 - `pruning_ratio`, with the digits of `exact_kept`; (..., K)."""
        return kept_fraction(self.pruning_ratio, self.exact_kept)

    @property
    def cpu_hz(self) -> Array:
        """Lowest frequency that meets the deadline, Hz; (..., K)."""
        return self.problem.cpu_hz(self.kept_fraction, self.upload_s)

    @property
    def latency_s(self) -> Array:
        """Latency: fixed_s + x prunable_s + c / f + upload_s, seconds; (..., K)."""
        kept = self.kept_fraction
        return (
            self.problem.waiting_s(kept) + self.problem.cycles(kept) / self.cpu_hz + self.upload_s
        )

    @property
    def energy_j(self) -> Array:
        """Energy: capacitance c f^2 + power_w upload_s, joules; (..., K)."""
        return self.problem.energy_j(self.kept_fraction, self.upload_s)

    @property
    def status(self) -> NDArray[np.str_]:
        """Per client `active`, `capped`, `starved`, `unpruned` or `infeasible`; (..., K)."""
        return np.select(
            [
                self._late | self._over_budget | self._over_cap,
                self.pruning_ratio <= 0,
                self._at_cap,
                self.kept_fraction <= 0,
            ],
            ["infeasible", "unpruned", "capped", "starved"],
            "active",
        )

    @property
    def reason(self) -> NDArray[np.str_]:
        """Reason why a client is infeasible, '' for all others; (..., K)."""
        late_ms = 1e3 * (self.latency_s - np.asarray(self.problem.deadline_s))
        missing_j = self.energy_j - np.asarray(self.problem.energy_budget_j)
        found = np.full(self.problem.shape, "", dtype=object)
        for index in zip(*np.nonzero(self.status == "infeasible"), strict=True):
            parts = ["max_pruning_ratio cannot be kept"] if self._over_cap[index] else []
            parts += (
                [f"misses the deadline by {late_ms[index]:.4g} ms"] if self._late[index] else []
            )
            parts += (
                [f"exceeds its energy budget by {missing_j[index]:.4g} J"]
                if self._over_budget[index]
                else []
            )
            found[index] = ", ".join(parts)
        return found.astype(np.str_)

    @property
    def _at_cap(self) -> NDArray[np.bool_]:
        cap = np.asarray(self.problem.max_pruning_ratio)
        return (cap < 1) & (self.pruning_ratio >= cap - ROUNDING)

    @property
    def _over_cap(self) -> NDArray[np.bool_]:
        return self.pruning_ratio > np.asarray(self.problem.max_pruning_ratio) + ROUNDING

    @property
    def _late(self) -> NDArray[np.bool_]:
        return self.latency_s > np.asarray(self.problem.deadline_s) * (1 + ROUNDING)

    @property
    def _over_budget(self) -> NDArray[np.bool_]:
        return self.energy_j > np.asarray(self.problem.energy_budget_j) * (1 + ROUNDING)
