"""The compiled loop: the answers of the array code, certified; loaded only where it pays."""

import subprocess
import sys

import numpy as np
import pytest
from helpers.problems import CLASSES, changed, problem, random_problems, scenario_s

from optimizers import AllocationProblem, Exact, certify, exact
from optimizers._waterfilling import memory
from wirelessfl.errors import InputError

pytest.importorskip("numba")

COMPILED, ARRAYS = Exact(compiled=True), Exact(compiled=False)
FIELDS = (
    "deadline_s",
    "fixed_s",
    "prunable_s",
    "upload_bits",
    "rate_bps",
    "weight",
    "max_pruning_ratio",
)


def worst(p, a):
    found = certify(p, a)
    return max(float(np.max(value)) for value in vars(found).values())


def kept_sum(p, a):
    return (np.asarray(p.weight) * (1 - a.pruning_ratio)).sum(axis=-1)


@pytest.mark.parametrize("most_clients", [12, 300])
def test_random_problems_of_every_class_are_certified_optimal(most_clients):
    for name, p in random_problems(600, seed=most_clients, most_clients=most_clients):
        assert worst(p, COMPILED.solve(p)) <= 1e-12, (name, p.shape)


def test_it_is_the_answer_of_the_array_code():
    for name, p in random_problems(600, seed=30):
        fast, slow = COMPILED.solve(p), ARRAYS.solve(p)
        np.testing.assert_allclose(
            kept_sum(p, fast), kept_sum(p, slow), rtol=1e-13, atol=1e-15, err_msg=name
        )
        if name != "band_exactly_enough":  # where any price down to 0 is right
            np.testing.assert_allclose(
                fast.bandwidth_price, slow.bandwidth_price, rtol=1e-12, err_msg=name
            )
            np.testing.assert_allclose(
                fast.deadline_price, slow.deadline_price, rtol=1e-10, err_msg=name
            )
        np.testing.assert_array_equal(fast.status, slow.status, err_msg=name)


def test_a_batch_of_all_classes_is_its_rows():
    rows = [draw(np.random.default_rng(31), 6) for draw in CLASSES.values()]
    batch = AllocationProblem(
        **{field: np.stack([getattr(row, field) for row in rows]) for field in FIELDS}
    )
    a = COMPILED.solve(changed(batch, max_pruning_ratio=1.0))
    for index, row in enumerate(rows):
        alone = COMPILED.solve(changed(row, max_pruning_ratio=1.0))
        np.testing.assert_array_equal(a.pruning_ratio[index], alone.pruning_ratio)
        assert a.deadline_price[index] == alone.deadline_price


def test_rows_beyond_the_range_of_floats_are_solved_by_the_array_code():
    tiny = problem([1e-150, 1e-150], [1e-150, 2e-150], [1e-180, 3e-180])
    both = AllocationProblem(
        **{
            f: np.stack([getattr(tiny, f), getattr(problem([1.0, 1.0], 1.0, 2.0), f)])
            for f in FIELDS
        }
    )
    fast, slow = COMPILED.solve(both), ARRAYS.solve(both)
    np.testing.assert_allclose(fast.bandwidth_fraction, slow.bandwidth_fraction, rtol=1e-12)
    np.testing.assert_allclose(fast.bandwidth_price, slow.bandwidth_price, rtol=1e-12)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_a_hundred_thousand_clients_are_certified(spread):
    rng = np.random.default_rng(32)
    s = rng.uniform(2e-6, 2e-4, 100_000) * 10 ** (spread * rng.uniform(-2, 2, 100_000))
    p = problem(np.sort(rng.uniform(0.5, 1.5, 100_000)), rng.uniform(0.1, 2, 100_000), s)
    assert worst(p, COMPILED.solve(p)) <= 1e-12
    assert worst(p, ARRAYS.solve(p)) <= 1e-12


def test_caps_and_fixed_bits_take_the_array_code(monkeypatch):
    monkeypatch.setattr("optimizers._waterfilling.compiled.allocate", None)
    for p in (scenario_s(max_pruning_ratio=0.95), scenario_s(fixed_upload_bits=1e3)):
        np.testing.assert_array_equal(
            COMPILED.solve(p).pruning_ratio, ARRAYS.solve(p).pruning_ratio
        )
    with pytest.raises(TypeError):
        COMPILED.solve(scenario_s())


def test_without_numba_it_is_refused_and_never_chosen(monkeypatch):
    monkeypatch.setattr(exact, "_numba_is_there", lambda: False)
    with pytest.raises(
        InputError, match=r"compiled must be False or None without numba .*, got True"
    ):
        Exact(compiled=True)
    monkeypatch.setattr("optimizers._waterfilling.compiled.allocate", None)
    p = scenario_s(deadline_s=np.full((1000, 1), 0.025))
    assert Exact().solve(p).pruning_ratio.shape == (1000, 10)


def test_numba_is_loaded_by_large_problems_only():
    code = (
        "import sys; from optimizers import AllocationProblem, solve\n"
        "def p(n): return AllocationProblem(deadline_s=2, fixed_s=1, prunable_s=1, upload_bits=[1] * n, rate_bps=1)\n"
        "solve(p(10)); small = 'numba' in sys.modules; solve(p(5000)); print(small, 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_long_rows_of_every_class_are_certified():
    for name, draw in CLASSES.items():
        rng = np.random.default_rng(34)
        p = changed(draw(rng, 5000), max_pruning_ratio=1.0)
        assert worst(p, COMPILED.solve(p)) <= 1e-12, name


def test_clients_in_an_order_that_misleads_the_sample_are_certified():
    rng = np.random.default_rng(35)
    s = np.where(np.arange(20_000) % 64 == 0, 1e-6, rng.uniform(2e-5, 2e-3, 20_000))
    p = problem(rng.uniform(0.5, 1.5, 20_000), rng.uniform(0.1, 2, 20_000), s)
    assert worst(p, COMPILED.solve(p)) <= 1e-12


def test_memory_of_a_large_result_is_used_again_only_when_it_is_gone():
    shape = (4, 2**17)
    first = memory.empty_pair(shape)
    first[:] = 1.0
    row = first[0, 2]
    place = first.__array_interface__["data"]
    del first
    second = memory.empty_pair(shape)
    second[:] = 2.0
    assert row.min() == row.max() == 1.0
    del row
    assert memory.empty_pair(shape).__array_interface__["data"] == place
    assert memory.empty_pair((2, 2**17)).shape == (2, 2, 2**17)
