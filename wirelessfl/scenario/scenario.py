"""Properties that do not change from round to round: the cell and its clients."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from wirelessfl.arrays import PER_CLIENT, Array, PerClient
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.radio.snr_and_rate import thermal_noise_w
from wirelessfl.scenario.link import Link
from wirelessfl.scenario.medium import Medium
from wirelessfl.scenario.processor import Processor

DEADLINE_POLICIES = ("wait", "drop", "late-next-round")
MOST_CLIENTS = 1_000_000
LEAST, MOST = (
    1e-60,
    1e60,
)  # beyond any cell; every product and quotient of a round stays within a float
NEAREST_M, FARTHEST_M = 1e-3, 1e9


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A cell: properties that do not change from round to round.

    `PerClient` fields are one number for all clients or `clients` numbers (kept as a tuple).
    Clients stand at `distance_m` or, when that is not given, evenly spaced over `distance_range_m`.
    `downlink_rate_bps` is what each client receives at, apart from the band of the uplink; when it
    is not given the downlink takes no time, as in the papers. `noise_psd_w_per_hz` makes noise grow
    with a client's share of the band and takes the place of `noise_power_w`, which does not; so
    does `noise_figure_db`, which stands for the density of thermal noise.

    `deadline_policy` is what happens to an update that is late: `wait`, the round waits for it;
    `drop`, it is excluded; `late-next-round`, the round ends at the deadline and the update joins a
    later one (see `Backlog`). `link`, `processor` and `medium` hold the parts of the cell that are
    off by default. Defaults are scenario S of [WFL] (Section IV; distances and cycles calibrated to
    its Table I).
    """

    clients: int = 10
    deadline_s: float = 0.025
    bandwidth_hz: float = 20e6
    noise_power_w: float = 1e-14  # -110 dBm
    transmit_power_w: PerClient = 0.6309573444801932  # 28 dBm
    cpu_hz: PerClient = 3e9
    cycles_per_weight: PerClient = 360.0
    distance_m: PerClient | None = None
    distance_range_m: tuple[float, float] = (160.0, 530.0)
    effective_capacitance: float = 1e-28  # kappa of the CPU energy kappa * cycles * f^2, in J s^2
    deadline_policy: Literal["wait", "drop", "late-next-round"] = "wait"
    downlink_rate_bps: PerClient | None = None
    noise_psd_w_per_hz: float | None = None
    noise_figure_db: float | None = None
    link: Link = field(default_factory=Link)
    processor: Processor = field(default_factory=Processor)
    medium: Medium = field(default_factory=Medium)

    def __post_init__(self) -> None:
        for name in (*PER_CLIENT, "distance_range_m"):
            if isinstance(getattr(self, name), (list, np.ndarray)):
                object.__setattr__(self, name, tuple(np.asarray(getattr(self, name)).tolist()))
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
                f"scenario.{name}", getattr(self, name), above=0, at_least=LEAST, at_most=MOST
            )
        for name in ("downlink_rate_bps", "noise_psd_w_per_hz"):
            if getattr(self, name) is not None:
                check_number(
                    f"scenario.{name}", getattr(self, name), above=0, at_least=LEAST, at_most=MOST
                )
        for name in ("distance_m", "distance_range_m"):
            if getattr(self, name) is not None:
                check_number(
                    f"scenario.{name}",
                    getattr(self, name),
                    above=0,
                    at_least=NEAREST_M,
                    at_most=FARTHEST_M,
                )
        check_number(
            "scenario.effective_capacitance", self.effective_capacitance, at_least=0, at_most=MOST
        )
        check_choice("scenario.deadline_policy", self.deadline_policy, DEADLINE_POLICIES)
        if self.noise_figure_db is not None:
            check_number("scenario.noise_figure_db", self.noise_figure_db, at_least=0)
            if self.noise_psd_w_per_hz is not None:
                raise InputError(
                    "scenario.noise_figure_db and scenario.noise_psd_w_per_hz both say "
                    "how dense the noise is: "
                    f"give one, got {self.noise_figure_db:g} and {self.noise_psd_w_per_hz:g}"
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
        slowest_hz, least_hz = self.per_client("cpu_hz").min(), self.processor.min_cpu_hz
        if self.processor.cpu == "dvfs" and least_hz > slowest_hz:
            raise InputError(
                f"scenario.min_cpu_hz must be at most scenario.cpu_hz, {slowest_hz:g}, "
                f"got {least_hz:g}"
            )

    @property
    def noise_density_w_per_hz(self) -> float | None:
        """Spectral density of the noise; None when its power is fixed, whatever the band
        ([WFL] eq. (13)).
        """
        if self.noise_figure_db is not None:
            return float(thermal_noise_w(1.0, self.noise_figure_db))
        return self.noise_psd_w_per_hz

    def per_client(self, name: str) -> Array:
        """Field `name` as a read-only array of shape (K,); a downlink that takes no time has rate
        inf.
        """
        if name not in self._arrays:
            array = np.array(np.broadcast_to(self._given(name), (self.clients,)))
            array.flags.writeable = False
            self._arrays[name] = array
        return self._arrays[name]

    @cached_property
    def _arrays(self) -> dict[str, Array]:
        """The arrays that `per_client` has made: every round requests the same ones many times."""
        return {}

    def _given(self, name: str) -> Array:
        if name == "distance_m" and self.distance_m is None:
            return np.linspace(*self.distance_range_m, self.clients)
        if name == "downlink_rate_bps" and self.downlink_rate_bps is None:
            return np.asarray(np.inf)
        return np.asarray(getattr(self, name), dtype=np.float64)
