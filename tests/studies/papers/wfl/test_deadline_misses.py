"""The study of deadline misses: differences between its rows, and its claims."""

import numpy as np

from studies.papers.wfl import deadline_misses as study
from studies.report.results import Sample, Table
from wirelessfl.config.scenario_file import to_tables
from wirelessfl.rng import Streams


def table_of(**changes):
    """A table in which every claim holds, with `changes[column][label]` put in."""
    misses = {study.TRUTH: 0.0, study.ESTIMATE: 0.5, study.QUANTILE: 0.05, study.MEAN: 0.57}
    rows = []
    for label in study.experiments("small"):
        belief, policy = label.split(", ")
        dropped = misses[belief] * {"wait": 0.0, "drop": 0.2, "late-next-round": 0.1}[policy]
        row = {
            "miss_rate": misses[belief],
            "accuracy": 0.9 - dropped,
            "simulated_s": 1.0 if policy == "wait" else 0.75,
            "mean_ratio": 0.65 if belief == study.QUANTILE else 0.59,
            "lost_rate": 0.0,
        }
        row |= {column: values[label] for column, values in changes.items() if label in values}
        rows.append(
            {
                "belief, policy": label,
                **{name: Sample((x, x + 1e-6 * x, x)) for name, x in row.items()},
            }
        )
    return Table(tuple(rows))


def verdicts(table):
    return [claim.check(table).holds for claim in study.CLAIMS]


def test_rows_differ_in_belief_and_policy_alone_and_see_one_channel():
    for scale in ("small", "paper"):
        tables = [to_tables(seeds[1]) for seeds in study.experiments(scale).values()]
        for found in tables:
            for section, field in (("channel", "csi"), ("scenario", "deadline_policy")):
                found[section].pop(field, None)
            for field in ("outage", "estimate_error_db"):
                found["channel"].pop(field, None)
        assert all(found == tables[0] for found in tables)
    gains = [
        seeds[1].channel.sample(seeds[1].scenario, Streams(1, 3)).gain
        for seeds in study.experiments("small").values()
    ]
    for gain in gains:
        np.testing.assert_array_equal(gain, gains[0])


def test_the_expected_table_keeps_every_claim():
    assert all(verdicts(table_of()))


def test_every_claim_can_fail():
    row = study.label_of
    changes = [
        {"miss_rate": {row(study.TRUTH, "drop"): 0.01}},
        {"miss_rate": {row(study.MEAN, "wait"): 0.2}},
        {"miss_rate": {row(study.ESTIMATE, "wait"): 0.1}},
        {"miss_rate": {row(study.QUANTILE, "wait"): 0.2}},
        {"mean_ratio": {row(study.QUANTILE, "drop"): 0.5}},
        {"accuracy": {row(study.TRUTH, "drop"): 0.1}},
        {"accuracy": {row(study.QUANTILE, "drop"): 0.7}},
        {"accuracy": {row(study.MEAN, "late-next-round"): 0.7}},
        {"accuracy": {row(study.MEAN, "wait"): 0.7}},
        {"simulated_s": {row(study.MEAN, "wait"): 0.5}},
    ]
    assert len(changes) == len(study.CLAIMS)
    for number, change in enumerate(changes):
        assert not verdicts(table_of(**change))[number]


def test_no_difference_in_misses_says_nothing_of_accuracy():
    same = {study.label_of(belief, "drop"): 0.0 for belief in study.BELIEFS}
    assert not verdicts(table_of(miss_rate=same))[5]
