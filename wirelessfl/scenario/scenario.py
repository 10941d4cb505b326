"""Scenario of a run: the cell and its clients, constant over all rounds."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from wirelessfl.arrays import PER_CLIENT, Array, Spreadable
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.radio.snr_and_rate import thermal_noise_w
from wirelessfl.rng import Streams
from wirelessfl.scenario.link import Link
from wirelessfl.scenario.medium import Medium
from wirelessfl.scenario.processor import Processor
from wirelessfl.scenario.spread import Spread
from wirelessfl.text import in_full

DEADLINE_POLICIES = ("wait", "drop", "late-next-round")
MOST_CLIENTS = 1_000_000
# Limits beyond any cell, within which every product and quotient of a round stays within a float.
LEAST = 1e-60
MOST = 1e60
NEAREST_M = 1e-3
FARTHEST_M = 1e9


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A cell and its clients, constant over all rounds; section `scenario` of a scenario file.

    `Spreadable` fields are one number for all clients, `clients` numbers (kept as a tuple), or the
    text of a range or distribution, such as `uniform(1GHz, 3GHz)` (see `Spread`), whose values are
    drawn once per run.
    Defaults are scenario S of [WFL] (Section IV; distances and cycles calibrated to its Table I).
    Values above 0 lie between 1e-60 and 1e60 unless stated otherwise, so that every product and
    quotient of a round stays within a float.

    Attributes:
        clients: Number K of clients; from 1 to 1,000,000.
        deadline_s: Deadline of a round (the latency threshold of [WFL]) in s; above 0.
        bandwidth_hz: Bandwidth B of the uplink that all clients divide, in Hz; above 0.
        noise_power_w: Noise power in W, independent of a client's fraction of the band ([WFL] eq.
            (13)); above 0; the default is -110 dBm. Without effect where a noise density is given.
        transmit_power_w: Transmit power of each client in W; above 0; the default is 28 dBm.
        cpu_hz: CPU frequency of each client in Hz; above 0.
        cycles_per_weight: CPU cycles of one update of one weight; above 0.
        distance_m: Distance of each client from the server in m; from 1e-3 to 1e9. Not set: evenly
            spaced over `distance_range_m`.
        distance_range_m: Nearest and farthest distance in m of clients without `distance_m`; from
            1e-3 to 1e9, in this order.
        effective_capacitance: kappa of the CPU energy kappa cycles f^2, in J s^2; from 0 to 1e60.
        deadline_policy: Treatment of late updates. wait: the round ends with the last client; drop:
            late updates are discarded; late-next-round: the round ends at the deadline and a late
            update joins a later round (see `Backlog`).
        downlink_rate_bps: Rate in bit/s at which each client receives, apart from the band of the
            uplink; above 0. Not set: the downlink takes no time, as in the papers.
        noise_psd_w_per_hz: Noise power spectral density N0 in W/Hz, with which the noise grows with
            a client's fraction of the band; above 0; replaces `noise_power_w`. Not set: fixed noise
            power.
        noise_figure_db: Noise figure in dB over thermal noise of -174 dBm/Hz, another way to give
            the noise density; at least 0; excludes `noise_psd_w_per_hz`. Not set: none.
        weight: Weight of each client's kept fraction in the objective of the allocation; 0, or from
            1e-60 to 1e60.
        seed: Seed of the values that are drawn from distributions; at least 0. Not set: `run.seed`.
        link: Rate model, packet errors and transmit power control.
        processor: Frequency scaling and background load of the clients' CPUs.
        medium: Use of the band over time, dropouts and downlink broadcast.

    Raises:
        InputError: A value is outside its limits, a per-client field has another number of values
            than `clients`, or two fields contradict each other.
    """

    clients: int = 10
    deadline_s: float = 0.025
    bandwidth_hz: float = 20e6
    noise_power_w: float = 1e-14
    transmit_power_w: Spreadable = 0.6309573444801932
    cpu_hz: Spreadable = 3e9
    cycles_per_weight: Spreadable = 360.0
    distance_m: Spreadable | None = None
    distance_range_m: tuple[float, float] = (160.0, 530.0)
    effective_capacitance: float = 1e-28
    deadline_policy: Literal["wait", "drop", "late-next-round"] = "wait"
    downlink_rate_bps: Spreadable | None = None
    noise_psd_w_per_hz: float | None = None
    noise_figure_db: float | None = None
    weight: Spreadable = 1.0
    seed: int | None = None
    link: Link = field(default_factory=Link)
    processor: Processor = field(default_factory=Processor)
    medium: Medium = field(default_factory=Medium)
    _run_seed: ClassVar[int] = 0  # of a scenario without an experiment

    def __post_init__(self) -> None:
        for name in (*PER_CLIENT, "distance_range_m"):
            if isinstance(getattr(self, name), (list, np.ndarray)):
                object.__setattr__(self, name, tuple(np.asarray(getattr(self, name)).tolist()))
            if isinstance(getattr(self, name), str):
                spread = Spread.parse(f"scenario.{name}", getattr(self, name))
                object.__setattr__(self, name, spread.text)
        if self.seed is not None:
            check_count("scenario.seed", self.seed, at_least=0)
        check_count("scenario.clients", self.clients)
        check_number("scenario.clients", self.clients, at_most=MOST_CLIENTS)
        for name in (
            "deadline_s",
            "bandwidth_hz",
            "noise_power_w",
            "transmit_power_w",
            "cpu_hz",
            "cycles_per_weight",
        ):
            check_number(
                f"scenario.{name}", self._ends(name), above=0, at_least=LEAST, at_most=MOST
            )
        for name in ("downlink_rate_bps", "noise_psd_w_per_hz"):
            if getattr(self, name) is not None:
                check_number(
                    f"scenario.{name}", self._ends(name), above=0, at_least=LEAST, at_most=MOST
                )
        for name in ("distance_m", "distance_range_m"):
            if getattr(self, name) is not None:
                check_number(
                    f"scenario.{name}",
                    self._ends(name),
                    above=0,
                    at_least=NEAREST_M,
                    at_most=FARTHEST_M,
                )
        _check_weight(self._ends("weight"))
        check_number(
            "scenario.effective_capacitance", self.effective_capacitance, at_least=0, at_most=MOST
        )
        check_choice("scenario.deadline_policy", self.deadline_policy, DEADLINE_POLICIES)
        if self.noise_figure_db is not None:
            check_number("scenario.noise_figure_db", self.noise_figure_db, at_least=0, at_most=300)
            if self.noise_psd_w_per_hz is not None:
                raise InputError(
                    "scenario.noise_figure_db and scenario.noise_psd_w_per_hz both say "
                    "how dense the noise is: "
                    f"give one, got {in_full(self.noise_figure_db)} "
                    f"and {in_full(self.noise_psd_w_per_hz)}"
                )
        if len(self.distance_range_m) != 2 or self.distance_range_m[0] > self.distance_range_m[1]:
            raise InputError(
                "scenario.distance_range_m must be (nearest, farthest), "
                f"got {self.distance_range_m}"
            )
        for name in PER_CLIENT:
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.clients:
                raise InputError(
                    f"scenario.{name} must hold {self.clients} values (scenario.clients), "
                    f"got {len(value)}"
                )
        slowest_hz = float(np.min(self._ends("cpu_hz")))
        least_hz = self.processor.min_cpu_hz
        if self.processor.cpu == "dvfs" and least_hz > slowest_hz:
            raise InputError(
                f"scenario.min_cpu_hz must be at most scenario.cpu_hz, {in_full(slowest_hz)}, "
                f"got {in_full(least_hz)}"
            )

    @property
    def noise_density_w_per_hz(self) -> float | None:
        """Power spectral density of the noise in W/Hz.

        None when the noise power is fixed, whatever the band ([WFL] eq. (13)).
        """
        if self.noise_figure_db is not None:
            return float(thermal_noise_w(1.0, self.noise_figure_db))
        return self.noise_psd_w_per_hz

    def seeded(self, seed: int) -> "Scenario":
        """The scenario with the values that are drawn from distributions in a run.

        Args:
            seed: Seed of the run, used unless the scenario has one of its own.

        Returns:
            The scenario; unchanged without distributions.
        """
        if not self.draws_values or self.seed is not None:
            return self
        seeded = replace(self)
        object.__setattr__(seeded, "_run_seed", seed)  # no field: it is that of section run
        return seeded

    @property
    def draws_values(self) -> bool:
        """True if a field is given as a range or distribution."""
        return any(isinstance(getattr(self, name), str) for name in PER_CLIENT)

    def per_client(self, name: str) -> Array:
        """Values of a `Spreadable` field.

        Args:
            name: Name of the field.

        Returns:
            A read-only array of shape (K,), in the unit of the field; a downlink that takes no time
            has rate inf.
        """
        if name not in self._arrays:
            array = np.array(np.broadcast_to(self._given(name), (self.clients,)))
            array.flags.writeable = False
            self._arrays[name] = array
        return self._arrays[name]

    @cached_property
    def _arrays(self) -> dict[str, Array]:
        """Cache of `per_client`: every round asks for the same arrays many times."""
        return {}

    def _given(self, name: str) -> Array:
        if name == "distance_m" and self.distance_m is None:
            return np.linspace(*self.distance_range_m, self.clients)
        if name == "downlink_rate_bps" and self.downlink_rate_bps is None:
            return np.asarray(np.inf)
        value = getattr(self, name)
        if isinstance(value, str):
            seed = self._run_seed if self.seed is None else self.seed
            rng = Streams(seed).generator(f"scenario/{name}")
            return Spread.parse(f"scenario.{name}", value).values(self.clients, rng)
        return np.asarray(value, dtype=np.float64)

    def _ends(self, name: str) -> float | tuple[float, ...]:
        """The values of a field, or the ends of their range or distribution."""
        value = getattr(self, name)
        found: float | tuple[float, ...] = value
        return Spread.parse(f"scenario.{name}", value).ends if isinstance(value, str) else found


def _check_weight(weight: Any) -> None:
    check_number("scenario.weight", weight, at_least=0, at_most=MOST)
    tiny = [value for value in np.ravel(weight) if 0 < value < LEAST]
    if tiny:
        raise InputError(f"scenario.weight must be 0 or at least {LEAST:g}, got {tiny[0]:g}")
    if not np.any(np.asarray(weight) > 0):
        raise InputError("scenario.weight must be above 0 for at least one client, got 0")
