"""Plans for every link where noise has a density: what is planned is what happens, and nothing
keeps more.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from optimizers import NoisePsdProblem, certify, sensitivities, solve
from optimizers.min_latency import MinLatency
from wirelessfl import cell, formula, plugins
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.cell.vectorised import round_times
from wirelessfl.errors import InputError
from wirelessfl.planning import allocation_problem
from wirelessfl.scenario.link import RATE_MODELS, Link
from wirelessfl.values import ChannelState, Demand, Scenario

DEMAND = {
    "fixed_updates": 8e3,
    "prunable_updates": 16e3,
    "fixed_upload_bits": 1e3,
    "prunable_upload_bits": 2e5,
}
NOISES = ({"noise_power_w": 1e-13}, {"noise_figure_db": 5.0}, {"noise_psd_w_per_hz": 1e-20})
ERRORS = (
    {"packet_error": "none"},
    {"packet_error": "outage"},
    {"packet_error": "waterfall", "waterfall_threshold": 0.001},
    {"packet_error": "waterfall", "waterfall_threshold": 0.3},
)
CAPS = (None, 4.0)
LINKS = [
    Link(rate_model=model, max_bps_hz=cap, snr_gap_db=2.0, **error)
    for model, cap, error in itertools.product(RATE_MODELS, CAPS, ERRORS)
]
CONCAVE = [link for link in LINKS if link.rate_model == "shannon"]
TABLES = [link for link in LINKS if link.rate_model != "shannon"]


def scenario_of(link, clients=10, **changes):
    values = {
        "bandwidth_hz": 5e6,
        "transmit_power_w": 0.2,
        "cpu_hz": 2e9,
        "cycles_per_weight": 1600.0,
    }
    return Scenario(
        clients=clients, link=link, deadline_s=0.05, **(values | {"noise_figure_db": 5.0} | changes)
    )


def channel_of(seed, clients=10):
    return ChannelState.known(10 ** np.random.default_rng(seed).uniform(-12.8, -9.8, clients))


def planned(link, seed, method="exact", clients=10, **changes):
    scenario, channel = scenario_of(link, clients, **changes), channel_of(seed, clients)
    problem = allocation_problem(scenario, channel, Demand.same_for_all(clients, **DEMAND))
    return scenario, channel, solve(problem, method)


def finish_s(scenario, channel, allocation):
    """Moments at which clients finish by the cell's own rates, 1 / (1 - q) transmissions of every
    bit on average.
    """
    demand = Demand.same_for_all(scenario.clients, **DEMAND)
    spent = formula.phases(scenario, channel, demand, allocation)
    loss = formula.packet_loss(scenario, channel, channel.gain, allocation.bandwidth_fraction)
    with np.errstate(divide="ignore"):
        return spent.download_s + spent.fixed_s + spent.prunable_s + spent.upload_s / (1.0 - loss)


@pytest.mark.parametrize("threshold", [None, 1e-13])
def test_a_limit_of_the_link_that_no_client_reaches_changes_nothing(threshold):
    """A cap of 100 bit/s/Hz, or packet errors of 1e-13 and less, against Shannon's rate alone."""
    off = Link(snr_gap_db=2.0)
    if threshold is None:
        on = replace(off, max_bps_hz=100.0)
    else:
        on = replace(off, packet_error="waterfall", waterfall_threshold=threshold)
    for seed in range(3):
        free, limited = planned(off, seed)[2], planned(on, seed)[2]
        np.testing.assert_allclose(limited.pruning_ratio, free.pruning_ratio, atol=1e-9)
        np.testing.assert_allclose(limited.bandwidth_fraction, free.bandwidth_fraction, atol=1e-9)
        assert limited.bandwidth_price == pytest.approx(float(free.bandwidth_price), rel=1e-9)
        assert limited.deadline_price == pytest.approx(float(free.deadline_price), rel=1e-9)


def test_the_preset_with_an_inactive_cap(capsys):
    from studies.cli import main

    outputs = []
    for settings in ([], ["--set", "scenario.max_bps_hz=100"]):
        assert main(["allocate", "physical", *settings]) in (0, None)
        outputs.append(capsys.readouterr().out)
    assert "mean pruning ratio 0.2965" in outputs[0]
    assert outputs[1].split("certificate")[0] == outputs[0].split("certificate")[0]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("link", LINKS)
def test_what_is_planned_is_what_happens(link, noise):
    scenario, channel, a = (
        planned(link, 1, noise_figure_db=None, **noise)
        if "noise_figure_db" not in noise
        else planned(link, 1)
    )
    np.testing.assert_allclose(finish_s(scenario, channel, a), a.latency_s, rtol=1e-9)
    assert np.all(a.latency_s <= scenario.deadline_s * (1 + 1e-12))
    if link.packet_error != "waterfall":
        demand = Demand.same_for_all(scenario.clients, **DEMAND)
        timing = cell.simulate(scenario, channel, demand, a)
        np.testing.assert_allclose(timing.finish_s, a.latency_s, rtol=1e-9)
        assert timing.delivered.all()
    if link.packet_error == "none":
        many = round_times(scenario, channel.gain, demand, a.bandwidth_fraction, a.pruning_ratio)
        np.testing.assert_allclose(many.finish_s, a.latency_s, rtol=1e-9)


def test_packets_are_lost_as_often_as_planned():
    """The mean over 40 rounds of small packets against the planned latency, 1 / (1 - q) = 1.4 and
    more.
    """
    link = Link(
        rate_model="cqi",
        packet_error="waterfall",
        waterfall_threshold=1.0,
        packet_bits=500.0,
        max_transmissions=50,
    )
    scenario, channel, a = planned(link, 2)
    demand = Demand.same_for_all(10, **DEMAND)
    from wirelessfl.rng import Streams

    happened = [
        cell.simulate(scenario, channel, demand, a, rng=Streams(0, index)).finish_s
        for index in range(40)
    ]
    np.testing.assert_allclose(np.mean(happened, axis=0), a.latency_s, rtol=0.02)
    loss = formula.packet_loss(scenario, channel, channel.gain, a.bandwidth_fraction)
    assert loss.max() > 0.2


@pytest.mark.parametrize("link", CONCAVE)
def test_concave_links_are_certified_optimal(link):
    for seed in range(4):
        certificate = certify(*(lambda a: (a.problem, a))(planned(link, seed)[2]))
        assert max(float(value) for value in vars(certificate).values()) < 1e-11


@pytest.mark.parametrize("link", TABLES)
def test_tables_come_close_to_the_bound_of_the_concave_envelopes(link):
    """The gap is that between the answer and a bound which no answer need attain: never below 0,
    and small.
    """
    for seed in range(3):
        a = planned(link, seed)[2]
        certificate = certify(a.problem, a)
        assert -1e-15 <= float(certificate.duality_gap) < 5e-3
        assert certificate.primal_residual < 1e-12
        assert certificate.complementarity < 5e-3


def keeps(band, problem):
    curve_free = 1.0 - np.asarray(solve(problem, "equal").pruning_ratio)
    del curve_free
    speed = problem.speed(band)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = (problem.slack_s - problem.fixed_upload_s / speed) / (
            problem.prunable_s + problem.upload_s / speed
        )
    return np.clip(np.where(speed > 0, kept, 0.0), 0.0, 1.0)


@pytest.mark.parametrize("link", TABLES[::3])
def test_no_division_on_a_fine_grid_keeps_more_than_the_gap_allows(link):
    """Two clients, 20,000 divisions of the band."""
    for seed in range(4):
        a = planned(link, seed, clients=2, bandwidth_hz=5e5)[2]
        first = np.linspace(0.0, 1.0, 20_001)[:, None]
        best = keeps(np.concatenate([first, 1.0 - first], axis=1), a.problem).sum(axis=1).max()
        kept = (1.0 - a.pruning_ratio).sum()
        assert best <= kept + 2 * float(certify(a.problem, a).duality_gap) + 1e-9
        assert best <= kept + 1e-3


@pytest.mark.parametrize("link", LINKS[::2])
def test_no_scheme_keeps_more_than_the_exact_one_by_the_cells_rates(link):
    for seed in range(3):
        scenario, channel, exact = planned(link, seed)
        on_time = finish_s(scenario, channel, exact) <= scenario.deadline_s * formula.ON_TIME
        assert on_time.all()
        most = (1.0 - exact.pruning_ratio).sum()
        for method in plugins.names("allocators"):
            if method == "cvxpy":
                continue
            a = solve(exact.problem, method)
            in_time = finish_s(scenario, channel, a) <= scenario.deadline_s * formula.ON_TIME
            assert (1.0 - a.pruning_ratio)[in_time].sum() <= most * (1 + 1e-9), method


TWENTY = {
    "clients": 20,
    "transmit_power_w": 0.2,
}


@pytest.mark.parametrize("model", ["cqi", "mcs"])
def test_far_clients_that_an_equal_split_serves_are_served(model):
    """20 static clients at 250 to 700 m without line of sight, 23 dBm: out of range over the whole
    band, not over 1/20.
    """
    link = Link(rate_model=model, snr_gap_db=2.0)
    path_loss_db = 22.4 + 35.3 * np.log10(np.linspace(250, 700, 20)) + 21.3 * np.log10(3.5)
    scenario, channel = (
        scenario_of(link, clients=20),
        ChannelState.known(10 ** (-path_loss_db / 10)),
    )
    demand = Demand.same_for_all(20, **DEMAND)
    assert np.count_nonzero(formula.full_band_rate_bps(scenario, channel, channel.gain) == 0) >= 5
    problem = allocation_problem(scenario, channel, demand, max_pruning_ratio=0.95)
    exact, equal = solve(problem), solve(problem, "equal")
    assert np.all(equal.pruning_ratio < 0.95)
    assert exact.reason == ""
    assert np.all(exact.pruning_ratio <= 0.95)
    assert exact.pruning_ratio.sum() < equal.pruning_ratio.sum()
    assert cell.simulate(scenario, channel, demand, exact).delivered.all()


@pytest.mark.parametrize("link", LINKS[::3])
def test_no_band_is_enough_is_said_only_where_it_is_true(link):
    """Against the largest goodput on a grid of bands up to a million times the whole one."""
    rng = np.random.default_rng(3)
    snr = 10 ** rng.uniform(-6, 2, 40)
    problem = NoisePsdProblem(
        deadline_s=0.05,
        fixed_s=0.02,
        prunable_s=0.01,
        upload_bits=1e5,
        fixed_upload_bits=0.0,
        snr=snr,
        max_pruning_ratio=0.9,
        bandwidth_hz=1e6,
        link=link,
    )
    wider = np.geomspace(1e-9, 1e6, 200_001)[:, None]
    most_bps = 1e6 * np.array([link.goodput_bps_hz(wider, one).max() for one in snr])
    needed_bps = 0.1 * 1e5 / (0.03 - 0.1 * 0.01)
    unserved = np.isinf(problem.min_bandwidth)
    sure = np.abs(most_bps / needed_bps - 1) > 1e-3
    np.testing.assert_array_equal(unserved[sure], (most_bps < needed_bps)[sure])
    assert 0 < np.count_nonzero(unserved) < 40


@pytest.mark.parametrize("link", [CONCAVE[1], CONCAVE[3], CONCAVE[4], CONCAVE[7]])
def test_prices_and_sensitivities_equal_finite_differences(link):
    a = planned(link, 5)[2]
    p, found = a.problem, sensitivities(a.problem, a)

    def kept(**changes):
        return (1.0 - solve(replace(p, **changes)).pruning_ratio).sum()

    step = 1e-5
    later = [kept(deadline_s=p.deadline_s * (1 + sign * step)) for sign in (1, -1)]
    assert a.deadline_price == pytest.approx((later[0] - later[1]) / (2 * step * 0.05), rel=1e-4)
    for client in (0, 4):
        louder = [
            np.where(np.arange(10) == client, p.snr * (1 + sign * step), p.snr) for sign in (1, -1)
        ]
        by_gain = (kept(snr=louder[0]) - kept(snr=louder[1])) / (2 * step)
        assert found.log_gain[client] == pytest.approx(by_gain, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("link", LINKS[::3])
def test_other_objectives_reach_the_best_of_a_grid(link):
    """Max-min, proportional fairness and the shortest round of two clients against 4,000 divisions
    of the band.
    """
    a = planned(link, 6, clients=2, bandwidth_hz=5e5)[2]
    p = a.problem
    first = np.linspace(0.0, 1.0, 4001)[1:-1, None]
    bands = np.concatenate([first, 1.0 - first], axis=1)
    narrower = [keeps(bands * used, p) for used in (1.0, 0.9, 0.75)]
    fair = max(kept.min(axis=1).max() for kept in narrower)
    assert (1.0 - solve(p, "max-min").pruning_ratio).min() >= fair - 1e-9
    with np.errstate(divide="ignore"):
        logs = max(np.log(kept).sum(axis=1).max() for kept in narrower)
    assert np.log(1.0 - solve(p, "proportional-fairness").pruning_ratio).sum() >= logs - 1e-3
    shortest = min(p.latency_s(bands * used, 0.3).max(axis=1).min() for used in (1.0, 0.9, 0.75))
    assert solve(p, MinLatency(pruning_ratio=0.3)).latency_s.max() <= shortest * (1 + 1e-9)


@pytest.mark.parametrize("link", TABLES[::4])
def test_resource_blocks_are_the_best_of_all_divisions(link):
    from optimizers.resource_blocks import ResourceBlocks

    a = planned(link, 7, clients=3, bandwidth_hz=5e5)[2]
    divisions = np.array([(i, j, 12 - i - j) for i in range(13) for j in range(13 - i)])
    shorter = np.concatenate([divisions - step for step in itertools.product((0, 1, 2), repeat=3)])
    shorter = shorter[np.all(shorter >= 0, axis=1)]
    found = solve(a.problem, ResourceBlocks(blocks=12))
    assert (1.0 - found.pruning_ratio).sum() >= keeps(shorter / 12, a.problem).sum(
        axis=1
    ).max() - 1e-12
    assert found.bandwidth_fraction.sum() <= 1 + 1e-12


@pytest.mark.parametrize("link", [LINKS[6], LINKS[9], LINKS[15]])
def test_a_batch_is_its_rows(link):
    problems = [planned(link, seed)[2].problem for seed in range(3)]
    batch = replace(problems[0], snr=np.stack([p.snr for p in problems]))
    together = solve(batch)
    assert isinstance(together, Allocation)
    for row, p in enumerate(problems):
        np.testing.assert_allclose(
            together.pruning_ratio[row], solve(p).pruning_ratio, rtol=1e-10, atol=1e-12
        )


def test_the_conic_solver_refuses_what_is_no_cone():
    with pytest.raises(
        InputError, match=r"method cvxpy needs Shannon's rate .* got rate_model cqi"
    ):
        planned(Link(rate_model="cqi"), 0, method="cvxpy")
