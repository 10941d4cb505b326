"""Energy budgets over the whole run: Lyapunov drift plus penalty."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers._exclusion import without_clients
from optimizers._waterfilling.rate_models import curve_of
from optimizers._weighted import with_weights
from optimizers.exact import Exact
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.history import History
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.errors import InputError, check_number
from wirelessfl.values import PerClient

_EXCHANGED = 256  # clients that may be exchanged
_GAIN = 1e-12  # relative gain of an exchange that is more than rounding
_LEAST_WEIGHT = 1e-60  # of a client that takes part: smaller ones are no weights of a problem


@dataclass(frozen=True, kw_only=True)
class DriftPlusPenalty:
    """Most kept weight over a run whose mean energy per round stays within a budget.

    A virtual queue Q_k <- max(Q_k + e_k - E_k, 0) counts what a client has spent beyond its budget,
    and every round maximises V sum w_k x_k - sum Q_k e_k (Neely, 2010). A client that takes part
    computes and then uploads until the deadline,

        e_k = fixed_j + x prunable_j + p (S_k - T_c,k x),

    so a round is the problem of `Exact` with the weights V w_k - Q_k (prunable_j - p T_c,k), and
    the price Q_k p S_k of taking part. For it clients are excluded one by one, and then exchanged
    one at a time while that helps. The mean energy
    exceeds the budget by at most Q_k / R after R rounds, and Q_k has a bound proportional to V; the
    kept weight falls short of the optimum over all rounds by a term of order 1 / V. Bands are
    exact for the clients that take part; the set of clients is at most as good as `bound` says.
    Without a history or a budget it is `Exact`.

    Attributes:
        energy_budget_j: Energy per round and client in J that the mean over the run may reach;
            above 0; inf is no budget.
        trade_off: V, in J^2: larger ones keep more and let queues grow longer; above 0.
    """

    memory: ClassVar[bool] = True
    energy_budget_j: PerClient = float("inf")
    trade_off: float = 1e-3

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.energy_budget_j) == np.inf):
            finite = np.asarray(self.energy_budget_j)
            check_number("energy_budget_j", tuple(finite[finite < np.inf].tolist()), above=0)
        check_number("trade_off", self.trade_off, above=0)

    def solve(self, problem: Problem, history: History | None = None) -> Allocation:
        """Maximise V times the kept weight less the queues times the energy.

        Args:
            problem: The problem, arrays (K,), or (..., K) without a history.
            history: Course of the run; None: no round yet.

        Returns:
            The allocation; its prices are those of the kept weight with these weights over V.

        Raises:
            InputError: Not one budget per client, or one below the energy of the fixed work.
        """
        if history is None:
            return Exact().solve(problem)
        queue_j = history.queue_j(self._budget_j(problem, history))
        worth, toll = self._worth(problem, history, queue_j)
        able = (worth > _LEAST_WEIGHT) & (problem.slack_s >= 0)
        rest = with_weights(problem, np.where(able, worth, 0.0))
        takes = able
        if toll.any():
            takes = _best_exchange(rest, toll, able, _without_losers(rest, toll, able))
        found = Exact().solve(without_clients(rest, ~takes))
        return replace(found, problem=problem, left_out=~takes & (problem.slack_s >= 0))

    def bound(self, problem: Problem, history: History, price: float) -> float:
        """Upper bound of the round's objective over V: no choice of clients is better.

        Args:
            problem: The problem, arrays (K,).
            history: Course of the run.
            price: Price of the whole band at which the bound is taken, at least 0.

        Returns:
            price + sum_k max(0, max_b [weight x(b) - price b] - toll).
        """
        queue_j = history.queue_j(self._budget_j(problem, history))
        worth, toll = self._worth(problem, history, queue_j)
        curve = curve_of(with_weights(problem, np.where(worth > _LEAST_WEIGHT, worth, 0.0)))
        band = curve.best_band(np.array([price]))
        net = curve.weight * curve.kept(band) - price * band - toll
        return float(price + np.maximum(net, 0.0).sum())

    def objective(self, problem: Problem, history: History, allocation: Allocation) -> float:
        """Objective of a round over V: kept weight less the price of the planned energy.

        Args:
            problem: The problem, arrays (K,).
            history: Course of the run.
            allocation: An allocation of the problem.

        Returns:
            sum_k [weight x - toll] over the clients that take part.
        """
        queue_j = history.queue_j(self._budget_j(problem, history))
        worth, toll = self._worth(problem, history, queue_j)
        kept = allocation.kept_fraction
        return float(np.where(kept > 0, worth * kept - toll, 0.0).sum())

    def _worth(self, problem: Problem, history: History, queue_j: Array) -> tuple[Array, Array]:
        """Value of a kept fraction and toll of taking part, both over V; (K,)."""
        rate = queue_j / self.trade_off
        saved_j = history.prunable_j - history.power_w * np.asarray(problem.prunable_s)
        worth = np.asarray(problem.weight) - rate * saved_j
        return worth, rate * history.power_w * np.maximum(problem.slack_s, 0.0)

    def _budget_j(self, problem: Problem, history: History) -> Array:
        budget_j = np.asarray(self.energy_budget_j, dtype=np.float64)
        clients = problem.shape[-1]
        if budget_j.shape not in ((), (clients,)):
            raise InputError(
                f"energy_budget_j must be 1 number or {clients}, one per client, "
                f"got {budget_j.size}"
            )
        budget_j = np.broadcast_to(budget_j, (clients,))
        short: NDArray[np.bool_] = budget_j < history.fixed_j
        if short.any():
            client = int(np.argmax(short))
            least_j = float(np.broadcast_to(history.fixed_j, (clients,))[client])
            raise InputError(
                f"energy_budget_j must be at least {least_j:g}, the work of client {client} that "
                f"pruning does not save, got {budget_j[client]:g}"
            )
        return budget_j


def _without_losers(problem: Problem, toll: Array, takes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Clients left when the one that loses most by taking part is excluded again and again."""
    takes = takes.copy()
    while takes.any():
        found = Exact().solve(without_clients(problem, ~takes))
        net = np.asarray(problem.weight) * found.kept_fraction - toll
        net = np.where(takes, net - found.bandwidth_price * found.bandwidth_fraction, np.inf)
        if net.min() >= 0.0:
            break
        takes[net.argmin()] = False
    return takes


def _best_exchange(
    problem: Problem, toll: Array, able: NDArray[np.bool_], takes: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Set that no client improves by entering or leaving, from a first one; one batch per step."""
    clients = np.flatnonzero(able)[:_EXCHANGED]
    best = _value(problem, toll, takes[None])[0]
    while clients.size:
        sets = np.tile(takes, (clients.size, 1))
        sets[np.arange(clients.size), clients] ^= True
        values = _value(problem, toll, sets)
        if values.max() <= best + _GAIN * abs(best):
            break
        best = values.max()
        takes = sets[values.argmax()]
    return takes


def _value(problem: Problem, toll: Array, sets: NDArray[np.bool_]) -> Array:
    """Kept weight less tolls of several sets of clients, (N, K); (N,)."""
    kept = Exact(compiled=False).solve(without_clients(problem, ~sets)).kept_fraction
    net = np.where(sets & (kept > 0), np.asarray(problem.weight) * kept - toll, 0.0)
    return np.asarray(net.sum(axis=-1))
