"""Bandits for pruning ratios: intervals, bounds, regret on a synthetic problem, resumption."""

import numpy as np
import pytest

from training.submodels.bandit import Bandit, Trials
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

BANDIT = Bandit(bandit_most=0.8, bandit_granularity=0.31)


def array(*values):
    return np.array(values, dtype=np.float64)


def play(pays, rounds, bandit=BANDIT, seed=0, noise=0.05):
    """Ratios chosen when a ratio pays `pays(ratio)` and some noise."""
    ratios, rewards = array(), array()
    for round in range(rounds):
        draw = Streams(seed, round).generator("bandit", 0)
        ratio = bandit.choose(ratios, rewards, draw)
        paid = pays(ratio) + noise * Streams(seed, round).generator("noise").standard_normal()
        ratios, rewards = np.append(ratios, ratio), np.append(rewards, paid)
    return ratios


def tent(best):
    """The problem on which the defaults were chosen."""
    return lambda ratio: 1 - np.abs(ratio - best)


def cliff(ratio):
    """Pays more and more until too much is gone."""
    return np.where(ratio < 0.55, 0.2 + ratio, 0.0)


def two_peaks(ratio):
    """The higher one at 0.7."""
    return 0.6 * np.exp(-(((ratio - 0.15) / 0.1) ** 2)) + np.exp(-(((ratio - 0.7) / 0.1) ** 2))


def test_intervals_are_cut_where_they_are_tried_until_they_are_short():
    assert BANDIT.edges(array()).tolist() == [0, 0.8]
    assert BANDIT.edges(array(0.5)).tolist() == [0, 0.5, 0.8]
    assert BANDIT.edges(array(0.5, 0.2, 0.6, 0.1)).tolist() == [
        0,
        0.2,
        0.5,
        0.8,
    ]  # shorter ones stay whole
    assert BANDIT.edges(array(0.0)).tolist() == [0, 0.8]


def test_an_interval_never_tried_is_next_and_the_bound_follows_the_formula():
    draw = Streams(0).generator("bandit", 0)
    assert (
        BANDIT.choose(array(0.5), array(1.0), draw) < 0.5
    )  # a ratio belongs to the interval on its right
    ratios, rewards, edges = array(0.5, 0.2, 0.6), array(1.0, 0.5, 2.0), array(0, 0.2, 0.5, 0.8)
    d, c = BANDIT.bandit_discount, BANDIT.bandit_exploration
    tries = array(d, 1 + d**2)
    expected = array(d * 0.25, 1 + d**2 * 0.5) / tries + c * np.sqrt(
        2 * np.log(tries.sum()) / tries
    )
    np.testing.assert_allclose(BANDIT._bounds(edges, ratios, rewards), [np.inf, *expected])


@pytest.mark.parametrize("best", [0.1, 0.45, 0.75])
def test_regret_falls(best):
    bandit = Bandit(bandit_most=0.9)
    regret = np.mean(
        [np.abs(play(tent(best), 200, bandit, seed) - best) for seed in range(3)], axis=0
    )
    assert regret[-50:].mean() < 0.75 * regret[:20].mean()
    assert regret[-50:].mean() < 0.1


@pytest.mark.parametrize(
    ("pays", "noise"), [(cliff, 0.05), (cliff, 0.3), (two_peaks, 0.05), (two_peaks, 0.3)]
)
def test_the_defaults_carry_over_to_problems_that_they_were_not_chosen_on(pays, noise):
    """At least half of what the best ratio pays above an even draw."""
    grid = pays(np.linspace(0, 0.9, 901))
    paid = np.mean([pays(play(pays, 200, Bandit(), seed, noise)[-50:]) for seed in range(8)])
    assert paid - grid.mean() > 0.5 * (grid.max() - grid.mean())


@pytest.mark.slow
def test_clients_of_different_speeds_come_together_with_little_exploration():
    bandit, speeds, gaps = Bandit(bandit_exploration=0.02), array(1.0, 0.6, 0.3, 0.15), []
    for seed in range(4):
        found = Trials.none(4)
        for round in range(200):
            chosen = found.choices(bandit, Streams(seed, round))
            seconds = (1.0 - chosen) / speeds
            gaps.append(np.abs(seconds / seconds.mean() - 1.0).mean())
            found = found.after(chosen, seconds, 2.0 * np.exp(-round / 100), np.ones(4, dtype=bool))
    gap = np.reshape(gaps, (4, 200))
    assert gap[:, -50:].mean() < 0.7 * gap[:, :20].mean()


def test_it_follows_changing_rewards():
    ratios, rewards = array(), array()
    for round in range(400):
        ratio = BANDIT.choose(ratios, rewards, Streams(1, round).generator("bandit", 0))
        best = 0.1 if round < 200 else 0.7
        ratios, rewards = np.append(ratios, ratio), np.append(rewards, 1 - abs(ratio - best))
    assert ratios[150:200].mean() < 0.35
    assert ratios[350:].mean() > 0.5


def trials(rounds, seed=0, start=None, clients=3):
    found, first = (Trials.none(clients), 0) if start is None else (start, len(start.ratios))
    for round in range(first, rounds):
        chosen = found.choices(BANDIT, Streams(seed, round))
        found = found.after(chosen, 1.0 - chosen, 2.0 / (1 + round), np.ones(clients, dtype=bool))
    return found


def test_trials_are_a_function_of_the_seed_and_go_on_where_they_stopped():
    whole, again, other = trials(8), trials(8), trials(8, seed=1)
    assert np.array_equal(whole.ratios, again.ratios)
    assert not np.array_equal(whole.ratios, other.ratios)
    resumed = trials(
        8, start=Trials.none(3).unpack({k: v.copy() for k, v in trials(5).pack().items()})
    )
    for name, values in whole.pack().items():
        np.testing.assert_array_equal(resumed.pack()[name], values)


def test_a_choice_does_not_depend_on_the_other_clients():
    streams = Streams(2, 0)
    assert (
        Trials.none(2).choices(BANDIT, streams).tolist()
        == Trials.none(5).choices(BANDIT, streams).tolist()[:2]
    )


def test_rewards_follow_the_formula():
    all_clients = np.ones(3, dtype=bool)
    first = Trials.none(3).after(array(0.1, 0.2, 0.3), array(1, 2, 3), 2.0, all_clients)
    assert np.isnan(first.rewards).all()  # nothing to compare with
    second = first.after(array(0.4, 0.5, 0.6), array(1, 2, 3), 1.5, all_clients)
    np.testing.assert_allclose(second.rewards[1], [0.5 / 0.5, 0.5 / 0.01, 0.5 / 0.5])
    third = second.after(array(0.4, 0.5, 0.6), array(1, 9, 3), 1.0, np.array([True, False, True]))
    np.testing.assert_allclose(third.rewards[2], [1.0, np.nan, 1.0])
    assert third.after(array(0, 0, 0), array(0, 0, 0), None, np.zeros(3, dtype=bool)) is third


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bandit_most": 1.0}, "training.bandit_most must be at most 0.99, got 1"),
        ({"bandit_granularity": 0}, "training.bandit_granularity must be above 0, got 0"),
        ({"bandit_discount": 1.1}, "training.bandit_discount must be at most 1, got 1.1"),
        ({"bandit_exploration": -1}, "training.bandit_exploration must be at least 0, got -1"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        Bandit(**fields)


def test_trials_of_other_clients_are_refused_in_one_line():
    with pytest.raises(
        InputError, match=r"training state trial_ratios must have shape \(4, 2\), got \(4, 3\)"
    ):
        Trials.none(2).unpack(trials(4).pack())
    arrays = trials(4).pack()
    del arrays["trial_loss"]
    with pytest.raises(
        InputError, match=r"training state trial_loss must have shape \(\), got nothing"
    ):
        Trials.none(3).unpack(arrays)
