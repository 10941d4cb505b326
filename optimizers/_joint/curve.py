"""Upload time that deadline and energy budget leave to a client, and the band it requires.

A client that keeps x computes c = c0 + c1 x cycles at f hertz and uploads for tau seconds at p
watt, in T seconds: the deadline less `waiting_s`, so T and c are linear in x. The lowest f is the
cheapest, so f = max(f_min, c / (T - tau)), and deadline, f <= f_max and energy leave

    tau*(x) = max tau  subject to  c <= f_max (T - tau),
                                   kappa max(c f_min^2, c^3 / (T - tau)^2) + p tau <= E,

concave and decreasing, because c^3 / t^2 is jointly convex. It is the least of three bounds:
T - c / f_max; the line (E - kappa c f_min^2) / p; and T - t with kappa c^3 / t^2 + p (T - t) = E, a
convex and decreasing function of t. The band b(x) = s x / tau*(x), s the upload time over the whole
band, is therefore convex and increasing:

    b'' tau^3 / s = -2 tau tau' - x tau tau'' + 2 x tau'^2 >= 0.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optimizers._joint.problem import JointProblem
from optimizers._waterfilling.root_finding import bracket
from wirelessfl.allocation.compiled import Compiled, numba_is_there
from wirelessfl.allocation.problem import Array
from wirelessfl.allocation.ranges import TABLE_WITHIN

_MOST_KEPT = Compiled("optimizers._joint.compiled", "most_kept")
_UPLOADS = Compiled("optimizers._joint.compiled", "uploads", TABLE_WITHIN)
_MAX_STEPS = 60  # Newton's method needs about 6


@dataclass(frozen=True, eq=False)
class Upload:
    """Longest upload tau*(x) and its derivatives; arrays (..., K).

    Attributes:
        time_s: tau*, seconds; negative where x cannot be kept at all.
        by_kept: Derivative by x, seconds.
        by_deadline: Derivative by the deadline, without unit.
        by_energy: Derivative by the energy budget, s/J.
    """

    time_s: Array
    by_kept: Array
    by_deadline: Array
    by_energy: Array


@dataclass(frozen=True, eq=False)
class JointCurve:
    """Band that keeping x requires of each client; arrays (..., K).

    Attributes:
        problem: The joint problem.
        compiled: Whether uploads are computed by compiled code if numba is installed. Certificates
            use arrays.
    """

    problem: JointProblem
    compiled: bool = True

    @cached_property
    def whole_band_s(self) -> Array:
        """Seconds s to upload the unpruned bits over the whole band; 0 without a rate; (..., K)."""
        return np.where(self.problem.upload_s < np.inf, self.problem.upload_s, 0.0)

    @cached_property
    def excluded(self) -> NDArray[np.bool_]:
        """Clients whose fixed work alone misses the deadline or the energy budget."""
        return self.upload(np.zeros(self.problem.shape)).time_s < 0

    @cached_property
    def most(self) -> Array:
        """The largest kept fraction with the whole band: 1, or the root of tau*(x) = s x."""
        entry_s = np.maximum(self.upload(np.zeros(self.problem.shape)).time_s, 0.0)
        blocked = (self.problem.upload_s == np.inf) | self.excluded
        scale = np.where(blocked, 0.0, 1.0)
        loaded = ~blocked & (self.whole_band_s > entry_s)
        scale = np.where(loaded, entry_s / np.where(loaded, self.whole_band_s, 1.0), scale)
        if numba_is_there():
            most = np.empty_like(scale)
            _MOST_KEPT.load()(self.clients.reshape(-1, 11), scale.reshape(-1), most.reshape(-1))
            return most
        share, _ = bracket(
            lambda z: self._room_s(z * scale), np.zeros_like(scale), np.ones_like(scale)
        )
        return share * scale

    @cached_property
    def clients(self) -> Array:
        """Coefficients that compiled code reads, one client in each row; (..., K, 11)."""
        p = self.problem
        weight = np.asarray(p.weight)
        return np.stack(
            [
                np.asarray(p.deadline_s) - np.asarray(p.fixed_s),
                p.prunable_s,
                p.fixed_cycles,
                p.prunable_cycles,
                p.cpu_min_hz,
                p.cpu_max_hz,
                p.capacitance,
                p.energy_budget_j,
                p.power_w,
                self.whole_band_s,
                np.where(weight > 0, weight, 1.0),
            ],
            axis=-1,
        )

    def _room_s(self, kept: Array) -> Array:
        return self.upload(kept).time_s - self.whole_band_s * kept

    def band(self, kept: Array) -> Array:
        """Band b(x) = s x / tau*(x).

        Args:
            kept: Kept fractions, (..., K).

        Returns:
            Fractions of the band, (..., K); 0 for clients that upload nothing.
        """
        bits_s = self.whole_band_s * kept
        return np.where(
            bits_s > 0, bits_s / np.where(bits_s > 0, self.upload(kept).time_s, 1.0), 0.0
        )

    def slope(self, kept: Array) -> Array:
        """Derivative b'(x) = (s / tau) (1 - x tau' / tau).

        Args:
            kept: Kept fractions below the one at which tau* = 0, (..., K).

        Returns:
            Band per kept fraction, (..., K).
        """
        upload = self.upload(kept)
        time_s = np.where(upload.time_s > 0, upload.time_s, 1.0)
        return self.whole_band_s / time_s * (1.0 - kept * upload.by_kept / time_s)

    def upload(self, kept: Array) -> Upload:
        """Longest upload that deadline and energy budget leave.

        Args:
            kept: Kept fractions, (..., K).

        Returns:
            tau*(x) and its derivatives.
        """
        if self.compiled and numba_is_there():
            found = np.empty((4, *kept.shape))
            flat = np.ascontiguousarray(kept).reshape(-1)
            _UPLOADS.load()(self.clients.reshape(-1, 11), flat, found.reshape(4, -1))
            return Upload(*found)
        p = self.problem
        power_w, budget_j, kappa = (
            np.asarray(a) for a in (p.power_w, p.energy_budget_j, p.capacitance)
        )
        room_s = np.asarray(p.deadline_s) - p.waiting_s(kept)
        cycles = p.cycles(kept)
        # joules per cycle at f_min
        slow_j = kappa * np.asarray(p.cpu_min_hz) ** 2
        fastest_hz = np.asarray(p.cpu_max_hz)
        at_speed_s = room_s - cycles / fastest_hz
        at_energy_s = (budget_j - slow_j * cycles) / power_w
        linear_s = np.minimum(at_speed_s, at_energy_s)
        compute_s, curved = self._compute_s(room_s, room_s - linear_s, cycles)
        speed_bound = ~curved & (at_speed_s <= at_energy_s)
        effort_j = (
            kappa * np.where(curved, cycles / np.where(curved, compute_s, 1.0), 0.0) ** 2
        )  # per cycle
        stiffness_w = 2.0 * effort_j * cycles / np.where(curved, compute_s, 1.0)
        by_cycles = np.where(speed_bound, -1.0 / fastest_hz, -slow_j / power_w)
        by_cycles = np.where(curved, -3.0 * effort_j / (stiffness_w + power_w), by_cycles)
        by_deadline = np.where(speed_bound, 1.0, stiffness_w / (stiffness_w + power_w))
        return Upload(
            time_s=np.where(curved, room_s - compute_s, linear_s),
            by_kept=np.asarray(p.prunable_cycles) * by_cycles
            - np.asarray(p.prunable_s) * by_deadline,
            by_deadline=by_deadline,
            by_energy=np.where(speed_bound, 0.0, 1.0 / (stiffness_w + power_w)),
        )

    def _compute_s(
        self, room_s: Array, least_s: Array, cycles: Array
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Least seconds t >= `least_s` of computing that the budget allows, and where it binds.

        The condition is kappa c^3 / t^2 + p (room - t) <= E. Newton's method climbs from the left
        of the root of a convex decreasing function. The start is the time in which computing alone
        would use the entire budget: it is below the root unless the root is beyond `room_s`.
        """
        power_w = np.asarray(self.problem.power_w)
        budget_j = np.asarray(self.problem.energy_budget_j)
        work = np.asarray(self.problem.capacitance) * cycles * cycles * cycles
        safe_s = np.where(work > 0, least_s, 1.0)
        curved = (work > 0) & (work / safe_s**2 + power_w * (room_s - safe_s) > budget_j)
        in_time = (room_s > 0) & (work < budget_j * room_s**2)
        alone_s = np.where(in_time, np.sqrt(work / np.where(in_time, budget_j, 1.0)), room_s)
        time_s = np.where(curved, np.maximum(safe_s, alone_s), 1.0)
        work = np.where(curved, work, 0.0)
        budget_j = np.where(curved, budget_j, 0.0)
        for _ in range(_MAX_STEPS):
            effort_j = work / time_s**2
            over_j = effort_j + power_w * (room_s - time_s) - budget_j
            step_s = np.where(
                curved, np.maximum(over_j, 0.0) / (2.0 * effort_j / time_s + power_w), 0.0
            )
            time_s = time_s + step_s
            if np.all(step_s <= 4e-16 * time_s):
                break
        return np.where(curved, time_s, least_s), curved
