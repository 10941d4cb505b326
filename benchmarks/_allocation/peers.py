"""Alternatives to `optimizers`: every peer takes (c, a, s) of shape (K,) and returns bands (K,).

c = slack, a = prunable work, s = upload time over the whole band, all in seconds; weights are 1.
"""

import cvxpy as cp
import numpy as np
from scipy.optimize import LinearConstraint, minimize

QP_SETTINGS = {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iter": 200_000}


def kept(c, a, s, band):
    return np.minimum(c * band / (a * band + s), 1.0)


def scaled(band):
    """Bands made feasible, so that objectives can be compared."""
    band = np.maximum(band, 0.0)
    return band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0)


def _cone_problem(c, a, load, load_work):
    x, v = cp.Variable(c.size), cp.Variable(c.size)
    y = c - cp.multiply(a, x)
    limits = [
        cp.SOC(v + y, cp.vstack([2 * x, v - y]), axis=0),
        load @ x + load_work @ v <= 1,
        x >= 0,
        x <= 1,
    ]
    return cp.Problem(cp.Maximize(cp.sum(x)), limits), x, v


def cvxpy_from_scratch(c, a, s):
    problem, x, v = _cone_problem(c, a, s / c, s / c * a)
    problem.solve(solver=cp.CLARABEL)
    return s / c * (x.value + a * v.value)


class CvxpyResolve:
    """The same cone program with parameters (DPP), compiled on the first call."""

    def __init__(self, clients):
        self.parameters = [cp.Parameter(clients, nonneg=True) for _ in range(4)]
        self.problem, self.x, self.v = _cone_problem(*self.parameters)

    def __call__(self, c, a, s):
        for parameter, value in zip(self.parameters, (c, a, s / c, s / c * a), strict=True):
            parameter.value = value
        self.problem.solve(solver=cp.CLARABEL)
        return s / c * (self.x.value + a * self.v.value)


class FairnessResolve:
    """max sum log x where noise has a density, with parameters (DPP); band in equal shares."""

    def __init__(self, problem):
        clients = problem.shape[-1]
        self.given = problem
        self.snr, self.pace, self.load, self.excess = (
            cp.Parameter(clients, nonneg=True) for _ in range(4)
        )
        self.x, v, band, signal = (cp.Variable(clients) for _ in range(4))
        y = 1 - cp.multiply(self.pace, self.x)
        needed = cp.multiply(self.load, self.x) + cp.multiply(self.excess, v)
        limits = [
            cp.SOC(v + y, cp.vstack([2 * self.x, v - y]), axis=0),
            needed <= -cp.rel_entr(band, signal),
            signal == band + self.snr,
            cp.sum(band) <= clients,
            self.x <= 1,
        ]
        self.problem = cp.Problem(cp.Maximize(cp.sum(cp.log(self.x))), limits)

    def __call__(self):
        given = self.given
        clients = given.shape[-1]
        snr = np.asarray(given.snr)
        load = clients * np.log1p(snr) * given.upload_s / given.slack_s
        self.snr.value = clients * snr
        self.pace.value = np.asarray(given.prunable_s) / given.slack_s
        self.load.value = load
        self.excess.value = load * self.pace.value
        self.problem.solve(solver=cp.CLARABEL)
        return self.x.value


def cvxpy_qp(c, a, s):
    """The minimiser of sum b^2 / (2 beta) + lo b over sum b = 1, 0 <= b <= b_max.

    It is the same minimiser where the band is scarce.
    """
    slope, low = np.sqrt(c * s) / a, np.sqrt(s / c)
    top = np.where(c > a, s / np.maximum(c - a, 1e-300), 1.0)
    band = cp.Variable(c.size)
    cost = cp.sum_squares(cp.multiply(np.sqrt(0.5 / slope), band)) + low @ band
    problem = cp.Problem(
        cp.Minimize(cost), [cp.sum(band) == 1, band >= 0, band <= np.minimum(top, 1.0)]
    )
    problem.solve(solver=cp.OSQP, **QP_SETTINGS)
    return band.value


def _loss(c, a, s):
    def value(band):
        return -kept(c, a, s, band).sum()

    def slope(band):
        return np.where(c * band < a * band + s, -c * s / (a * band + s) ** 2, 0.0)

    return value, slope


def slsqp(c, a, s):
    value, slope = _loss(c, a, s)
    whole = {
        "type": "ineq",
        "fun": lambda band: 1.0 - band.sum(),
        "jac": lambda band: -np.ones_like(band),
    }
    bounds = [(0.0, 1.0)] * c.size
    start = np.full(c.size, 1.0 / c.size)
    settings = {"maxiter": 1000, "ftol": 1e-12}
    return minimize(
        value,
        start,
        jac=slope,
        method="SLSQP",
        bounds=bounds,
        constraints=[whole],
        options=settings,
    ).x


def trust_constr(c, a, s):
    value, slope = _loss(c, a, s)
    whole = LinearConstraint(np.ones((1, c.size)), -np.inf, 1.0)
    bounds = np.transpose([np.zeros(c.size), np.ones(c.size)])
    start = np.full(c.size, 0.9 / c.size)
    limits = [whole, LinearConstraint(np.eye(c.size), *bounds.T, keep_feasible=True)]
    settings = {"maxiter": 1000, "gtol": 1e-9, "xtol": 1e-12}
    with np.errstate(divide="ignore", invalid="ignore"):
        found = minimize(
            value,
            start,
            jac=slope,
            hess=lambda band: np.diag(_curvature(c, a, s, band)),
            method="trust-constr",
            constraints=limits,
            options=settings,
        )
    return found.x


def _curvature(c, a, s, band):
    return np.where(c * band < a * band + s, 2 * a * c * s / (a * band + s) ** 3, 0.0)


def bisection(c, a, s, steps=100):
    """Bisection on the price, as papers' code does; also takes batches (..., K)."""
    root = np.sqrt(c * s)
    top = np.where(c > a, s / np.maximum(c - a, 1e-300), 1.0)
    low, high = np.zeros((*c.shape[:-1], 1)), np.max(c / s, axis=-1, keepdims=True)
    for _ in range(steps):
        price = 0.5 * (low + high)
        band = np.clip((root / np.sqrt(price) - s) / a, 0.0, top)
        over = band.sum(axis=-1, keepdims=True) > 1.0
        low, high = np.where(over, price, low), np.where(over, high, price)
    return np.clip((root / np.sqrt(high) - s) / a, 0.0, top)
