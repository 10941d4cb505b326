"""`waterfill` on plain arrays: NumPy and torch give the answer of `solve`, torch with gradients."""

import importlib
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.problems import CLASSES, random_problems, scenario_s

from optimizers import solve, upload_seconds, waterfill
from wirelessfl.errors import InputError

PLAIN = sorted(set(CLASSES) - {"caps_fit", "caps_clash"})  # the function knows no caps


def clients_of(p):
    return p.slack_s, p.prunable_s, p.upload_s, p.weight


def kept(c, a, s, w):
    """The optimum of sum w x."""
    return (w * (1 - waterfill(c, a, s, w)[1])).sum(axis=-1)


@pytest.mark.parametrize("library", [np.asarray, torch.tensor])
def test_it_is_the_answer_of_solve(library):
    for name, p in random_problems(300, seed=20):
        if name in PLAIN:
            best = solve(p)
            band, ratio, price = waterfill(*(library(np.array(value)) for value in clients_of(p)))
            assert type(band) is type(library([0.0]))
            np.testing.assert_allclose(band, best.bandwidth_fraction, atol=1e-14, err_msg=name)
            np.testing.assert_allclose(ratio, best.pruning_ratio, atol=1e-14, err_msg=name)
            np.testing.assert_allclose(price, best.bandwidth_price, rtol=1e-13, err_msg=name)


@pytest.mark.parametrize("library", [np.asarray, torch.tensor])
def test_batches_and_numbers_broadcast(library):
    p = scenario_s()
    deadline_s = np.linspace(0.015, 0.03, 6).reshape(2, 3, 1)
    slack_s = deadline_s - np.asarray(p.fixed_s)
    band, ratio, price = waterfill(
        library(slack_s), float(p.prunable_s[0]), library(p.upload_s), 1.0
    )
    assert (tuple(band.shape), tuple(ratio.shape), tuple(price.shape)) == (
        (2, 3, 10),
        (2, 3, 10),
        (2, 3),
    )
    best = solve(scenario_s(deadline_s=deadline_s))
    np.testing.assert_allclose(ratio, best.pruning_ratio, atol=1e-14)


def test_a_batch_of_many_blocks_is_its_rows():
    rng = np.random.default_rng(21)
    c, a, s = (
        rng.uniform(0.5, 1.5, (9, 8000)),
        rng.uniform(0.1, 2, (9, 8000)),
        rng.uniform(1e-5, 1e-3, (9, 8000)),
    )
    a[4] = 0.0
    whole = waterfill(c, a, s)
    for row in range(9):
        for value, alone in zip(whole, waterfill(c[row], a[row], s[row]), strict=True):
            np.testing.assert_allclose(value[row], alone, rtol=1e-11, atol=1e-16)


def test_an_empty_batch_has_an_empty_answer():
    band, ratio, price = waterfill(np.ones((0, 3)), 1.0, 1.0)
    assert (band.shape, ratio.shape, price.shape) == ((0, 3), (0, 3), (0,))


def test_a_long_problem_is_stationary_at_its_price():
    rng = np.random.default_rng(22)
    c, a, s = (
        rng.uniform(0.5, 1.5, 100_000),
        rng.uniform(0.1, 2, 100_000),
        rng.uniform(2e-6, 2e-4, 100_000),
    )
    band, ratio, price = waterfill(c, a, s)
    inside = (band > 0) & (ratio > 0)
    assert inside.sum() > 30_000
    np.testing.assert_allclose((c * s / (a * band + s) ** 2)[inside], price, rtol=1e-12)
    assert band.sum() == pytest.approx(1, abs=1e-14)


def drawn(name, seed):
    """Two rows of clients as torch tensors, away from the kinks at s = 0 and at c = 0."""
    rows = [CLASSES[name](np.random.default_rng(seed + row), 5) for row in range(2)]
    return [
        torch.tensor(np.stack([getattr(p, f) for p in rows]))
        for f in ("slack_s", "prunable_s", "upload_s", "weight")
    ]


def check_gradients(function, *values):
    assert torch.autograd.gradcheck(
        function, [value.requires_grad_() for value in values], eps=1e-7, atol=1e-5
    )


@pytest.mark.parametrize("output", [0, 1, 2])
@pytest.mark.parametrize(
    "name", ["regular", "late_some", "compute_bound", "weight_zero", "some_compute", "no_compute"]
)
def test_gradients_are_those_of_finite_differences(name, output):
    for seed in range(3):
        c, a, s, w = drawn(name, seed)
        check_gradients(lambda c, s, a=a, w=w: waterfill(c, a, s, w)[output], c, s)


def test_gradients_by_prunable_seconds_and_weight():
    c, a, s, w = drawn("regular", 3)
    check_gradients(lambda a, w: waterfill(c, a, s, w), a, w)


def test_gradients_of_the_optimum_are_the_closed_forms_of_the_envelope_theorem():
    c, a, s, w = (value.requires_grad_() for value in drawn("regular", 4))
    band, ratio, price = waterfill(c, a, s, w)
    (w * (1 - ratio)).sum().backward()
    x, price, band = (1 - ratio).detach(), price.detach(), band.detach()
    inside = (ratio.detach() > 0) & (band > 0)
    assert bool(inside.any())
    work_s = (a * band + s).detach()
    torch.testing.assert_close(
        c.grad[inside], (w * band / work_s)[inside].detach(), rtol=1e-9, atol=0
    )
    torch.testing.assert_close(
        s.grad[inside], -(w * x / work_s)[inside].detach(), rtol=1e-9, atol=0
    )
    unpruned = ratio.detach() == 0
    taken = (price[:, None] * band / s.detach())[
        unpruned
    ]  # b = s / (c - a): more upload takes band from the others
    torch.testing.assert_close(s.grad[unpruned], -taken, rtol=1e-9, atol=0)


def test_spare_band_is_worth_nothing_and_has_finite_gradients():
    c = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64, requires_grad=True)
    s = torch.tensor([0.1, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    band, ratio, price = waterfill(c, 0.2, s)
    (band.sum() + ratio.sum() + price).backward()
    np.testing.assert_allclose(band.detach(), [0.125, 0.0, 0.0], rtol=1e-14)
    assert ratio.tolist() == [0.0, 0.0, 1.0]
    assert price.item() == 0.0
    np.testing.assert_allclose(c.grad, [-0.1 / 0.64, 0.0, 0.0], rtol=1e-12)
    np.testing.assert_allclose(s.grad, [1.25, 0.0, 0.0], rtol=1e-12)


def test_clients_without_bits_are_limited_by_their_work_alone():
    c = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    band, ratio, _ = waterfill(
        c, torch.tensor([4.0, 2.0], dtype=torch.float64), torch.tensor([0.0, 1.0])
    )
    ratio[0].backward()
    assert band.tolist() == [0.0, 1.0]
    assert ratio[0].item() == 0.75
    np.testing.assert_allclose(c.grad, [-0.25, 0.0])


def test_the_optimum_rises_with_slack_and_falls_with_upload():
    for name, p in random_problems(100, seed=23):
        if name in PLAIN:
            c, a, s, w = clients_of(p)
            assert kept(c + 0.01, a, s, w) >= kept(c, a, s, w) - 1e-12
            assert kept(c, a, 1.01 * s, w) <= kept(c, a, s, w) + 1e-12


def test_the_module_needs_no_torch():
    source = importlib.import_module("optimizers._waterfilling.array_api").__file__
    with open(source) as file:
        assert "import torch" not in file.read()


def test_numpy_arrays_need_numpy_alone():
    code = (
        "import sys; sys.modules['array_api_compat'] = None\n"
        "import numpy as np\n"
        "from optimizers import AllocationProblem, solve, waterfill\n"
        "p = AllocationProblem(deadline_s=1.0, fixed_s=0.1, prunable_s=0.5, upload_bits=1.0, rate_bps=np.ones(3))\n"
        "assert solve(p).bandwidth_fraction.sum() > 0.99\n"
        "assert waterfill(np.full(3, 0.9), 0.5, 1.0)[0].sum() > 0.99\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_numbers_alone_are_refused():
    with pytest.raises(InputError, match=r"must be an array of clients, got numbers only$"):
        waterfill(0.9, 0.5, 1.0)


def test_gradients_at_rate_0_are_those_of_a_client_that_takes_no_part():
    rate = torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    c, a, w = (torch.full((3,), value, dtype=torch.float64) for value in (0.8, 0.5, 1.0))
    for value in (c, a, w):
        value.requires_grad_()
    band, ratio, price = waterfill(c, a, upload_seconds(1.0, rate), w)
    (band.square().sum() + ratio.square().sum() + price).backward()
    assert (band[2].item(), ratio[2].item()) == (0.0, 1.0)
    alone = [value.detach()[:2].clone().requires_grad_() for value in (c, a, rate, w)]
    band, ratio, price = waterfill(alone[0], alone[1], upload_seconds(1.0, alone[2]), alone[3])
    (band.square().sum() + ratio.square().sum() + price).backward()
    for value, expected in zip((c, a, rate, w), alone, strict=True):
        np.testing.assert_allclose(value.grad, [*expected.grad.tolist(), 0.0], rtol=1e-12)


@pytest.mark.parametrize("library", [np.asarray, torch.tensor])
def test_upload_seconds(library):
    found = upload_seconds(6.0, library([2.0, 0.0]))
    assert found.tolist() == [3.0, np.inf]


GOOD = {"slack_s": [1.0, 1.0], "prunable_s": [0.5, 0.5], "upload_s": [1.0, 2.0], "weight": [1.0, 1]}


@pytest.mark.parametrize("library", [np.asarray, torch.tensor])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slack_s": [np.nan, 1.0]}, "slack_s must be a number for every client, got nan"),
        ({"slack_s": [np.inf, 1.0]}, "slack_s must be at most 1e+65, got inf"),
        ({"prunable_s": [-1.0, 1.0]}, "prunable_s must be at least 0, got -1"),
        ({"upload_s": [1.0, np.nan]}, "upload_s must be a number for every client, got nan"),
        ({"weight": [1e308, 1e308]}, "weight must be at most 1e+65, got 1e+308"),
        ({"weight": [1.0, 1.0, 1.0]}, "shapes must broadcast to (..., K), got slack_s (2,)"),
    ],
)
def test_bad_values_are_refused_in_one_line(library, changes, message):
    values = {name: library(np.array(value)) for name, value in (GOOD | changes).items()}
    with pytest.raises(InputError, match=re.escape(message)) as error:
        waterfill(**values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tensor_first", [True, False])
def test_arrays_of_two_libraries_are_refused(tensor_first):
    slack_s, upload_s = np.ones(2), torch.ones(2)
    if tensor_first:
        slack_s, upload_s = upload_s, slack_s
    with pytest.raises(InputError, match=r"arrays must be of one library, got \w+ and \w+$"):
        waterfill(slack_s, 0.5, upload_s)


def test_what_is_no_number_is_refused():
    with pytest.raises(InputError, match="prunable_s must be a number or an array, got 'soon'"):
        waterfill(np.ones(2), "soon", 1.0)
