"""Plans for every link: what is planned is what happens, and no other scheme keeps more."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from helpers.cli import call

from optimizers import NoisePsdProblem, certify, sensitivities, solve
from optimizers.min_latency import MinLatency
from optimizers.resource_blocks import ResourceBlocks
from wirelessfl import plugins
from wirelessfl.cell import closed_form
from wirelessfl.cell.cell import simulate
from wirelessfl.cell.vectorised import round_times
from wirelessfl.errors import InputError
from wirelessfl.planning import allocation_problem
from wirelessfl.rng import Streams
from wirelessfl.scenario.link import RATE_MODELS, Link
from wirelessfl.scenario.medium import Medium
from wirelessfl.scenario.scenario import Scenario
from wirelessfl.values import ON_TIME, ChannelState, Demand

DEMAND = {
    "fixed_updates": 8e3,
    "prunable_updates": 16e3,
    "fixed_upload_bits": 1e3,
    "prunable_upload_bits": 2e5,
}
DENSITY = {"noise_figure_db": 5.0}
NOISES = ({"noise_power_w": 1e-13}, DENSITY, {"noise_psd_w_per_hz": 1e-20})
ERRORS = (
    {"packet_error": "none"},
    {"packet_error": "outage"},
    {"packet_error": "waterfall", "waterfall_threshold": 0.001},
    {"packet_error": "waterfall", "waterfall_threshold": 0.3},
)
LINKS = [
    Link(rate_model=model, max_bps_hz=cap, snr_gap_db=2.0, **error)
    for model, cap, error in itertools.product(RATE_MODELS, (None, 4.0), ERRORS)
]
CONCAVE = [link for link in LINKS if link.rate_model == "shannon" and not link.plans_shannon]
TABLES = [link for link in LINKS if link.rate_model != "shannon"]


def name_of(value):
    """A short name of a link in the list of tests."""
    if not isinstance(value, Link):
        return None
    errors = f"{value.packet_error}-{value.waterfall_threshold:g}"
    return f"{value.rate_model}-{value.max_bps_hz}-{errors}"


def planned(link, seed, method="exact", clients=10, noise=DENSITY, bandwidth_hz=5e6):
    """Scenario, channel known to the server, and the plan."""
    scenario = Scenario(
        clients=clients,
        link=link,
        deadline_s=0.05,
        bandwidth_hz=bandwidth_hz,
        transmit_power_w=0.2,
        cpu_hz=2e9,
        cycles_per_weight=1600.0,
        **noise,
    )
    gain = 10 ** np.random.default_rng(seed).uniform(-12.8, -9.8, clients)
    channel = ChannelState.perfect_csi(gain)
    problem = allocation_problem(scenario, channel, Demand.same_for_all(clients, **DEMAND))
    return scenario, channel, solve(problem, method)


def finish_s(scenario, channel, allocation):
    """Finish times by the cell's rates, with 1 / (1 - q) transmissions of each bit."""
    demand = Demand.same_for_all(scenario.clients, **DEMAND)
    spent = closed_form.phases(scenario, channel, demand, allocation)
    loss = closed_form.packet_loss(scenario, channel, channel.gain, allocation.bandwidth_fraction)
    with np.errstate(divide="ignore"):
        upload_s = spent.upload_s / (1.0 - loss)
    return spent.download_s + spent.fixed_s + spent.prunable_s + upload_s


def kept_at(band, problem):
    """Kept fractions at bands (N, K), from the goodput of the link itself."""
    goodput_bps = problem.bandwidth_hz * problem.link.goodput_bps_hz(band, problem.snr)
    sent_bits = problem.slack_s * goodput_bps - problem.fixed_upload_bits
    return np.clip(sent_bits / (problem.prunable_s * goodput_bps + problem.upload_bits), 0.0, 1.0)


def divisions_of_two(count):
    """Bands (N, 2) of two clients: `count` divisions of the band, and of a part of it."""
    first = np.linspace(0.0, 1.0, count)[1:-1, None]
    whole = np.concatenate([first, 1.0 - first], axis=1)
    return np.concatenate([whole, 0.9 * whole, 0.75 * whole])


# The plan against the simulated cell


@pytest.mark.parametrize("error", [{"max_bps_hz": 100.0}, {"packet_error": "waterfall"}])
def test_a_limit_of_the_link_that_no_client_reaches_changes_nothing(error):
    """A cap of 100 bit/s/Hz, or packet errors of 1e-13 and less, against Shannon's rate alone."""
    off = Link(snr_gap_db=2.0, waterfall_threshold=1e-13)
    for seed in range(3):
        free, limited = planned(off, seed)[2], planned(replace(off, **error), seed)[2]
        np.testing.assert_allclose(limited.pruning_ratio, free.pruning_ratio, atol=1e-9)
        np.testing.assert_allclose(limited.bandwidth_fraction, free.bandwidth_fraction, atol=1e-9)
        assert limited.bandwidth_price == pytest.approx(float(free.bandwidth_price), rel=1e-9)
        assert limited.deadline_price == pytest.approx(float(free.deadline_price), rel=1e-9)


def test_an_inactive_cap_changes_nothing_that_allocate_shows(capsys, monkeypatch):
    free = call(capsys, monkeypatch, "allocate", "physical", "--json").json()
    capped = ("allocate", "physical", "--json", "--set", "scenario.max_bps_hz=100")
    limited = call(capsys, monkeypatch, *capped).json()
    assert np.mean(free["pruning_ratio"]) == pytest.approx(0.2965, abs=5e-5)
    for name in ("pruning_ratio", "bandwidth_fraction", "bandwidth_price", "deadline_price"):
        np.testing.assert_allclose(limited[name], free[name], rtol=1e-8)
    assert limited["status"] == free["status"]


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: next(iter(noise)))
@pytest.mark.parametrize("link", LINKS, ids=name_of)
def test_what_is_planned_is_what_happens(link, noise):
    """Latencies of plan, closed form, event cell and vectorised rounds."""
    scenario, channel, a = planned(link, 1, noise=noise)
    np.testing.assert_allclose(finish_s(scenario, channel, a), a.latency_s, rtol=1e-9)
    assert np.all(a.latency_s <= scenario.deadline_s * (1 + 1e-12))
    demand = Demand.same_for_all(scenario.clients, **DEMAND)
    if link.packet_error != "waterfall":
        timing = simulate(scenario, channel, demand, a)
        np.testing.assert_allclose(timing.finish_s, a.latency_s, rtol=1e-9)
        assert timing.delivered.all()
    if link.packet_error == "none":
        bands, ratios = a.bandwidth_fraction, a.pruning_ratio
        many = round_times(scenario, channel.gain, demand, bands, ratios)
        np.testing.assert_allclose(many.finish_s, a.latency_s, rtol=1e-9)


def test_packets_are_lost_as_often_as_planned():
    """The mean over 40 rounds of small packets of a table against the planned latency."""
    link = Link(
        rate_model="cqi",
        packet_error="waterfall",
        waterfall_threshold=15.0,
        packet_bits=500.0,
        max_transmissions=50,
    )
    scenario, channel, a = planned(link, 2)
    demand = Demand.same_for_all(10, **DEMAND)
    rounds = [simulate(scenario, channel, demand, a, streams=Streams(0, n)) for n in range(40)]
    mean_s = np.mean([timing.finish_s for timing in rounds], axis=0)
    np.testing.assert_allclose(mean_s, a.latency_s, rtol=0.02)
    bands = a.bandwidth_fraction
    assert closed_form.packet_loss(scenario, channel, channel.gain, bands).max() > 0.2


@pytest.mark.parametrize("link", [TABLES[0], TABLES[7], CONCAVE[1]], ids=name_of)
def test_band_that_others_leave_never_makes_a_client_late(link):
    """A client alone on the whole band would be out of range; it keeps to its own share then."""
    for clients, seed in ((1, 3), (3, 0), (10, 1)):
        scenario, channel, a = planned(link, seed, clients=clients, bandwidth_hz=40e6)
        shared = replace(scenario, medium=Medium(bands="work-conserving"))
        shared = replace(shared, link=replace(link, packet_bits=500.0, max_transmissions=50))
        demand = Demand.same_for_all(clients, **DEMAND)
        timing = simulate(shared, channel, demand, a)
        slack = 1.05 if link.packet_error == "waterfall" else 1 + 1e-9
        assert np.all(timing.finish_s <= a.latency_s * slack)


# No scheme keeps more


@pytest.mark.parametrize("seed", range(4))
def test_whole_blocks_keep_no_more_where_clients_compute_nothing(seed):
    """Kept fractions linear in the band: gains that do not change up to the end of a row."""
    rng = np.random.default_rng(seed)
    p = NoisePsdProblem(
        deadline_s=1.0,
        fixed_s=0.0,
        prunable_s=0.0,
        upload_bits=rng.uniform(1e6, 4e6, 3),
        snr=10 ** rng.uniform(-1, 2, 3),
        bandwidth_hz=1e6,
        link=TABLES[8],
    )
    kept = 1.0 - solve(p).pruning_ratio
    assert kept.sum() >= (1.0 - solve(p, "resource-blocks").pruning_ratio).sum() * (1 - 1e-12)
    assert certify(p, solve(p)).duality_gap < 5e-3


@pytest.mark.parametrize("link", [LINKS[4], LINKS[7], TABLES[0], TABLES[7], TABLES[8]], ids=name_of)
def test_no_scheme_keeps_more_than_the_exact_one_by_the_rates_of_the_cell(link):
    for seed in range(2):
        scenario, channel, exact = planned(link, seed)
        most = (1.0 - exact.pruning_ratio).sum()
        for method in plugins.names("allocators"):
            if method == "cvxpy" or (
                method in ("joint", "min-energy") and isinstance(exact.problem, NoisePsdProblem)
            ):
                continue
            a = solve(exact.problem, method)
            late = finish_s(scenario, channel, a) > scenario.deadline_s * ON_TIME
            assert (1.0 - a.pruning_ratio)[~late].sum() <= most * (1 + 1e-9), method
            assert not (method == "exact" and late.any())


def test_a_table_of_twenty_seeds_keeps_more_than_an_equal_split():
    link = Link(rate_model="cqi", snr_gap_db=2.0)
    exact = [planned(link, seed)[2] for seed in range(20)]
    equal = [solve(a.problem, "equal") for a in exact]
    kept, even = ([(1.0 - a.pruning_ratio).sum() for a in plans] for plans in (exact, equal))
    assert np.all(np.array(kept) >= np.array(even))
    assert np.mean(kept) > np.mean(even) + 0.1


@pytest.mark.parametrize("model", ["cqi", "mcs"])
def test_far_clients_that_an_equal_split_serves_are_served(capsys, monkeypatch, model):
    """20 static clients at 250 to 700 m, 23 dBm: in range over 1/20 of the band, not over all."""
    settings = (
        "scenario.clients=20",
        "scenario.distance_range_m=[250,700]",
        "scenario.power_control=fixed",
        f"scenario.rate_model={model}",
        "channel.model=static",
        "channel.path_loss=tr38901-umi",
        "channel.line_of_sight=false",
        "channel.antennas=1",
    )
    options = [word for setting in settings for word in ("--set", setting)]
    schemes = ("allocate", "physical", "--compare", "exact,equal", "--json")
    found = call(capsys, monkeypatch, *schemes, *options).json()
    equal, exact = (1.0 - np.array(found[name]["pruning_ratio"]) for name in ("equal", "exact"))
    assert equal.min() > 0.05
    assert exact.min() > 0.05
    assert exact.sum() > equal.sum()
    assert found["exact"]["reason"] == ""
    assert set(found["exact"]["status"]) <= {"active", "capped", "unpruned"}
    assert 0 <= found["exact"]["certificate"]["duality_gap"] < 1e-3


@pytest.mark.parametrize("link", LINKS[::3], ids=name_of)
def test_no_band_is_enough_is_said_only_where_it_is_true(link):
    """Against the largest goodput on a grid of bands up to a million times the whole one."""
    problem = NoisePsdProblem(
        deadline_s=0.05,
        fixed_s=0.02,
        prunable_s=0.01,
        upload_bits=1e5,
        snr=10 ** np.random.default_rng(3).uniform(-6, 2, 40),
        max_pruning_ratio=0.9,
        bandwidth_hz=1e6,
        link=link,
    )
    bands = np.geomspace(1e-9, 1e6, 20_001)[:, None]
    most_bps = 1e6 * link.goodput_bps_hz(bands, problem.snr).max(axis=0)
    needed_bps = 0.1 * 1e5 / (0.03 - 0.1 * 0.01)
    unserved = np.isinf(problem.min_bandwidth)
    sure = np.abs(most_bps / needed_bps - 1) > 2e-3
    np.testing.assert_array_equal(unserved[sure], (most_bps < needed_bps)[sure])
    assert 0 < np.count_nonzero(unserved) < 40
    assert ("no band is enough" in solve(problem).reason) == unserved.any()


# Certificates and prices


@pytest.mark.parametrize("link", CONCAVE, ids=name_of)
def test_concave_links_are_certified_optimal(link):
    for seed in range(2):
        a = planned(link, seed)[2]
        certificate = certify(a.problem, a)
        assert max(float(value) for value in vars(certificate).values()) < 1e-11


@pytest.mark.parametrize("link", TABLES, ids=name_of)
def test_tables_come_close_to_the_bound_of_the_concave_envelopes(link):
    """The gap is to a bound that no answer need attain: never below 0, and small."""
    a = planned(link, 0)[2]
    certificate = certify(a.problem, a)
    assert -1e-15 <= float(certificate.duality_gap) < 2e-3
    assert certificate.primal_residual < 1e-12
    assert certificate.complementarity < 2e-3


@pytest.mark.parametrize("link", TABLES[::3], ids=name_of)
def test_the_certified_gap_holds_against_all_divisions_of_the_band(link):
    for seed in range(3):
        a = planned(link, seed, clients=2, bandwidth_hz=5e5)[2]
        best = kept_at(divisions_of_two(20_001), a.problem).sum(axis=1).max()
        kept = (1.0 - a.pruning_ratio).sum()
        assert best <= kept + 2 * float(certify(a.problem, a).duality_gap) + 1e-9
        assert best <= kept + 1e-3


@pytest.mark.parametrize("link", [CONCAVE[0], CONCAVE[1], CONCAVE[2], CONCAVE[5]], ids=name_of)
def test_prices_and_sensitivities_equal_finite_differences(link):
    a = planned(link, 5)[2]
    p, found, step = a.problem, sensitivities(a.problem, a), 1e-5

    def slope(**changes):
        kept = [(1.0 - solve(replace(p, **change)).pruning_ratio).sum() for change in changes["of"]]
        return (kept[0] - kept[1]) / (2 * step)

    by_deadline = slope(of=[{"deadline_s": p.deadline_s * (1 + s * step)} for s in (1, -1)])
    assert a.deadline_price == pytest.approx(by_deadline / 0.05, rel=1e-4)
    for client in (0, 4):
        one = np.arange(10) == client
        by_gain = slope(of=[{"snr": p.snr * (1 + s * step * one)} for s in (1, -1)])
        assert found.log_gain[client] == pytest.approx(by_gain, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("link", [CONCAVE[1], CONCAVE[2], TABLES[0]], ids=name_of)
def test_the_price_of_the_band_where_one_client_takes_all_of_it(link):
    """Its own gain, not the first gain of the other client."""
    problem = NoisePsdProblem(
        deadline_s=0.05,
        fixed_s=0.0,
        prunable_s=0.01,
        upload_bits=1e6,
        snr=[300.0, 30.0],
        weight=[1.0, 1e-6],
        bandwidth_hz=1e5,
        link=link,
    )
    a = solve(problem)
    step = 1e-5
    worth = [
        (problem.weight * solve(wider(problem, 1 + s * step)).kept_fraction).sum() for s in (1, -1)
    ]
    assert a.bandwidth_price == pytest.approx((worth[0] - worth[1]) / (2 * step), rel=1e-4)
    assert a.bandwidth_fraction[0] > 1 - 1e-3


def wider(problem, factor):
    """The problem with more band at the same power and noise density."""
    return replace(problem, bandwidth_hz=problem.bandwidth_hz * factor, snr=problem.snr / factor)


# Other allocators


@pytest.mark.parametrize("link", LINKS[2::4], ids=name_of)
def test_other_objectives_reach_the_best_division_of_the_band(link):
    """Max-min, proportional fairness and the shortest round of two clients."""
    p = planned(link, 6, clients=2, bandwidth_hz=5e5)[2].problem
    bands = divisions_of_two(4001)
    kept = kept_at(bands, p)
    assert (1.0 - solve(p, "max-min").pruning_ratio).min() >= kept.min(axis=1).max() - 1e-9
    with np.errstate(divide="ignore"):
        logs = np.log(kept).sum(axis=1).max()
    fair = solve(p, "proportional-fairness")
    assert np.log(1.0 - fair.pruning_ratio).sum() >= logs - 1e-3
    shortest_s = p.latency_s(bands, 0.3).max(axis=1).min()
    fastest = solve(p, MinLatency(pruning_ratio=0.3))
    assert fastest.latency_s.max() <= shortest_s * (1 + 1e-9)


@pytest.mark.parametrize("link", TABLES[::4], ids=name_of)
def test_resource_blocks_are_the_best_of_all_divisions(link):
    p = planned(link, 7, clients=3, bandwidth_hz=5e5)[2].problem
    counts = np.array(list(itertools.product(range(13), repeat=3)))
    counts = counts[counts.sum(axis=1) <= 12]
    found = solve(p, ResourceBlocks(blocks=12))
    best = kept_at(counts / 12, p).sum(axis=1).max()
    assert (1.0 - found.pruning_ratio).sum() == pytest.approx(best, rel=1e-12)
    assert found.bandwidth_fraction.sum() <= 1 + 1e-12


@pytest.mark.parametrize("link", [CONCAVE[1], TABLES[0], TABLES[7]], ids=name_of)
def test_a_batch_is_its_rows(link):
    problems = [planned(link, seed)[2].problem for seed in range(3)]
    together = solve(replace(problems[0], snr=np.stack([p.snr for p in problems])))
    for row, p in enumerate(problems):
        np.testing.assert_allclose(
            together.pruning_ratio[row], solve(p).pruning_ratio, rtol=1e-9, atol=1e-12
        )


def test_the_conic_solver_refuses_what_is_no_cone():
    with pytest.raises(InputError, match=r"method cvxpy needs Shannon's rate .* rate_model cqi"):
        planned(Link(rate_model="cqi"), 0, method="cvxpy")
