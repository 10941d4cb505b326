"""FedMP: l1 norms, recovery of the residual, ratios from bandits."""

import numpy as np
import pytest
from helpers.sub_models import train_in_place

from training.algorithms.server.fedavg import FedAvg
from training.algorithms.submodels.ca_hfp import CaHfp
from training.algorithms.submodels.fedmp import Fedmp
from training.engine.program import LocalWork
from training.server.time_model import TimeModel
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from training.submodels.bandit import Bandit
from training.submodels.ratios import FilterRatios
from training.submodels.scores import FilterScore
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K = 4
TASK = Task(partition="dirichlet", batch_size=16)
ALL, NONE = Delivery.all(K), np.zeros(K)
GIVEN = FilterRatios(ratios="given", filter_ratios=(0.0, 0.25, 0.5, 0.75))
BY_BANDIT = FilterRatios(ratios="bandit")


def start(algorithm):
    trainer = algorithm.trainer(clients=K, seed=0, runtime=Runtime(executor="loop"))
    return trainer, trainer.init(0)


def run(algorithm, rounds=2):
    trainer, state = start(algorithm)
    for _ in range(rounds):
        state, metrics = trainer.step(state, NONE, ALL)
    return trainer, state, metrics


def test_with_the_same_masks_it_is_ca_hfp():
    _, one, _ = run(Fedmp(task=TASK, ranks=GIVEN))
    _, other, _ = run(CaHfp(task=TASK, ranks=GIVEN, score=FilterScore(score="l1", random_rounds=0)))
    assert np.array_equal(one.shared, other.shared)
    _, scored, _ = run(CaHfp(task=TASK, ranks=GIVEN))
    assert not np.array_equal(one.shared, scored.shared)


def test_without_pruning_it_is_fedavg_bit_for_bit():
    _, one, _ = run(Fedmp(task=TASK, ranks=FilterRatios(ratios="uniform", filter_ratio=0.0)))
    assert np.array_equal(one.shared, run(FedAvg(task=TASK))[1].shared)


def test_a_round_is_the_mean_of_sub_models_and_residuals():
    """w_{t+1} = sum_k p_k (trained sub-model + (w_t - m_k w_t)), filters by their l1 norms."""
    algorithm = Fedmp(task=TASK, ranks=GIVEN)
    trainer, state = start(algorithm)
    after, _ = trainer.step(state, NONE, ALL)
    spec, data = algorithm.method.spec(), TASK.load(clients=K, seed=0, data_root=None)
    engine, (model, layout) = spec.build(data), spec.build_model()
    structure, recovered = Structure.of(model, layout), []
    tensors = {
        entry.name: state.shared[entry.slice].reshape(entry.shape) for entry in layout.entries
    }
    for client, ratio in enumerate(GIVEN.filter_ratios):
        kept = {}
        for name, width in structure.uniform(ratio).items():
            norms = (
                np.abs(tensors[f"{name}.weight"]).reshape(len(tensors[f"{name}.bias"]), -1).sum(1)
            )
            kept[name] = tuple(
                sorted(np.argsort(norms + np.abs(tensors[f"{name}.bias"]))[-width:].tolist())
            )
        work = LocalWork(
            client=client,
            vector=state.shared.copy(),
            program=algorithm.method.program,
            pruning_ratio=0.0,
            streams=Streams(0, 0),
            sub=SubModel(kept=kept),
        )
        result = train_in_place(engine, structure, work)
        recovered.append(result.vector * result.mask + (state.shared - result.mask * state.shared))
    sizes = [len(rows) for rows in data.train_index]
    np.testing.assert_allclose(
        after.shared, np.average(recovered, axis=0, weights=sizes), rtol=1e-5, atol=1e-8
    )


def test_bandits_choose_and_the_demand_and_the_costs_are_those_of_their_choice():
    speeds = TimeModel(assumed_flops_per_s=(1e9, 5e8, 2e8, 1e8))
    algorithm = Fedmp(task=TASK, ranks=BY_BANDIT, time=speeds)
    trainer, state = start(algorithm)
    seen = []
    for _ in range(3):
        asked = trainer.demand(state)
        state, metrics = trainer.step(state, NONE, ALL)
        np.testing.assert_array_equal(metrics.uplink_bits, asked.fixed_upload_bits)
        np.testing.assert_array_equal(metrics.downlink_bits, asked.fixed_download_bits)
        seen.append(tuple(asked.fixed_upload_bits))
    assert len(set(seen)) == 3
    assert len(set(seen[0])) == K
    assert state.trials.ratios.shape == (3, K)
    assert np.isfinite(state.trials.rewards[1:]).all()
    middle = Fedmp(task=TASK, ranks=FilterRatios(ratios="uniform", filter_ratio=0.45)).demand(K)
    np.testing.assert_array_equal(algorithm.demand(K).fixed_upload_bits, middle.fixed_upload_bits)


def test_a_reward_counts_flops_and_bits_both_ways():
    algorithm = Fedmp(
        task=TASK, ranks=BY_BANDIT, time=TimeModel(assumed_flops_per_s=1e9, assumed_rate_bps=1e7)
    )
    trainer, state = start(algorithm)
    state, before = trainer.step(state, NONE, ALL)
    state, metrics = trainer.step(state, NONE, ALL)
    seconds = metrics.flops / 1e9 + (metrics.uplink_bits + metrics.downlink_bits) / 1e7
    gap = np.maximum(0.01, np.abs(seconds / seconds.mean() - 1))
    np.testing.assert_allclose(state.trials.rewards[1], (before.loss - metrics.loss) / gap)


def test_a_state_with_bandits_is_restored_completely():
    algorithm = Fedmp(task=TASK, ranks=BY_BANDIT)
    trainer, state, _ = run(algorithm)
    fresh, _ = start(algorithm)
    restored = fresh.unpack({name: values.copy() for name, values in trainer.pack(state).items()})
    (one, _), (other, _) = trainer.step(state, NONE, ALL), fresh.step(restored, NONE, ALL)
    for name, values in trainer.pack(one).items():
        np.testing.assert_array_equal(fresh.pack(other)[name], values)


def test_an_idle_client_has_no_trial():
    trainer, state, _ = run(Fedmp(task=TASK, ranks=BY_BANDIT), rounds=1)
    here = np.array([True, True, False, True])
    no_client = np.zeros(K, dtype=bool)
    state, _ = trainer.step(
        state,
        NONE,
        Delivery(participates=here, on_time=here, late=no_client, arrived_late=no_client),
    )
    assert np.isfinite(state.trials.rewards[1]).tolist() == here.tolist()


def test_ca_hfp_can_have_bandits_too():
    _, state, _ = run(CaHfp(task=TASK, ranks=BY_BANDIT, bandit=Bandit(bandit_most=0.5)), rounds=1)
    assert np.all(state.trials.ratios < 0.5)


def test_errors_are_one_line():
    with pytest.raises(InputError, match=r"training.momentum must be below 1, got 1"):
        Fedmp(momentum=1.0)
    with pytest.raises(
        InputError,
        match=r"'logistic' must declare groups of filters to be pruned by them, got none",
    ):
        Fedmp(task=Task(model="logistic", dataset="mnist")).demand(K)
    speeds = TimeModel(assumed_flops_per_s=(1e9, 1e9))
    with pytest.raises(
        InputError,
        match=r"training.assumed_flops_per_s must have one number for each of 4 .*, got 2",
    ):
        Fedmp(task=TASK, ranks=BY_BANDIT, time=speeds).demand(K)  # before a round, not after it
    trainer, state = start(Fedmp(task=TASK, ranks=BY_BANDIT))
    with pytest.raises(InputError, match=r"in an algorithm whose ratios are its own, got 0.5"):
        trainer.step(state, np.full(K, 0.5), ALL)
