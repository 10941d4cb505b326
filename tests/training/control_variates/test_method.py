"""Rules of the meta-algorithm of [SPS], their uploads, and their demand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.algorithms.control_variates.accelerated_server_pruning import AcceleratedServerPruning
from training.algorithms.control_variates.fediht import Fediht
from training.algorithms.control_variates.final_topk import FinalTopk
from training.algorithms.control_variates.proxskip import Proxskip
from training.algorithms.control_variates.randprox_l1 import RandproxL1
from training.algorithms.control_variates.scaffold import Scaffold
from training.algorithms.control_variates.sparse_proxskip import SparseProxskip
from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import (
    ControlVariateMethod,
    SoftThresholdRule,
    UpdateRules,
)
from training.control_variates.sparsity_settings import Sparse, SparseUpload
from training.sparsity.payload import sparse_bits
from training.sparsity.prox import SoftThreshold, TopK
from training.structure.layout import Layout
from training.task import Task
from wirelessfl.errors import InputError

D = 281
BLOG = Layout((), 0, D, 0, D)
TASK = Task(dataset="blogfeedback", model="linear", partition="natural")


@pytest.mark.parametrize(
    ("nonzero", "payload", "bits"),
    [
        (281, "values", 8992),
        (28, "values", 896),
        (28, "values+index", 1148),
        (28, "bitmap", 1177),
        (0, "coded", 9),  # the number of nonzero weights, at most 281
        (1, "coded", 32 + 9 + 9),  # one of 281 places
        (281, "coded", 281 * 32 + 9),
        (0, "values", 0),
    ],
)
def test_bits_are_those_of_blogfeedback_in_the_paper(nonzero, payload, bits):
    assert sparse_bits(nonzero, D, payload) == bits
    assert sparse_bits(np.array([nonzero]), D, payload).tolist() == [bits]


@pytest.mark.parametrize(("sparsity", "kept"), [(0.0, 281), (0.8, 56), (0.9, 28), (0.95, 14)])
def test_k_is_that_of_the_paper(sparsity, kept):
    method = SparseProxskip(task=TASK, sparse=SparseUpload(sparsity=sparsity)).method
    assert method.model_kept(D) == kept
    assert method.kept(np.zeros(3), D).tolist() == [kept] * 3
    assert (
        ControlVariateMethod(
            task=TASK, descent=LocalDescent(), rules=UpdateRules(), sparsity=0.9
        ).model_kept(48670)
        == 4867
    )


def test_a_round_of_sparse_proxskip_costs_k_over_d_of_server_pruning():
    asked = [
        algorithm(task=TASK, sparse=sparse).demand(3)
        for algorithm, sparse in (
            (SparseProxskip, SparseUpload()),
            (AcceleratedServerPruning, Sparse()),
        )
    ]
    np.testing.assert_array_equal(asked[0].fixed_upload_bits / asked[1].fixed_upload_bits, 28 / D)
    np.testing.assert_array_equal(asked[0].fixed_updates, asked[1].fixed_updates)


def test_the_demand_without_a_round_is_that_of_the_expected_steps_and_a_dense_download():
    demand = SparseProxskip(task=TASK, descent=LocalDescent(probability=1 / 200)).demand(4)
    np.testing.assert_allclose(demand.fixed_updates, np.full(4, 200 * D))
    assert demand.fixed_upload_bits.tolist() == [896.0] * 4
    assert demand.fixed_download_bits.tolist() == [8992.0] * 4


@pytest.mark.parametrize(
    ("payload", "fixed", "prunable"),
    [("values", 0.0, 8992.0), ("values+index", 0.0, 281 * 41.0), ("bitmap", 281.0, 8992.0)],
)
def test_allocated_bits_shrink_with_the_ratio_and_local_steps_do_not(payload, fixed, prunable):
    algorithm = SparseProxskip(
        task=TASK, sparse=SparseUpload(sparsity_from="allocation", payload=payload)
    )
    demand = algorithm.demand(2)
    assert demand.fixed_upload_bits.tolist() == [fixed] * 2
    assert demand.prunable_upload_bits.tolist() == [prunable] * 2
    assert not demand.prunable_updates.any()
    ratios = np.array([0.0, 0.9])
    kept = algorithm.method.kept(ratios, D)
    assert kept.tolist() == [281, 28]
    sent = algorithm.method.upload_bits(kept, kept, BLOG)
    assert np.all(sent <= demand.fixed_upload_bits + (1 - ratios) * demand.prunable_upload_bits)


def test_uploads_that_are_not_pruned_are_dense_although_weights_are_zero():
    kept, nonzero = np.array([28, 28]), np.array([3, 200])
    for algorithm, bits in (
        (Proxskip(task=TASK), [8992.0] * 2),
        (FinalTopk(task=TASK), [8992.0] * 2),
        (Scaffold(task=TASK), [2 * 8992.0] * 2),
        (AcceleratedServerPruning(task=TASK), [8992.0] * 2),
        (Fediht(task=TASK), [896.0] * 2),
        (RandproxL1(task=TASK), [96.0, 6400.0]),
    ):
        assert algorithm.method.upload_bits(kept, nonzero, BLOG).tolist() == bits


def test_downloads_are_sparse_where_that_is_less():
    indexed = AcceleratedServerPruning(task=TASK, sparse=Sparse(payload="values+index")).method
    assert indexed.download_bits(28, BLOG) == 1148
    assert indexed.download_bits(280, BLOG) == 8992
    assert indexed.download_bits(None, BLOG) == 8992
    assert Proxskip(task=TASK).method.download_bits(28, BLOG) == 8992
    assert Scaffold(task=TASK).method.download_bits(28, BLOG) == 2 * 8992


def test_running_statistics_go_up_and_down_whole():
    layout = Layout((), 0, D, 0, D + 10)
    method = SparseProxskip(task=TASK).method
    assert method.upload_bits(np.array([28]), np.array([28]), layout).tolist() == [32.0 * 38]
    assert method.download_bits(28, layout) == 32 * 38


def test_the_exchange_is_that_of_a_drawing():
    trained = np.array([[3.0, -1.0, 0.5, 0.0], [1.0, 2.0, -4.0, 1.0]])
    control, kept = np.array([[1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]]), np.array([2, 2])
    rules = UpdateRules(upload=TopK)
    sent = rules.sent(trained, kept)
    assert sent.tolist() == [[3.0, -1.0, 0.0, 0.0], [0.0, 2.0, -4.0, 0.0]]
    model, after = rules.exchange(sent, trained, control, model_kept=2, scale=10.0)
    assert model.tolist() == [1.5, 0.5, -2.0, 0.0]
    assert after.tolist() == [[-14.0, 15.0, -20.0, 0.0], [14.0, -15.0, 20.0, 0.0]]
    assert control.tolist() == [
        [1.0, 0.0, 0.0, 0.0],
        [-1.0, 0.0, 0.0, 0.0],
    ]  # the given arrays stay
    model, after = UpdateRules(server=TopK).exchange(
        trained, trained, control, model_kept=1, scale=1.0
    )
    assert model.tolist() == [2.0, 0.0, 0.0, 0.0]
    assert after[0].tolist() == [0.0, 1.0, -0.5, 0.0]
    model, after = UpdateRules(server=TopK, control_after_server=False).exchange(
        trained, trained, control, model_kept=1, scale=1.0
    )
    assert model.tolist() == [2.0, 0.0, 0.0, 0.0]
    assert after.sum(axis=0).tolist() == [0.0] * 4


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_the_sum_of_the_control_variates_is_preserved(clients, size, seed, scale):
    rng = np.random.default_rng(seed)
    trained, control = rng.normal(size=(clients, size)), rng.normal(size=(clients, size))
    kept = rng.integers(1, size + 1, size=clients)
    for rules in (
        UpdateRules(upload=TopK),
        UpdateRules(upload=TopK, server=TopK, control_after_server=False),
    ):
        sent = rules.sent(trained, kept)
        assert np.count_nonzero(sent, axis=1).tolist() == kept.tolist()
        _, after = rules.exchange(sent, trained, control, model_kept=1, scale=scale)
        np.testing.assert_allclose(
            after.sum(axis=0), control.sum(axis=0), atol=1e-9 * (1 + np.abs(after).sum())
        )
        _, unseen = UpdateRules(upload=TopK, control_after_upload=False).exchange(
            sent, trained, control, model_kept=1, scale=scale
        )
        expected = control.sum(axis=0) + scale * (sent - trained).sum(axis=0)
        np.testing.assert_allclose(
            unseen.sum(axis=0), expected, atol=1e-9 * (1 + np.abs(unseen).sum())
        )


def test_each_client_prunes_to_its_own_number():
    trained = np.array([[3.0, -1.0, 0.5], [1.0, 2.0, -4.0]])
    assert UpdateRules(upload=TopK).sent(trained, np.array([1, 2])).tolist() == [
        [3.0, 0.0, 0.0],
        [0.0, 2.0, -4.0],
    ]


def test_shrinking_does_not_look_at_the_number():
    assert SoftThresholdRule(0.3)(5) == SoftThresholdRule(0.3)(7) == SoftThreshold(0.3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Sparse(sparsity=1.0), "training.sparsity must be below 1, got 1"),
        (lambda: SparseUpload(sparsity=-0.1), "training.sparsity must be at least 0, got -0.1"),
        (lambda: FinalTopk(sparsity=1.2), "training.sparsity must be below 1, got 1.2"),
        (lambda: Scaffold(sparsity=float("nan")), "training.sparsity must be finite, got nan"),
        (
            lambda: SparseUpload(payload="zip"),
            "training.payload must be one of values, values+index, bitmap, coded; got 'zip'",
        ),
        (
            lambda: SparseUpload(sparsity_from="air"),
            "training.sparsity_from must be one of given, allocation; got 'air'",
        ),
        (lambda: RandproxL1(l1=-1), "training.l1 must be at least 0, got -1"),
        (
            lambda: SparseProxskip(task=TASK, sparse=SparseUpload(sparsity=0.999)).demand(2),
            "training.sparsity must leave one of 281 weights, got 0.999",
        ),
    ],
)
def test_bad_fields_are_refused_in_one_line(make, said):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == said
