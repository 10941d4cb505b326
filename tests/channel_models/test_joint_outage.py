"""All clients of a round on time, and the kept model that arrives: plan, formula and simulation."""

import numpy as np
import pytest

from studies.presets import scenario_tables
from studies.views.simulation.simulation import simulate
from studies.views.whatif.vary import Vary
from studies.views.whatif.whatif import Sweep
from wirelessfl.config.scenario_file import from_tables, merge
from wirelessfl.errors import InputError
from wirelessfl.radio.csi import share_of_outage

ROUNDS, CLIENTS, OUTAGE = 400, 6, 0.1
FOUR_SIGMA = 4 * np.sqrt(0.25 / ROUNDS)


def tables(**channel):
    changes = {
        "scenario": {"clients": CLIENTS, "deadline_policy": "drop"},
        "channel": {"csi": "quantile", "outage": OUTAGE, **channel},
        "run": {"train": False, "rounds": ROUNDS},
    }
    return merge(scenario_tables("digits"), changes)


@pytest.mark.parametrize(
    ("outage_of", "all_on_time"),
    [("client", (1 - OUTAGE) ** CLIENTS), ("round", 1 - OUTAGE)],
)
def test_simulated_rounds_are_on_time_as_often_as_planned(outage_of, all_on_time):
    """Rounds of the cell as events; `whatif` finds the same on the same draws, and the mean."""
    given = tables(outage_of=outage_of)
    found = simulate(from_tables(given)).columns
    on_time = found["delivered"] == 1
    assert on_time.all(axis=1).mean() == pytest.approx(all_on_time, abs=FOUR_SIGMA)
    kept = 1 - found["pruning_ratio"]
    assert np.all(kept[0] > 0)
    measures = Sweep(given, [Vary.parse("scenario.deadline_s=25ms")], draws=ROUNDS).run()
    assert measures.mean("all_on_time")[0] == pytest.approx(on_time.all(axis=1).mean())
    assert measures.mean("kept_on_time")[0] == pytest.approx((kept * on_time).mean(), rel=1e-9)
    each = 1 - share_of_outage(OUTAGE, CLIENTS) if outage_of == "round" else 1 - OUTAGE
    assert measures.mean("kept_on_time")[0] == pytest.approx(each * kept.mean(), abs=FOUR_SIGMA)


def test_one_client_has_the_outage_of_the_round_and_shares_multiply_to_it():
    assert share_of_outage(0.3, 1) == pytest.approx(0.3, rel=1e-12)
    for clients in (2, 10, 1_000_000):
        assert (1 - share_of_outage(0.05, clients)) ** clients == pytest.approx(0.95, rel=1e-9)


def test_frequencies_of_the_plan_count_in_the_actual_latency():
    """Under frequency scaling a client uses its deadline, so every shortfall of gain is a miss."""
    given = merge(tables(), {"scenario": {"cpu": "dvfs"}})
    on_time = simulate(from_tables(given)).columns["delivered"] == 1
    measures = Sweep(given, [Vary.parse("scenario.deadline_s=25ms")], draws=ROUNDS).run()
    assert measures.mean("all_on_time")[0] == pytest.approx(on_time.all(axis=1).mean())


def test_another_event_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"channel\.outage_of must be one of client, round"):
        from_tables(tables(outage_of="cell"))
