"""Mutations of optimal answers: a worse or impossible answer must show in its certificate.

Whether a mutation does damage is decided without the certificate: by the limits of the problem and
by the objective. All mutations of one answer are certified as one batch.
"""

from dataclasses import fields, replace

import numpy as np
import pytest
from helpers.joint import joint_problem
from helpers.problems import problem, scenario_s
from helpers.psd_problems import scenario_psd

from optimizers import Exact, JointProblem, certify, minimise_energy, solve, solve_joint

SEEN, OPTIMAL, DAMAGE = 1e-6, 1e-11, 1e-7
SPREAD = np.geomspace(0.05, 20.0, 10)  # weights four hundredfold apart
MASK_BITS = np.linspace(2e3, 2e4, 10)
LATE = np.where(np.arange(10) == 3, 1.0, 0.0)  # seconds of fixed work added to one client


def scenario(rate_model, **changes):
    return {"fixed SNR": scenario_s, "noise density": scenario_psd}[rate_model](**changes)


KINDS = {
    "plain": {},
    "weights": {"weight": SPREAD},
    "caps": {"max_pruning_ratio": 0.95, "weight": SPREAD},
    "fixed bits": {"fixed_upload_bits": MASK_BITS},
    "fixed bits and caps": {"fixed_upload_bits": MASK_BITS, "max_pruning_ratio": 0.98},
    "little time": {"deadline_s": 0.014, "weight": SPREAD},
    "spare band": {"deadline_s": 1.0},
    "late client": {"fixed_s": scenario_s().fixed_s + LATE},
    "client without rate": {},
}


def posed(kind, rate_model):
    p = scenario(rate_model, **KINDS[kind])
    if kind != "client without rate":
        return p
    name = "rate_bps" if rate_model == "fixed SNR" else "snr"
    return replace(p, **{name: getattr(p, name) * (np.arange(10) != 4)})


def per_client(answer, k, **values):
    """The fields `values` of `answer` with another value for client `k`."""
    changed = {name: np.array(getattr(answer, name), dtype=float) for name in values}
    for name, value in values.items():
        changed[name][k] = value
    return changed


def common_mutations(answer):
    """Mutations of bands, ratios and prices that every kind of answer has."""
    band, ratio = answer.bandwidth_fraction, answer.pruning_ratio
    found = [{"bandwidth_fraction": band * factor} for factor in (0.99, 1.01)]
    for k in range(band.size):
        found.append(per_client(answer, k, bandwidth_fraction=0.0, pruning_ratio=1.0))
        found += [per_client(answer, k, bandwidth_fraction=b) for b in (0.9 * band[k], -0.01)]
        found += [per_client(answer, k, pruning_ratio=ratio[k] + step) for step in (-0.01, 0.01)]
        moved = per_client(answer, k, bandwidth_fraction=0.95 * band[k])
        moved["bandwidth_fraction"][k - 1] += 0.05 * band[k]
        found.append(moved)
    for name in ("bandwidth_price", "deadline_price"):
        value = float(getattr(answer, name))
        wrong = [factor * value for factor in (-1.0, 0.0, 0.9, 1.1)] if value else [-0.1, 0.1]
        found += [{name: np.array(price)} for price in wrong]
    return found


def batch(answer, mutations):
    """All mutated answers as one batch of answers to a batch of the same problem."""
    count = len(mutations)
    p = answer.problem
    shape = (count, *p.shape)
    posed = replace(p, deadline_s=np.broadcast_to(p.deadline_s, shape))
    stacked = {}
    for field in fields(answer):
        value = getattr(answer, field.name)
        if field.name not in ("problem", "objective") and value is not None:
            stacked[field.name] = np.stack([m.get(field.name, value) for m in mutations])
    return replace(answer, problem=posed, **stacked)


def residual(problem, answer):
    values = [np.asarray(value) for value in vars(certify(problem, answer)).values()]
    return np.max(np.nan_to_num(values, nan=np.inf), axis=0)


def changed_price(answer, optimum):
    """True where a price differs from the optimum's; the kinds above have unique ones. (count,)."""
    return (answer.bandwidth_price != optimum.bandwidth_price) | (
        answer.deadline_price != optimum.deadline_price
    )


def harmful(answer, optimum):
    """Mutations that break a limit, keep less, or state another price; (count,)."""
    p, band, ratio = answer.problem, answer.bandwidth_fraction, answer.pruning_ratio
    served = (p.slack_s >= 0) & (~optimum.left_out if optimum.left_out is not None else True)
    entry = np.where(served, p.entry_bandwidth, 0.0)
    broken = (
        (band < -DAMAGE)
        | (ratio < -DAMAGE)
        | (ratio > np.where(served, p.max_pruning_ratio, 1.0) + DAMAGE)
        | (served & (p.latency_s(band, ratio) > p.deadline_s * (1 + DAMAGE)))
        | (~served & (ratio < 1 - DAMAGE))
        | (band < entry * (1 - DAMAGE))
    )
    kept = (p.weight * (1 - ratio)).sum(axis=-1)
    best = (optimum.problem.weight * (1 - optimum.pruning_ratio)).sum()
    worse = kept < best - DAMAGE * optimum.problem.weight.sum()
    crowded = band.sum(axis=-1) > 1 + DAMAGE
    return broken.any(axis=-1) | crowded | worse | changed_price(answer, optimum)


def check_mutations(p, optimum, mutations):
    answer = batch(replace(optimum, problem=p), mutations)
    damage = harmful(answer, replace(optimum, problem=p))
    assert damage.sum() >= len(mutations) // 4
    assert np.all(residual(answer.problem, answer)[damage] >= SEEN)


@pytest.mark.parametrize("rate_model", ["fixed SNR", "noise density"])
@pytest.mark.parametrize("kind", KINDS)
def test_mutations_of_the_optimum(kind, rate_model):
    p = posed(kind, rate_model)
    optimum = solve(p)
    assert residual(p, optimum) <= OPTIMAL
    check_mutations(p, optimum, common_mutations(optimum))


@pytest.mark.parametrize("rate_model", ["fixed SNR", "noise density"])
@pytest.mark.parametrize("method", ["proportional-fairness", "max-min"])
def test_mutations_of_fair_answers_at_their_own_weights(method, rate_model):
    p = scenario(rate_model, weight=1.0)
    optimum = solve(p, method)
    if method == "max-min":
        b, step = optimum.bandwidth_fraction, 1e-6
        x = (1 - p.fixed_s / p.deadline_s) * p.deadline_s
        kept = [x / (p.prunable_s + p.upload_s / p.speed(b * f)) for f in (1 + step, 1 - step)]
        weight = optimum.bandwidth_price * 2 * step * b / (kept[0] - kept[1])
        tolerance = 1e-8  # of the difference quotient
    else:
        weight, tolerance = 1 / optimum.kept_fraction, OPTIMAL
    weighted = replace(p, weight=weight)
    assert residual(weighted, optimum) <= tolerance
    check_mutations(weighted, optimum, common_mutations(optimum))


def test_mutations_of_the_compiled_answer():
    p = scenario_s(weight=SPREAD)
    optimum = Exact(compiled=True).solve(p)
    assert residual(p, optimum) <= OPTIMAL
    check_mutations(p, optimum, common_mutations(optimum))


@pytest.mark.parametrize("rate_model", ["fixed SNR", "noise density"])
@pytest.mark.parametrize("objective", ["clients", "weight"])
def test_mutations_of_a_selection(objective, rate_model):
    p = scenario(rate_model, deadline_s=0.02, max_pruning_ratio=0.5, weight=SPREAD)
    optimum = solve(p, "select") if objective == "clients" else solve_by_weight(p)
    assert 0 < optimum.left_out.sum() < 10
    assert residual(p, optimum) <= OPTIMAL
    mutations = common_mutations(optimum)
    for k in range(10):  # one client more, or one fewer, is excluded
        flipped = optimum.left_out ^ (np.arange(10) == k)
        mutations.append(
            per_client(optimum, k, bandwidth_fraction=0.0, pruning_ratio=1.0)
            | {"left_out": flipped}
        )
    check_mutations(p, optimum, mutations)
    answer = batch(optimum, mutations[-10:])
    assert np.all(residual(answer.problem, answer) >= SEEN)


def solve_by_weight(p):
    from optimizers import Select

    return Select(objective="weight").solve(p)


def test_a_client_with_fixed_bits_that_is_left_out_is_seen():
    p = replace(problem([1.0, 1.0], 0.0, [1.0, 1.0]), fixed_upload_bits=[0.1e6, 0.1e6])
    optimum = solve(p)
    alone = solve(replace(p, fixed_s=[p.fixed_s[0], 2 * p.deadline_s[0]]))
    for answer in (
        replace(alone, problem=p),
        replace(optimum, **per_client(optimum, 1, bandwidth_fraction=0.0, pruning_ratio=1.0)),
    ):
        found = certify(p, answer)
        assert found.primal_residual == pytest.approx(
            0.1
        )  # its fixed bits need a tenth of the band
        assert found.duality_gap >= 0


JOINT = {
    "plain": {},
    "caps": {"max_pruning_ratio": 0.9},
    "no energy limit": {"energy_budget_j": np.inf},
    "late client": {"fixed_cycles": np.array([1e9, 1e7, 1e7, 1e7])},
    "client without bits": {"upload_bits": np.array([0.0, 4e5, 6e5, 8e5])},
    "one client takes the band": {"rate_bps": np.array([6e7, 1e6, 1e5, 1e4])},
}


def joint_harmful(answer, optimum):
    p, q = answer.problem, optimum.problem
    served = optimum.status != "infeasible"
    ratio, band = answer.pruning_ratio, answer.bandwidth_fraction
    kept = 1 - ratio
    with np.errstate(divide="ignore", invalid="ignore"):
        needed_s = np.where(kept * p.upload_bits > 0, kept * p.upload_s / band, 0.0)
    broken = (
        (band < -DAMAGE)
        | (ratio < -DAMAGE)
        | (ratio > np.where(served, p.max_pruning_ratio, 1.0) + DAMAGE)
        | (served & (answer.latency_s > p.deadline_s * (1 + DAMAGE)))
        | (served & (answer.energy_j > p.energy_budget_j * (1 + DAMAGE)))
        | (served & ((needed_s > answer.upload_s * (1 + DAMAGE)) | (needed_s < 0)))
        | (~served & (ratio < 1 - DAMAGE))
    )
    if answer.objective == "energy":
        spent, least = answer.energy_j.sum(axis=-1), optimum.energy_j.sum()
        worse = spent > least * (1 + DAMAGE)
    else:
        kept_weight, most = (p.weight * kept).sum(axis=-1), q.weight * (1 - optimum.pruning_ratio)
        worse = kept_weight < most.sum() - DAMAGE * q.weight.sum()
    crowded = band.sum(axis=-1) > 1 + DAMAGE
    prices = changed_price(answer, optimum) | np.any(
        answer.energy_price != optimum.energy_price, axis=-1
    )
    return broken.any(axis=-1) | crowded | worse | prices


def joint_mutations(optimum):
    found = common_mutations(optimum)
    for k in range(optimum.pruning_ratio.size):
        upload_s, price = float(optimum.upload_s[k]), float(optimum.energy_price[k])
        found += [per_client(optimum, k, upload_s=factor * upload_s) for factor in (0.9, 1.1)]
        wrong = [factor * price for factor in (-1.0, 0.0, 1.1)] if price else [-0.1, 0.1]
        found += [per_client(optimum, k, energy_price=value) for value in wrong]
    return found


def check_joint(optimum):
    assert residual(optimum.problem, optimum) <= 1e-9
    answer = batch(optimum, joint_mutations(optimum))
    damage = joint_harmful(answer, optimum)
    assert damage.sum() >= damage.size // 3
    assert np.all(residual(answer.problem, answer)[damage] >= SEEN)


@pytest.mark.parametrize("kind", JOINT)
def test_mutations_of_a_joint_answer(kind):
    check_joint(solve_joint(joint_problem(np.random.default_rng(2), 4, **JOINT[kind])))


@pytest.mark.parametrize("kind", ["plain", "no energy limit", "client without bits"])
def test_mutations_of_the_least_energy(kind):
    p = joint_problem(np.random.default_rng(2), 4, **JOINT[kind])
    most = 1 - solve_joint(p).pruning_ratio
    check_joint(minimise_energy(p, 1 - 0.7 * most))


def test_the_price_that_a_joint_answer_once_had_is_seen():
    p = JointProblem(
        deadline_s=0.025,
        fixed_cycles=1.5e7,
        prunable_cycles=3e7,
        upload_bits=530_000,
        rate_bps=np.array([60e6, 1e6]),
        power_w=0.2,
        cpu_min_hz=5e8,
        cpu_max_hz=3e9,
        energy_budget_j=0.03,
        weight=np.array([1.0, 0.1]),
    )
    optimum = solve_joint(p)
    assert certify(p, optimum).stationarity <= 1e-9
    too_low = replace(optimum, bandwidth_price=optimum.bandwidth_price / 100)
    assert certify(p, too_low).stationarity == pytest.approx(0.99, rel=1e-6)
