"""Clients that take no part in a round: no number of the round depends on them."""

import dataclasses

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.cell_options import BY_FORMULA, OPTIONS, POLICIES
from helpers.cells import changed, random_allocation
from helpers.small_run import experiment

from wirelessfl import plugins
from wirelessfl.cell import cell, vectorised
from wirelessfl.planning import plan
from wirelessfl.rng import Streams
from wirelessfl.values import Backlog, ChannelState, Demand, Scenario

ACTIVE, ALL = 3, 9
PER_CLIENT = ("transmit_power_w", "cpu_hz", "cycles_per_weight")


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


class Given:
    """A channel of given gains, for the first `clients` of them."""

    random = False

    def __init__(self, clients):
        rng = np.random.default_rng(7)
        gains = 10 ** rng.uniform(-13, -11, (8, ALL))

        def block_gain(block):
            return gains[min(block, 7), :clients]

        self._state = ChannelState(
            gain=gains[0, :clients],
            believed_gain=gains[0, :clients] * rng.uniform(0.5, 1.5, ALL)[:clients],
            path_gain=gains.mean(axis=0)[:clients],
            block_gain=block_gain,
        )

    def sample(self, scenario, rng):
        return self._state


def cell_of(clients, changes, policy):
    """The first `clients` of nine different clients."""
    rng = np.random.default_rng(3)
    values = {name: rng.uniform(1.0, 2.0, ALL) for name in PER_CLIENT}
    scale = dict(zip(PER_CLIENT, (0.2, 1e9, 200.0), strict=True))
    scenario = Scenario(
        clients=clients,
        deadline_policy=policy,
        **{name: tuple(scale[name] * value[:clients]) for name, value in values.items()},
    )
    demand = Demand(
        **{f.name: rng.uniform(1e4, 4e4, ALL)[:clients] for f in dataclasses.fields(Demand)}
    )
    owed = Backlog(
        pending=(np.arange(ALL) % 2 == 0)[:clients] & (policy == "late-next-round"),
        updates=np.full(clients, 1e3) * (policy == "late-next-round"),
        upload_bits=np.full(clients, 2e3) * (policy == "late-next-round"),
    )
    participates = np.arange(clients) < ACTIVE
    return (
        changed(scenario, **changes),
        demand.restricted_to(participates),
        owed.restricted_to(participates),
        participates,
    )


def the_round(clients, changes, policy):
    scenario, demand, owed, participates = cell_of(clients, changes, policy)
    exact = plugins.load("allocators", "exact")()
    few = experiment(
        scenario=scenario, channel=Given(clients), allocator=exact, participants=ACTIVE
    )
    planned = plan(few, owed.added_to(demand), 0, participates)
    timing = cell.simulate(
        scenario, planned.channel, demand, planned.allocation, streams=Streams(2), backlog=owed
    )
    return planned.allocation, timing


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)
def test_idle_clients_change_no_number_of_a_round(changes, policy):
    """Three clients alone and among six that sit out: plan and round are equal to the last bit."""
    (reference, timing), (among, crowded) = (
        the_round(clients, changes, policy) for clients in (ACTIVE, ALL)
    )
    for name in ("bandwidth_fraction", "pruning_ratio", "latency_s"):
        np.testing.assert_array_equal(
            getattr(among, name)[:ACTIVE], getattr(reference, name), err_msg=name
        )
    for field in dataclasses.fields(timing):
        if field.name not in ("trace", "backlog"):
            found = np.asarray(getattr(crowded, field.name))
            expected = np.asarray(getattr(timing, field.name))
            np.testing.assert_array_equal(
                found[:ACTIVE] if found.ndim else found, expected, err_msg=field.name
            )
    for field in dataclasses.fields(Backlog):
        owed = getattr(crowded.backlog, field.name)
        np.testing.assert_array_equal(owed[:ACTIVE], getattr(timing.backlog, field.name))
        assert not owed[ACTIVE:].any()
    assert not crowded.energy_j[ACTIVE:].any()
    assert [line for line in crowded.trace if line[1] < ACTIVE and line[0] > 0] == [
        line for line in timing.trace if line[0] > 0
    ]


@pytest.mark.parametrize("policy", ["wait", "drop"])
@pytest.mark.parametrize("changes", BY_FORMULA.values(), ids=BY_FORMULA)
def test_idle_clients_change_no_number_of_many_rounds_at_once(changes, policy):
    scenario, demand, _, _ = cell_of(ACTIVE, changes, policy)
    crowd, asked, _, participates = cell_of(ALL, changes, policy)
    gain = Given(ALL).sample(crowd, None).gain
    allocation = random_allocation(1, scenario, ChannelState.perfect_csi(gain[:ACTIVE]), demand)
    band, ratio = np.zeros(ALL), np.ones(ALL)
    band[participates], ratio[participates] = (
        allocation.bandwidth_fraction,
        allocation.pruning_ratio,
    )
    reference = vectorised.round_times(
        scenario, gain[:ACTIVE], demand, band[participates], ratio[participates]
    )
    among = vectorised.round_times(crowd, gain, asked, band, ratio, participants=ACTIVE)
    for field in dataclasses.fields(reference):
        found = getattr(among, field.name)
        np.testing.assert_array_equal(
            found[:ACTIVE] if found.ndim else found, getattr(reference, field.name)
        )
