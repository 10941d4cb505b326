"""Derivatives of the optimum by the envelope theorem: the value of one more unit of each parameter.

With x the kept fraction, b the band, c the slack, a the prunable work, s and e the full-band upload
times of prunable and fixed bits, the Lagrangian of the allocation problem is

    L = sum w x - lambda (sum b - 1) - sum nu (fixed_s + a x + (s x + e) / b - deadline_s),

and the optimum V changes with any parameter as L does at fixed x, b, lambda, nu. A client strictly
between its bounds has dL/dx = 0, so nu = w b / (a b + s); one at its floor or ceiling has
dL/db = 0, so nu = lambda b^2 / (s x + e). All derivatives are then products:

    dV/d(deadline_s) = nu = -dV/d(fixed_s),    dV/d(prunable_s) = -nu x,
    dV/ds = -nu x / b,    dV/de = -nu / b,
    and with s = bits / rate:    dV/d(bits) = (dV/ds) / rate.

Rate, gain, power and CPU frequency follow by the chain rule, for relative changes (per unit of the
natural logarithm):

    dV/d ln r = -(s dV/ds + e dV/de);    dV/d ln f = nu (fixed_s + a x), as all work is cycles / f;
    dV/d ln h = dV/d ln p = (dV/d ln r) SNR / ((1 + SNR) ln(1 + SNR)),
        the elasticity of r = B log2(1 + SNR),

with SNR = 2^(r / B) - 1. The elasticity falls from 1 (weak signals: rate and power are
proportional) to 1 / ln(SNR).

With noise of a given power spectral density the rate R(b) takes the place of b r: upload times are
divided by the speed R(b) / r instead of b, r is the rate over the whole band and its derivative
that of scaling R; the SNR of the elasticity is snr / b, so that ln(1 + SNR) = ln(2) R(b) / (b B)
under both rate models. With another link R(b) = B g phi(b / g), so that d ln R / d ln h = 1 - b
R'(b) / R(b), and as the band's gain is its price

    dV/d ln h = dV/d ln r - lambda b,

which also holds at the end of a row of a table, where the band follows the gain; r is then the
largest rate of any band.
"""

from dataclasses import dataclass
from math import log

import numpy as np

from optimizers._waterfilling.curve import FITTING, latency_price
from optimizers._waterfilling.rate_models import curve_of
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import AllocationProblem, Array, Problem
from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Sensitivities:
    """Derivatives of the optimal sum_k w_k (1 - rho_k) with respect to each client's parameters.

    Clients that take no part have 0. At a kink (a client that just becomes starved, unpruned or
    capped) the two one-sided derivatives differ and one of them is given. A client without band has
    the derivative towards more bits, which is -inf where no band is left over and any upload would
    cost kept work without limit. Arrays (..., K) unless noted.

    Attributes:
        bandwidth: Per whole band; (...,).
        bandwidth_hz: Per hertz, None for a problem without `bandwidth_hz`; (...,).
        deadline_s: Per second of the client's deadline.
        prunable_s: Per second of prunable work.
        upload_bits: Per prunable bit.
        fixed_upload_bits: Per fixed bit.
        rate_bps: Per bit/s of the full-band rate.
        log_cpu_hz: Per relative change of the CPU frequency: 0.01 times it is the gain of 1 % more.
        log_gain: Per relative change of the channel gain, None for a problem without
            `bandwidth_hz`.
    """

    bandwidth: Array
    bandwidth_hz: Array | None
    deadline_s: Array
    prunable_s: Array
    upload_bits: Array
    fixed_upload_bits: Array
    rate_bps: Array
    log_cpu_hz: Array
    log_gain: Array | None

    @property
    def log_transmit_power_w(self) -> Array | None:
        """Per relative change of the transmit power, equal to `log_gain`; (..., K)."""
        return self.log_gain

    @property
    def gain_db(self) -> Array | None:
        """Per decibel of gain, power or (negative) noise; (..., K)."""
        return None if self.log_gain is None else self.log_gain * log(10.0) / 10.0


def sensitivities(problem: Problem, allocation: Allocation) -> Sensitivities:
    """Differentiate the optimum with respect to every parameter, by the envelope theorem.

    Args:
        problem: The problem, arrays (..., K).
        allocation: An optimal answer to it, with its `bandwidth_price`.

    Returns:
        The derivatives, arrays (..., K).

    Raises:
        InputError: A problem that is neither an `AllocationProblem` nor a `NoisePsdProblem`.
    """
    curve = curve_of(problem)
    rate = _full_band_rate_bps(problem)
    band = np.asarray(allocation.bandwidth_fraction)
    price = np.asarray(allocation.bandwidth_price)
    kept = np.where(curve.excluded, 0.0, curve.kept(band))
    nu = np.where(curve.excluded, 0.0, latency_price(curve, band, kept, price))
    prunable_s = np.asarray(problem.prunable_s)
    per_upload_s = np.where(
        curve.excluded, 0.0, _per_upload_second(problem, band, kept, nu, price[..., None])
    )
    prunable_bits_s = -_times(kept, per_upload_s)
    log_rate = _times(problem.upload_s, -prunable_bits_s) + _times(
        problem.fixed_upload_s, per_upload_s
    )
    hertz = problem.bandwidth_hz
    return Sensitivities(
        bandwidth=price,
        bandwidth_hz=None if hertz is None else price / hertz,
        deadline_s=nu,
        prunable_s=-nu * kept,
        upload_bits=_over(prunable_bits_s, rate),
        fixed_upload_bits=_over(-per_upload_s, rate),
        rate_bps=_over(log_rate, rate),
        log_cpu_hz=nu * (np.asarray(problem.fixed_s) + prunable_s * kept),
        log_gain=None
        if hertz is None
        else _log_gain(problem, band, price[..., None], log_rate, rate / hertz),
    )


def _log_gain(
    problem: Problem, band: Array, price: Array, log_rate: Array, full_bps_hz: Array
) -> Array:
    if isinstance(problem, NoisePsdProblem) and not problem.is_shannon:
        return np.where(band > 0, log_rate - price * band, 0.0)
    return log_rate * _rate_elasticity(full_bps_hz * _density(problem, band))


def _full_band_rate_bps(problem: Problem) -> Array:
    if isinstance(problem, NoisePsdProblem):
        problem = problem.by_speed
    if not isinstance(problem, AllocationProblem):
        raise InputError(
            "problem must be an AllocationProblem or a NoisePsdProblem, "
            f"got {type(problem).__name__}"
        )
    return np.asarray(problem.rate_bps)


def _density(problem: Problem, band: Array) -> Array:
    """Spectral efficiency at `band` over that at the whole band; (..., K), 1 without band."""
    return np.where(band > 0, problem.speed(band) / np.where(band > 0, band, 1.0), 1.0)


def _per_upload_second(
    problem: Problem, band: Array, kept: Array, nu: Array, price: Array
) -> Array:
    """Value of one second less of full-band upload, per kept fraction; (..., K).

    It is nu / speed, or its limit at b = 0: a client without band and without latency price (nu =
    0) would take its speed, 1 / (c - a x) per second, from a band of price lambda (from a vanishing
    fraction of it, if little band has little noise); one that is bound by its compute alone would
    need band out of the remainder.
    """
    left = 1.0 - band.sum(axis=-1, keepdims=True)
    spare = np.where(left > FITTING, left, 0.0)
    room_s = np.maximum(problem.slack_s - np.asarray(problem.prunable_s) * kept, 0.0)
    first_hertz = 0.0 if isinstance(problem, NoisePsdProblem) else price
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.where(
            nu > 0, nu / problem.speed(spare), np.where(first_hertz > 0, first_hertz / room_s, 0.0)
        )
        return np.where(band > 0, nu / problem.speed(band), without)


def _rate_elasticity(bits_per_s_hz: Array) -> Array:
    """Elasticity d ln log2(1 + SNR) / d ln SNR from log2(1 + SNR); any shape, 1 at 0."""
    nats = bits_per_s_hz * log(2.0)
    return np.where(nats > 0, -np.expm1(-nats) / np.where(nats > 0, nats, 1.0), 1.0)


def _times(amount: Array, worth: Array) -> Array:
    """Product with 0 * inf = 0."""
    with np.errstate(invalid="ignore"):
        return np.where((amount == 0) | (worth == 0), 0.0, amount * worth)


def _over(worth: Array, rate_bps: Array) -> Array:
    return np.where(rate_bps > 0, worth / np.where(rate_bps > 0, rate_bps, 1.0), 0.0)
