"""Dis-PFL: masks of a fixed size that move, and the mean over holders."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.agents import LOOP, TASK, batches, delivery, equal, rounds, row, started
from helpers.reference import gradient, mean_over_holders

from training.algorithms.decentralised.dis_pfl import DisPfl
from training.decentralised.mask_search import layer_counts, moving_fraction
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K = 3
ALGORITHM = DisPfl(task=TASK, graph=row(), keep_ratios=(0.5, 0.2, 0.8), anneal_rounds=4)
MODEL, LAYOUT = ALGORITHM.method.spec().build_model()
LAYERS = [entry for entry in LAYOUT.parameters if len(entry.shape) > 1]
NONE, ALL = np.zeros(K), Delivery.all(K)
NEIGHBOURS = [[0, 1], [0, 1, 2], [1, 2]]
MASKABLE = sum(entry.size for entry in LAYERS)


def ones(masks):
    """Per agent and layer."""
    return np.stack([np.count_nonzero(masks[:, entry.slice], axis=1) for entry in LAYERS], axis=1)


def moved(mask, w, share, grown):
    """The mask after the smallest went and as many of `grown(empty places, number)` came."""
    new = mask.clone()
    for entry in LAYERS:
        kept = entry.offset + mask[entry.slice].nonzero().view(-1)
        empty = entry.offset + (~mask[entry.slice]).nonzero().view(-1)
        number = min(math.ceil(share * len(kept) - 1e-9), len(empty))
        new[kept[w[kept].abs().argsort(stable=True)[:number]]] = False
        new[grown(empty, number)] = True
    return new


def reference_run(algorithm, iterations):
    """Vectors, masks and trained models after a number of iterations."""
    _, first = started(algorithm)
    w, masks = (torch.tensor(first.rows[name]) for name in ("vector", "mask"))
    for t in range(iterations):
        rate, share = 0.1 * 0.998**t, 0.25 * (1 + math.cos(math.pi * t / 4))
        trained, after = w.clone(), masks.clone()
        looks = list(batches(K, t, "batches/regrow"))
        for k, batch in enumerate(batches(K, t)):
            g = gradient(MODEL, LAYOUT, w[k], *batch) * masks[k]
            g *= min(1.0, (algorithm.clip_norm or math.inf) / g.norm().item())
            trained[k] = w[k] - rate * (g + 5e-4 * w[k])
            if algorithm.regrow == "gradient":
                look = gradient(MODEL, LAYOUT, trained[k], *looks[k]).abs()
                after[k] = moved(
                    masks[k],
                    trained[k],
                    share,
                    lambda at, n, g=look: at[g[at].argsort(stable=True)[len(at) - n :]],
                )
            else:
                draw = Streams(0, t).generator("regrow", k)
                after[k] = moved(
                    masks[k],
                    trained[k],
                    share,
                    lambda at, n, draw=draw: torch.from_numpy(
                        draw.choice(at.numpy(), n, replace=False)
                    ),
                )
        means = [
            mean_over_holders(trained[k], [(trained[j], masks[j]) for j in NEIGHBOURS[k]])
            for k in range(K)
        ]
        w, masks = torch.stack(means) * after, after
    return w, masks, trained


@pytest.mark.parametrize("fields", [{}, {"regrow": "gradient", "clip_norm": 0.5}])
def test_three_iterations_match_the_reference(fields):
    algorithm = replace(ALGORITHM, **fields)
    state, _ = rounds(algorithm, 3)
    w, masks, trained = reference_run(algorithm, 3)
    assert np.array_equal(state.rows["mask"], masks)
    np.testing.assert_allclose(state.rows["vector"], w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.rows["model"], trained, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("regrow", ["random", "gradient"])
def test_layers_keep_their_number_of_ones_and_only_pruned_weights_return(regrow):
    trainer, state = started(replace(ALGORITHM, regrow=regrow))
    first = ones(state.rows["mask"])
    for t in range(6):
        before, (state, _) = state.rows["mask"], trainer.step(state, NONE, ALL)
        mask, model = state.rows["mask"], state.rows["model"]
        assert np.array_equal(ones(mask), first)
        assert not np.any(model[~before])  # trained and judged under the old mask
        assert not np.any(state.rows["vector"][~mask])
        grown, gone = mask & ~before, before & ~mask
        empty = np.array([entry.size for entry in LAYERS]) - first
        expected = np.minimum(np.ceil(moving_fraction(0.5, t, 4) * first - 1e-9), empty)
        assert np.array_equal(ones(grown), expected)
        for agent in range(K):
            for entry in LAYERS:
                stays, size = (before & mask)[agent, entry.slice], np.abs(model[agent, entry.slice])
                assert np.all(size[gone[agent, entry.slice]] <= size[stays].min(initial=np.inf))
    assert not grown.any()  # annealed


@pytest.mark.parametrize("regrow", ["random", "gradient"])
def test_masks_move_every_move_every_rounds(regrow):
    trainer, state = started(replace(ALGORITHM, regrow=regrow, anneal_rounds=40, move_every=3))
    updates = []
    for t in range(6):
        updates.append(trainer.demand(state).fixed_updates)
        before, (state, metrics) = state.rows["mask"], trainer.step(state, NONE, ALL)
        assert np.array_equal(state.rows["mask"], before) == (t not in (2, 5))
        assert metrics.uplink_bits.all()
    look = LAYOUT.parameter_size * (regrow == "gradient")
    np.testing.assert_allclose(
        np.subtract(updates, updates[0]), np.outer([0, 0, look, 0, 0, look], np.ones(K))
    )


def test_the_drop_follows_half_a_cosine():
    assert [moving_fraction(0.5, t, 4) for t in range(6)] == pytest.approx(
        [0.5, 0.25 * (1 + math.sqrt(0.5)), 0.25, 0.25 * (1 - math.sqrt(0.5)), 0.0, 0.0]
    )


def test_first_masks_are_drawn_for_each_agent_by_the_kernel_rule():
    """Two layers under density 1 have the same e in density = e (sum of the shape) / size."""
    masks = started(replace(ALGORITHM, keep_ratios=None, keep_ratio=0.2))[1].rows["mask"]
    counts = ones(masks)
    assert np.all(counts == counts[0])
    assert tuple(counts[0]) == layer_counts(LAYOUT, 0.2)
    assert counts[0].sum() == MASKABLE - math.floor(0.8 * MASKABLE)
    scale = [
        count / sum(entry.shape)
        for count, entry in zip(counts[0], LAYERS, strict=True)
        if count < entry.size
    ]
    assert len(scale) >= 2
    assert max(scale) == pytest.approx(min(scale), rel=0.05)
    assert len({mask.tobytes() for mask in masks}) == K
    biases = [entry for entry in LAYOUT.parameters if len(entry.shape) == 1]
    assert all(masks[:, entry.slice].all() for entry in biases)
    more = started(replace(ALGORITHM, keep_ratios=None, keep_ratio=0.2, graph=row(4)), agents=4)[
        1
    ].rows["mask"]
    assert np.array_equal(
        more[:K], masks
    )  # a draw of one agent does not depend on how many there are


def test_dense_masks_give_the_mean_of_the_closed_neighbourhood_and_then_sgd():
    algorithm = replace(
        ALGORITHM,
        keep_ratios=None,
        keep_ratio=1.0,
        weight_decay=0.0,
        clip_norm=None,
        learning_rate_decay=1.0,
    )
    trainer, state = started(algorithm)
    weights = np.array([[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 2, 1 / 2]])
    for t in range(2):
        before, (state, _) = torch.tensor(state.rows["vector"]), trainer.step(state, NONE, ALL)
        sgd = [
            before[k] - 0.1 * gradient(MODEL, LAYOUT, before[k], *batch)
            for k, batch in enumerate(batches(K, t))
        ]
        np.testing.assert_allclose(state.rows["model"], torch.stack(sgd), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            state.rows["vector"], weights @ state.rows["model"], rtol=1e-5, atol=1e-6
        )
        assert state.rows["mask"].all()


@pytest.mark.parametrize(("regrow", "looks"), [("random", 0), ("gradient", 1)])
def test_agents_send_and_update_the_weights_that_they_keep(regrow, looks):
    trainer, state = started(replace(ALGORITHM, regrow=regrow, local_steps=3))
    kept = np.count_nonzero(state.rows["mask"], axis=1)
    for _ in range(2):
        asked = trainer.demand(state)
        state, metrics = trainer.step(state, NONE, ALL)
        assert np.array_equal(metrics.uplink_bits, 32.0 * kept)
        assert np.array_equal(asked.fixed_upload_bits, 32.0 * kept)
        np.testing.assert_allclose(asked.fixed_updates, 3 * kept + looks * LAYOUT.parameter_size)
        assert np.array_equal(np.argsort(metrics.flops), [1, 0, 2])
        assert metrics.extra["ones_share"] == pytest.approx(0.5, abs=0.01)
    for fields, bits in (
        ({"payload": "values"}, 32.0 * LAYOUT.size),
        ({"count_mask_bits": True}, 32.0 * kept + MASKABLE),
    ):
        assert np.array_equal(
            replace(ALGORITHM, **fields).demand(K).fixed_upload_bits, np.broadcast_to(bits, K)
        )


def test_an_idle_agent_keeps_its_mask_and_a_late_model_comes_with_its_own():
    trainer, state = started(ALGORITHM)
    after, _ = trainer.step(state, NONE, delivery(participates=[0, 2], on_time=[0], late=[2]))
    for name, array in state.rows.items():
        assert np.array_equal(after.rows[name][1], array[1])
    assert np.array_equal(after.late[2]["mask"], state.rows["mask"][2])
    restored = trainer.unpack(trainer.pack(after))
    assert equal(
        *(trainer.step(each, NONE, delivery(arrived_late=[2]))[0] for each in (after, restored))
    )


@pytest.mark.parametrize("regrow", ["random", "gradient"])
def test_a_resumed_run_is_the_same_run_and_stacked_agents_those_of_the_loop(regrow):
    algorithm = replace(ALGORITHM, regrow=regrow)
    whole, _ = rounds(algorithm, 3)
    trainer, _ = started(algorithm)
    state = trainer.unpack(trainer.pack(rounds(algorithm, 2)[0]))
    assert equal(trainer.step(state, NONE, ALL)[0], whole)
    stacked, _ = rounds(algorithm, 3, runtime=replace(LOOP, executor="stacked"))
    assert np.array_equal(stacked.rows["mask"], whole.rows["mask"])
    np.testing.assert_allclose(stacked.rows["vector"], whole.rows["vector"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep_ratios": (0.5, 0.0, 0.5)}, "training.keep_ratios must be above 0, got 0"),
        ({"learning_rate_decay": 1.1}, "training.learning_rate_decay must be at most 1, got 1.1"),
        ({"drop_share": -0.1}, "training.drop_share must be at least 0, got -0.1"),
        (
            {"anneal_rounds": 0},
            "training.anneal_rounds must be a whole number of at least 1, got 0",
        ),
        ({"move_every": 0}, "training.move_every must be a whole number of at least 1, got 0"),
        ({"regrow": "both"}, "training.regrow must be one of random, gradient"),
        ({"payload": "ones"}, "training.payload must be one of nonzero, values"),
        ({"clip_norm": 0.0}, "training.clip_norm must be above 0, got 0"),
    ],
)
def test_bad_fields_are_one_line(fields, message):
    with pytest.raises(InputError) as caught:
        replace(ALGORITHM, **fields)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_ratios_of_another_number_of_agents_are_one_line():
    with pytest.raises(
        InputError, match=r"^training.keep_ratios must have 4 numbers, one per client, got 3$"
    ):
        started(replace(ALGORITHM, graph=row(4)), agents=4)
