"""Band, pruning ratios and CPU frequencies together, under a deadline and energy budgets: the
problem and its answer.

Per client k, with x = 1 - pruning_ratio the kept fraction, b its fraction of the band, f its CPU
frequency and c = fixed_cycles + x prunable_cycles,

    upload_s  = x upload_bits / (b rate_bps),
    latency_s = fixed_s + x prunable_s + c / f + upload_s,      [WFL] eq. (11)-(17)
    energy_j  = capacitance c f^2 + power_w upload_s.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.allocation.interface import Array, broadcast_fields, kept_fraction
from wirelessfl.cell import closed_form as formula
from wirelessfl.errors import InputError
from wirelessfl.values import ON_TIME, ChannelState, Demand, PerClient, Scenario

ROUNDING = ON_TIME - 1.0  # a limit passed by less than this (relative) is met


@dataclass(frozen=True, kw_only=True, eq=False)
class JointProblem:
    """min sum_k weight_k pruning_ratio_k over bands, ratios and cpu_hz in [cpu_min_hz, cpu_max_hz].

    Subject to latency_s <= deadline_s, energy_j <= energy_budget_j, sum_k b_k <= 1, ratios <=
    max_pruning_ratio. Every field is broadcast to (..., K) float64; SI units; `rate_bps` is the
    rate over the whole band at transmit power `power_w`, `capacitance` is kappa in J s^2; `fixed_s`
    and `prunable_s` are seconds that cost the client no energy (a download). The whole upload is
    prunable (no fixed bits).

    Raises `InputError` for values that are negative or not finite (a budget may be inf), a
    deadline, power or frequency of 0, cpu_min_hz > cpu_max_hz, a cap outside [0, 1], shapes that do
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
            raise InputError(f"cpu_min_hz must be at most cpu_max_hz, got {lowest:g}")

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
        """The problem of one round; `scenario.cpu_hz` is the highest frequency, the gain is the
        believed one.

        Raises `InputError` for fixed upload bits and for a scenario whose noise is given by its
        density.
        """
        if np.any(demand.fixed_upload_bits):
            most = np.max(demand.fixed_upload_bits)
            raise InputError(f"fixed_upload_bits must be 0 for a joint problem, got {most:g}")
        cycles_per_weight = scenario.per_client("cycles_per_weight")
        for name in ("noise_psd_w_per_hz", "noise_figure_db"):
            if getattr(scenario, name) is not None:
                raise InputError(
                    f"{name} must not be given for a joint problem, got {getattr(scenario, name):g}"
                )
        return cls(
            deadline_s=scenario.deadline_s,
            fixed_cycles=cycles_per_weight * demand.fixed_updates,
            prunable_cycles=cycles_per_weight * demand.prunable_updates,
            upload_bits=demand.prunable_upload_bits,
            rate_bps=formula.planned_rate_bps(scenario, channel),
            power_w=formula.transmit_power_w(scenario, channel),
            cpu_min_hz=cpu_min_hz,
            cpu_max_hz=scenario.per_client("cpu_hz"),
            fixed_s=formula.fixed_download_s(scenario, demand),
            prunable_s=formula.prunable_download_s(scenario, demand),
            capacitance=scenario.effective_capacitance,
            energy_budget_j=energy_budget_j,
            max_pruning_ratio=max_pruning_ratio,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., K)."""
        return np.shape(self.deadline_s)

    @property
    def upload_s(self) -> Array:
        """Seconds to upload the unpruned bits over the whole band; (..., K), inf at rate 0."""
        bits, rate_bps = np.asarray(self.upload_bits), np.asarray(self.rate_bps)
        silent = np.where(bits > 0, np.inf, 0.0)
        return np.where(rate_bps > 0, bits / np.where(rate_bps > 0, rate_bps, 1.0), silent)

    def cycles(self, kept: Array) -> Array:
        """c = fixed_cycles + x prunable_cycles; (..., K)."""
        return np.asarray(self.fixed_cycles) + kept * np.asarray(self.prunable_cycles)

    def waiting_s(self, kept: Array) -> Array:
        """fixed_s + x prunable_s, in which a client neither computes nor uploads; (..., K)."""
        return np.asarray(self.fixed_s) + kept * np.asarray(self.prunable_s)

    def cpu_hz(self, kept: Array, upload_s: Array) -> Array:
        """The lowest, and so the cheapest, frequency that meets the deadline; within its bounds,
        (..., K).
        """
        left_s = np.asarray(self.deadline_s) - self.waiting_s(kept) - upload_s
        needed_hz = np.where(
            left_s > 0, self.cycles(kept) / np.where(left_s > 0, left_s, 1.0), np.inf
        )
        return np.clip(needed_hz, self.cpu_min_hz, self.cpu_max_hz)


@dataclass(frozen=True, kw_only=True, eq=False)
class JointAllocation:
    """The answer to a `JointProblem`; arrays of shape (..., K), `bandwidth_price` and the like
    (...,).

    Prices say how much more of the `objective` (sum w x kept, or joules saved) one whole band, one
    second of deadline, one joule of a client's budget would bring. `duality_gap` bounds what any
    other allocation could gain. `exact_kept` has the digits of x that 1 - `pruning_ratio` loses.
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
        """x = 1 - `pruning_ratio`, to full relative precision where `exact_kept` agrees with it."""
        return kept_fraction(self.pruning_ratio, self.exact_kept)

    @property
    def cpu_hz(self) -> Array:
        """The lowest frequency that meets the deadline."""
        return self.problem.cpu_hz(self.kept_fraction, self.upload_s)

    @property
    def latency_s(self) -> Array:
        """fixed_s + x prunable_s + c / f + upload_s."""
        kept = self.kept_fraction
        return (
            self.problem.waiting_s(kept) + self.problem.cycles(kept) / self.cpu_hz + self.upload_s
        )

    @property
    def energy_j(self) -> Array:
        """capacitance c f^2 + power_w upload_s."""
        cpu_j = (
            np.asarray(self.problem.capacitance)
            * self.problem.cycles(self.kept_fraction)
            * self.cpu_hz**2
        )
        return cpu_j + np.asarray(self.problem.power_w) * self.upload_s

    @property
    def status(self) -> NDArray[np.str_]:
        """Per client `active`, `capped`, `starved`, `unpruned` or `infeasible`."""
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
        """Why a client is infeasible, '' where it is not."""
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
