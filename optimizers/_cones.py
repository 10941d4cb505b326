"""The allocation problem as a conic program for CVXPY, compiled per problem or once for many.

In kept fractions x, with v >= x^2 / y and y <= 1 - pace x, the least speed that keeps x is
entry + growth (x + pace v). Speed is the band b itself, so that the bands are eliminated, or with a
noise spectral density b ln(1 + g / b) / ln(1 + g) = -rel_entr(b, b + g) / ln(1 + g), which makes
the program one of exponential cones.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from wirelessfl.allocation.problem import Array
from wirelessfl.errors import InputError

_LEAST_ROOM = (
    1e-12  # of the band, beside the fixed bits: what is left is the unit of the program, never 0
)
_OPTIMAL = ("optimal", "optimal_inaccurate")


@dataclass(frozen=True, kw_only=True, eq=False)
class ConeClients:
    """Coefficients of the program; arrays (K,).

    Attributes:
        entry: Speed that the fixed bits need.
        growth: Speed per kept fraction at x near 0, beyond `entry`.
        pace: Prunable work per slack, a / c.
        weight: w.
        least: Least kept fraction, 1 - cap.
    """

    entry: Array
    growth: Array
    pace: Array
    weight: Array
    least: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Optimum of the program and its multipliers; arrays (K,).

    Attributes:
        kept: x.
        excess: v.
        band: b.
        band_price: Multiplier of sum b <= 1.
        speed_price: Multipliers of the speeds.
        pace_price: Multipliers of y <= 1 - pace x.
    """

    kept: Array
    excess: Array
    band: Array
    band_price: float
    speed_price: Array
    pace_price: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Conic:
    """A conic solver.

    Attributes:
        tolerance: Relative tolerance of Clarabel.
        reuse: Whether a program is compiled once per size and rate model, with parameters in
            place of values (CVXPY's disciplined parametrised programming), and kept.
    """

    tolerance: float
    reuse: bool

    def share_band(self, clients: ConeClients) -> Solution:
        """Maximise weight @ x where speed is band: sum of entry + growth (x + pace v) at most 1.

        Args:
            clients: Coefficients, arrays (K,).

        Returns:
            The optimum with its multipliers.

        Raises:
            InputError: The solver gives up; names its status.
        """
        room = max(1.0 - float(clients.entry.sum()), _LEAST_ROOM)
        scaled = _Scaled.of(clients, clients.growth / room)
        found = self._solve(scaled.data)
        kept = scaled.kept(found)
        excess = scaled.excess(found)
        price = scaled.scale * max(float(found.whole_band.dual_value), 0.0) / room
        return Solution(
            kept=kept,
            excess=excess,
            band=clients.entry + clients.growth * (kept + clients.pace * excess),
            band_price=price,
            speed_price=np.full(kept.size, price),
            pace_price=scaled.scale * np.asarray(found.in_time.dual_value),
        )

    def share_psd_band(self, clients: ConeClients, snr: Array) -> Solution:
        """Maximise weight @ x with noise of a density: speeds at most v(b), sum b at most 1.

        Args:
            clients: Coefficients, arrays (K,).
            snr: Signal-to-noise ratio g over the whole band, linear, (K,).

        Returns:
            The optimum with its multipliers.

        Raises:
            InputError: The solver gives up; names its status.
        """
        size = snr.size
        # The unit of a band is an equal share, that of a speed the speed there.
        share = np.log1p(size * snr)
        row = size * np.log1p(snr) / share
        scaled = _Scaled.of(clients, clients.growth)
        data = dict(scaled.data)
        data |= {name: row * data[name] for name in ("growth", "excess")}
        found = self._solve(
            data | {"entry": row * clients.entry, "snr": size * snr, "speed": 1.0 / share}
        )
        return Solution(
            kept=scaled.kept(found),
            excess=scaled.excess(found),
            band=np.maximum(found.band.value, 0.0) / size,
            band_price=scaled.scale * size * max(float(found.whole_band.dual_value), 0.0),
            speed_price=scaled.scale * row * np.asarray(found.fast_enough.dual_value),
            pace_price=scaled.scale * np.asarray(found.in_time.dual_value),
        )

    def _solve(self, data: Mapping[str, Array]) -> "_Programme":
        import cvxpy as cp  # slow to import, and listing the plug-ins must not wait for it

        size = data["weight"].size
        program = _compiled(tuple(sorted(data)), size) if self.reuse else _programme(data, size)
        if self.reuse:
            for parameter in program.problem.parameters():
                parameter.value = data[parameter.name()]
        settings = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), self.tolerance)
        with warnings.catch_warnings():
            # `Cvxpy.solve` warns by the certificate of its answer, which says how far off it is.
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            try:
                program.problem.solve(
                    solver=cp.CLARABEL,
                    canon_backend=cp.SCIPY_CANON_BACKEND,
                    enforce_dpp=self.reuse,
                    **settings,
                )
                status = program.problem.status
            except cp.SolverError:
                status = "solver_error"
        if status not in _OPTIMAL:
            raise InputError(
                f"method cvxpy cannot solve this problem, Clarabel reports {status}: "
                "its values may lie too many decades apart; method exact has no such limit"
            )
        return program


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scaled:
    """Coefficients of variables near 1, without which the solver's tolerance means little.

    The unit of x is its value at the whole band; that of y, which lies between its own value there
    and 1, the geometric middle; that of v follows from v y = x^2; that of the objective is the
    largest weight.
    """

    unit: Array
    excess_unit: Array
    scale: float
    data: dict[str, Array]

    @classmethod
    def of(cls, clients: ConeClients, growth: Array) -> "_Scaled":
        unit = 1.0 / np.maximum(clients.pace + growth, 1.0)
        room_unit = np.sqrt(np.maximum(1.0 - clients.pace * unit, growth * unit))
        excess_unit = unit**2 / room_unit
        scale = float(clients.weight.max()) or 1.0
        data = {
            "weight": clients.weight * unit / scale,
            "pace": clients.pace * unit,
            "room": room_unit,
            "least": clients.least / unit,
            "most": 1.0 / unit,
            "growth": growth * unit,
            "excess": growth * clients.pace * excess_unit,
        }
        return cls(unit=unit, excess_unit=excess_unit, scale=scale, data=data)

    def kept(self, found: "_Programme") -> Array:
        return np.asarray(np.clip(self.unit * np.asarray(found.kept.value), 0.0, 1.0))

    def excess(self, found: "_Programme") -> Array:
        return np.asarray(self.excess_unit * np.asarray(found.excess.value))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Programme:
    """CVXPY's problem with those of its variables and limits that are read."""

    problem: Any
    kept: Any
    excess: Any
    band: Any
    whole_band: Any
    fast_enough: Any
    in_time: Any


@lru_cache(maxsize=16)
def _compiled(names: tuple[str, ...], size: int) -> _Programme:
    import cvxpy as cp

    return _programme({name: cp.Parameter(size, nonneg=True, name=name) for name in names}, size)


def _programme(data: Mapping[str, Any], size: int) -> _Programme:
    cp: Any = import_module("cvxpy")  # typed as Any: its functions are bound at run time

    kept = cp.Variable(size)
    excess = cp.Variable(size)
    room = cp.Variable(size)
    in_time = cp.multiply(data["room"], room) + cp.multiply(data["pace"], kept) <= 1
    cone = cp.SOC(excess + room, cp.vstack([2 * kept, excess - room]), axis=0)
    limits = [in_time, cone, kept >= data["least"], kept <= data["most"]]
    band = fast_enough = None
    if "snr" in data:
        # b and b + g, which may not be a parameter's product
        band = cp.Variable(size)
        with_signal = cp.Variable(size)
        needed = (
            data["entry"] + cp.multiply(data["growth"], kept) + cp.multiply(data["excess"], excess)
        )
        fast_enough = needed <= cp.multiply(data["speed"], -cp.rel_entr(band, with_signal))
        whole_band = cp.sum(band) <= size
        limits += [whole_band, fast_enough, with_signal == band + data["snr"]]
    else:
        whole_band = data["growth"] @ kept + data["excess"] @ excess <= 1
        limits += [whole_band]
    return _Programme(
        problem=cp.Problem(cp.Maximize(data["weight"] @ kept), limits),
        kept=kept,
        excess=excess,
        band=band,
        whole_band=whole_band,
        fast_enough=fast_enough,
        in_time=in_time,
    )
