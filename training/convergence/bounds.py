"""The right sides of the convergence theorems of [WFL] and [CA-HFP]."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WflConstants:
    """Constants of [WFL] Assumptions 1 to 4.

    Attributes:
        shared_smoothness: L_u of [WFL] eq. (19).
        personal_smoothness: L_v of [WFL] eq. (21).
        pruning_error: D^2 of [WFL] eq. (23).
        shared_moment: phi_u^2 of [WFL] eq. (24).
        shared_noise: Variance sigma_u^2 of [WFL] eq. (28).
        personal_noise: Variance sigma_v^2 of [WFL] eq. (29).
    """

    shared_smoothness: float
    personal_smoothness: float
    pruning_error: float
    shared_moment: float
    shared_noise: float
    personal_noise: float


def wfl_bound(
    constants: WflConstants,
    *,
    gap: float,
    rounds: int,
    clients: int,
    weights: int,
    holders: float,
    ratios: float,
    shared_rate: float,
    personal_rate: float,
    shared_steps: int,
    personal_steps: int,
) -> dict[str, float]:
    """The right side of [WFL] eq. (31), by its terms.

    L_v enters with its square, as in the proof, not with its cube, as printed ([WFL] erratum W14).
    `holders` depends on the ratios, which the paper ignores ([WFL] erratum W11).

    Args:
        constants: Constants of the assumptions.
        gap: F(u^0, V^0) - F(u*, V*).
        rounds: Rounds G.
        clients: Number of clients K.
        weights: Number N of shared weights.
        holders: Smallest number kappa* of clients that keep a shared weight.
        ratios: Sum of all pruning ratios over clients and rounds.
        shared_rate: Step size eta_u.
        personal_rate: Step size eta_v.
        shared_steps: Steps tau_u.
        personal_steps: Steps tau_v.

    Returns:
        `start` (the gap over G), `steps` (A_1), and `pruning` (A_2 times the ratios); infinite
        where a weight has no holder.
    """
    c, n, k = constants, float(weights), float(clients)
    l_u, l_v = c.shared_smoothness, c.personal_smoothness
    eta_u, eta_v, tau_u, tau_v = shared_rate, personal_rate, shared_steps, personal_steps
    personal = eta_v**2 * tau_v**2 * c.personal_noise * (l_v / 2 + 4 * eta_v * l_v**2 * (tau_v - 1))
    whole = 1.5 * eta_u**2 * n**2 * tau_u**2 * c.shared_moment * l_u
    held = (
        n * c.shared_moment * k * eta_u**3 * l_u**2 * tau_u**3
        + 3 * n**2 * eta_u**2 * tau_u**2 * k * c.shared_noise * l_u
        + 3 * n**2 * l_u**3 * tau_u**4 * eta_u**4 * k * c.shared_moment
    ) / 2
    pruned = c.pruning_error * (
        n * eta_u * tau_u * l_u**2 + 3 * n**2 * eta_u**2 * l_u**3 * tau_u**2
    )
    return {
        "start": gap / rounds,
        "steps": personal + whole + (held / holders if holders else math.inf),
        "pruning": _over(pruned * ratios / rounds, holders),
    }


def wfl_left_side(
    personal_gradient: float,
    shared_gradient: float,
    *,
    shared_rate: float,
    personal_rate: float,
    shared_steps: int,
    personal_steps: int,
) -> float:
    """The left side of [WFL] eq. (31), for means over the rounds.

    Args:
        personal_gradient: Sum over clients of ||grad_v F_k||^2.
        shared_gradient: ||grad_u F||^2.
        shared_rate: Step size eta_u.
        personal_rate: Step size eta_v.
        shared_steps: Steps tau_u.
        personal_steps: Steps tau_v.

    Returns:
        The left side.
    """
    personal = personal_rate * personal_steps / 8 * personal_gradient
    return personal + shared_rate * shared_steps / 2 * shared_gradient


@dataclass(frozen=True, kw_only=True)
class CaHfpConstants:
    """Constants of [CA-HFP] Assumptions 1 to 3.

    Attributes:
        smoothness: L of [CA-HFP] eq. (6).
        noise: Variance sigma^2 of [CA-HFP] eq. (7).
        dissimilarity: zeta^2 of [CA-HFP] eq. (8).
    """

    smoothness: float
    noise: float
    dissimilarity: float


def ca_hfp_bound(
    constants: CaHfpConstants,
    *,
    gap: float,
    rounds: int,
    rate: float,
    steps: int,
    pruning_error: float,
) -> dict[str, float]:
    """The right side of [CA-HFP] eq. (10), by its terms.

    It is taken as a bound at finite T ([CA-HFP] erratum C5). The theorem needs eta <= 1 / (4 L E).

    Args:
        constants: Constants of the assumptions.
        gap: F(w_0) - F*.
        rounds: Rounds T.
        rate: Step size eta.
        steps: Local steps E.
        pruning_error: Mean over the rounds of ||e_t||^2.

    Returns:
        `start`, `noise` and `pruning`.
    """
    way = rate * steps
    return {
        "start": 4 * gap / (way * rounds),
        "noise": 16 * constants.smoothness * way * (constants.noise + constants.dissimilarity),
        "pruning": 12 * constants.smoothness / way * pruning_error,
    }


def _over(value: float, holders: float) -> float:
    """`value` over the holders; 0 stays 0 without any."""
    if not value:
        return 0.0
    return value / holders if holders else math.inf
