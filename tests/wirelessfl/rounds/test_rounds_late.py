"""Late updates of clients that sit rounds out: `late-next-round` with `run.participants`."""

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.small_run import experiment

from channel_models.rayleigh import Rayleigh
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import participants
from wirelessfl.rounds.one_round import run_round, simulate_round
from wirelessfl.values import Backlog, Demand, Scenario

CLIENTS = 4
DEMAND = Demand.same_for_all(
    CLIENTS,
    fixed_updates=1e4,
    prunable_updates=1e4,
    fixed_upload_bits=0.0,
    prunable_upload_bits=1e5,
)
OWED = Backlog(
    pending=np.ones(CLIENTS, dtype=np.bool_),
    updates=np.array([1e3, 2e3, 3e3, 4e3]),
    upload_bits=np.array([4e3, 3e3, 2e3, 1e3]),
)


@pytest.fixture
def few(monkeypatch):
    """Two of four clients take part in a round."""
    plugin_folder.use(monkeypatch)
    scenario = Scenario(clients=CLIENTS, deadline_policy="late-next-round")
    return experiment(rounds=3, participants=2, channel=Rayleigh(), scenario=scenario)


def test_who_sits_out_owes_what_it_owed(few):
    participates = participants(few, 0)
    done = run_round(few, NoTraining(DEMAND), None, OWED, 0, 0.0)
    after, record = done.backlog, done.record
    assert record.earlier == record.delivered == [True, True]
    assert after.pending.tolist() == (~participates).tolist()
    for name in ("updates", "upload_bits"):
        np.testing.assert_array_equal(
            getattr(after, name), np.where(participates, 0.0, getattr(OWED, name))
        )


def test_who_sits_out_neither_works_nor_sends(few):
    participates, planned, timing = simulate_round(few, DEMAND, OWED, 0)
    _, reference_planned, reference = simulate_round(
        few, DEMAND, OWED.restricted_to(participates), 0
    )
    np.testing.assert_array_equal(
        planned.allocation.bandwidth_fraction, reference_planned.allocation.bandwidth_fraction
    )
    for name in ("compute_s", "upload_s", "finish_s", "energy_j"):
        np.testing.assert_array_equal(getattr(timing, name), getattr(reference, name))
        assert not getattr(timing, name)[~participates].any()
