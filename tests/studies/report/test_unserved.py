"""Late, infeasible and left-out clients in the tables and figures of studies."""

from dataclasses import replace

import pytest
from helpers.studies import synthetic_record

from studies.grid.measures import measured
from studies.report.one_run.run import Run
from studies.report.results import Sample, Table
from studies.report.unserved import COLUMNS, unserved, unserved_note, with_unserved
from studies.runner.single_run import run_to_end
from wirelessfl.config.scenario_file import from_tables, to_toml

EXPERIMENT = from_tables(
    {
        "scenario": {"clients": 4, "deadline_s": 0.05},
        "allocation": {"max_pruning_ratio": 0.9},
    }
)
TABLE = Table(({"scheme": "a", "x": Sample((1.0,))}, {"scheme": "b", "x": Sample((2.0,))}))


def run(**changes):
    """Two rounds of four clients, all on time but for `changes` of the first."""
    records = [synthetic_record(number, 4, rounds=2) for number in (1, 2)]
    records[0] = replace(records[0], **changes)
    return Run([record.as_dict() for record in records])


GOOD = run()
BAD = run(
    delivered=[False, False, False, True],
    lost=[False, True, False, False],
    planned_s=[0.0859, 0.01, None, 0.05],
    pruning_ratio=[0.9, 0.5, 0.95, 1.0],
)


def test_counts_of_a_round_by_hand():
    """Client 0 and 2 are late and infeasible (beyond the deadline at the cap, and above the cap),
    client 1 is lost, client 3 prunes everything, above the cap.
    """
    counts = unserved(EXPERIMENT, BAD)
    assert counts == dict(zip(COLUMNS, (2 / 2, 3 / 2, 1 / 2), strict=True))
    assert unserved(EXPERIMENT, GOOD) == dict.fromkeys(COLUMNS, 0.0)


def test_a_client_that_could_prune_more_is_late_and_not_infeasible():
    late = run(delivered=[False] * 4, planned_s=[0.06] * 4)
    assert unserved(EXPERIMENT, late) == dict(zip(COLUMNS, (2.0, 0.0, 0.0), strict=True))


def test_every_row_of_a_comparison_says_who_was_not_served():
    experiments = {"a": [EXPERIMENT], "b": [EXPERIMENT]}
    table = with_unserved(TABLE, experiments, {"a": [GOOD], "b": [BAD]})
    assert table.columns == ("scheme", "x", *COLUMNS)
    assert [table.sample("a", name).mean for name in COLUMNS] == [0.0, 0.0, 0.0]
    assert [table.sample("b", name).mean for name in COLUMNS] == [1.0, 1.5, 0.5]
    note = unserved_note(experiments, {"a": [GOOD], "b": [BAD]})
    assert note == "clients per round late / infeasible / left out (others 0): b: 1 / 1.5 / 0.5"


def test_a_table_in_which_everybody_was_served_stays_as_it_is():
    experiments, runs = {"a": [EXPERIMENT], "b": [EXPERIMENT]}, {"a": [GOOD], "b": [GOOD]}
    assert with_unserved(TABLE, experiments, runs) == TABLE
    assert unserved_note(experiments, runs) == ""


@pytest.mark.parametrize("policy", ["wait", "drop"])
def test_a_deadline_that_fixed_work_misses_is_seen(policy):
    """A client at a hundredth of the CPU frequency cannot meet the deadline, whatever it prunes."""
    from studies.views.simulation.simulation import simulate

    scenario = {"clients": 3, "cpu_hz": [3e9, 3e9, 3e7], "deadline_policy": policy}
    tables = {"scenario": scenario, "training": {"algorithm": "fedalt"}}
    experiment = from_tables({**tables, "run": {"rounds": 2, "train": False}})
    records = []
    simulate(experiment, on_round=records.append)
    found = unserved(experiment, Run([record.as_dict() for record in records]))
    assert found == dict(zip(COLUMNS, (1.0, 1.0, 1.0), strict=True))


def test_a_sweep_counts_as_a_study_does(tmp_path):
    """A common ratio leaves clients late that could prune more: they are not infeasible."""
    tables = {
        "scenario": {"clients": 10, "deadline_s": 0.01, "transmit_power_w": 0.01},
        "allocation": {"method": "equal-common"},
        "run": {"rounds": 2, "train": False},
    }
    run_to_end(tmp_path / "run", to_toml(from_tables(tables)))
    done = Run.read(tmp_path / "run")
    counts, measures = unserved(done.experiment, done), measured(done, None)
    assert (measures["late"], measures["infeasible"]) == (counts["late_per_round"], 0.0)
    assert measures["late"] > 0
