"""The studies of [WFL]: claims, results as files, curves, and error messages."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.studies import synthetic_record, synthetic_run, synthetic_runs

from studies.cli.study import study
from studies.papers.wfl import _wfl, wfl_fig2, wfl_fig4, wfl_fig5, wfl_table1
from studies.report.curves import SeedCurve
from studies.report.one_run.run import Run
from studies.study.study import Setting, read_runs
from studies.study.write import write_results
from wirelessfl import plugins
from wirelessfl.config.scenario_file import experiment_hash, to_tables
from wirelessfl.errors import InputError


def verdicts(module, table):
    return {claim.text: claim.check(table).holds for claim in module.CLAIMS}


def run_of(accuracies):
    """A run with these accuracies after rounds 5, 10, ..."""
    rounds = 5 * len(accuracies)
    return Run(
        [
            synthetic_record(
                number, 2, rounds=rounds, accuracy=accuracies[(number - 1) // 5]
            ).as_dict()
            for number in range(1, rounds + 1)
        ]
    )


def test_scenario_s_in_every_experiment():
    for name in plugins.names("studies"):
        if not name.startswith("wfl-"):
            continue
        for runs in plugins.load("studies", name).experiments("paper").values():
            for experiment in runs:
                assert experiment.max_pruning_ratio == 0.95
                assert experiment.scenario.clients == 10
                assert experiment.run.eval_every == 5
                if experiment.run.train:
                    training = to_tables(experiment)["training"]
                    assert (training["learning_rate"], training["batch_size"]) == (0.001, 128)
                    assert (training["partition"], training["labels_per_client"]) == ("labels", 2)
                    assert experiment.run.rounds == 200


def test_figures_share_the_runs_of_the_proposed_scheme():
    proposed = [experiment_hash(seed) for seed in wfl_fig4.experiments("paper")[_wfl.PROPOSED]]
    assert [experiment_hash(seed) for seed in wfl_fig5.experiments("paper")["25 ms"]] == proposed
    assert [
        experiment_hash(seed)
        for seed in plugins.load("studies", "wfl-fig3").experiments("paper")["FedAlt"]
    ] == proposed


@pytest.mark.slow
def test_table1_keeps_its_claims_on_fading_rounds(tmp_path):
    experiments = wfl_table1.experiments("small")
    result = CliRunner().invoke(
        study,
        [
            "wfl-table1",
            "--jobs",
            "2",
            "--out",
            str(tmp_path / "runs"),
            "--results",
            str(tmp_path / "results"),
            "--json",
        ],
        catch_exceptions=False,
    )
    found = json.loads(result.stdout)
    in_the_means = verdicts(wfl_table1, wfl_table1.table(read_runs(experiments, tmp_path / "runs")))
    assert all(in_the_means.values())  # two seeds decide few of them
    assert {claim["verdict"] for claim in found["claims"]} <= {"holds", "undecided"}
    rows = {row["scheme"]: row for row in found["table"]}
    proposed = rows[_wfl.PROPOSED]
    assert proposed["latency_ms"] == pytest.approx(25.0, rel=1e-9)
    assert proposed["weights_share"] == pytest.approx(0.42, abs=0.01)
    assert rows[_wfl.EQUAL_PRUNING]["paper_ms"] == 38.0
    folder = tmp_path / "results" / "wfl-table1-small"
    with (folder / "table.csv").open() as file:
        assert [row["scheme"] for row in csv.DictReader(file)] == list(experiments)
    command = json.loads((folder / "command.json").read_text())
    assert command["command"] == "wirelessfl study wfl-table1 --scale small"
    assert command["seeds"] == [0, 1]
    assert set(command["versions"]) == {
        "python",
        "wirelessfl",
        "torch",
        "torchvision",
        "numpy",
        "scipy",
    }
    assert command["experiments"][_wfl.PROPOSED] == [
        experiment_hash(seed) for seed in experiments[_wfl.PROPOSED]
    ]


def table1(tmp_path, **latency_s):
    """Table I of synthetic runs with these latencies."""
    experiments = wfl_table1.experiments("small")
    for label, seeds in experiments.items():
        for experiment in seeds:
            ratio = 0.58 if label == _wfl.PROPOSED else 0.0
            synthetic_run(
                experiment, tmp_path, loss=None, ratio=ratio, latency_s=latency_s.get(label, 0.06)
            )
    return wfl_table1.table(read_runs(experiments, tmp_path))


def test_table1_claims_on_the_papers_own_figures(tmp_path):
    paper_s = {label: milliseconds / 1e3 for label, milliseconds in wfl_table1.PAPER_MS.items()}
    assert all(verdicts(wfl_table1, table1(tmp_path, **paper_s)).values())


def test_table1_claims_fail_on_a_late_round_and_another_order(tmp_path):
    latency_s = {_wfl.PROPOSED: 0.0251, _wfl.EQUAL_PRUNING: 0.05, _wfl.PRUNING_ONLY: 0.045}
    found = verdicts(wfl_table1, table1(tmp_path, **latency_s))
    assert not found["Proposed meets its threshold of 25 ms in every round (its constraint)"]
    assert not found[
        "Equal resource pruning takes less than pruning only [14] (at its assumed threshold)"
    ]
    assert found["Proposed takes less time per round than equal resource pruning"]


@pytest.mark.parametrize("as_claimed", [True, False])
def test_fig5_claims(as_claimed, tmp_path):
    experiments = wfl_fig5.experiments("small")
    for place, label in enumerate(wfl_fig5.LABELS):
        step = place if as_claimed else -place
        for experiment in experiments[label]:
            synthetic_run(
                experiment,
                tmp_path,
                loss=1.0 - 0.1 * step,
                accuracy=0.8 + 0.01 * step,
                ratio=wfl_fig5.SCENARIO_S_RATIO[place if as_claimed else 3 - place],
            )
    found = verdicts(wfl_fig5, wfl_fig5.table(read_runs(experiments, tmp_path)))
    learning = [text for text in found if "rounds" not in text]
    assert [found[text] for text in learning] == [as_claimed] * len(learning)


def test_curves_skip_rounds_without_a_measurement():
    runs = [run_of([0.5, 0.8]), run_of([0.7, 0.8])]
    curve = SeedCurve.of(runs, "accuracy")
    np.testing.assert_array_equal(curve.round, [5, 10])
    np.testing.assert_allclose(curve.mean, [0.6, 0.8])
    np.testing.assert_allclose(curve.standard_error, [0.1, 0.0], atol=1e-12)
    sent = SeedCurve.of(runs, "delivered_weights")
    np.testing.assert_allclose(sent.mean, np.arange(1, 11) * 2 * 0.5 * 16560 / 1e6)


def test_another_learning_rate_makes_other_runs_and_another_folder():
    printed = Setting("paper")
    second = Setting("paper", 0.01)
    for label, seeds in second.experiments(wfl_fig4).items():
        for seed, other in zip(seeds, printed.experiments(wfl_fig4)[label], strict=True):
            assert to_tables(seed)["training"]["learning_rate"] == 0.01
            assert experiment_hash(seed) != experiment_hash(other)
    assert second.folder_name("wfl-fig4") == "wfl-fig4-paper-learning-rate-0.01"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wfl-fig9"], "study 'wfl-fig9' is not known"),
        (
            ["wfl-fig4", "--scale", "large"],
            "--scale of this study must be one of small, paper; got 'large'",
        ),
        (["wfl-fig4", "--learning-rate", "-1"], "training.learning_rate must be above 0, got -1"),
    ],
)
def test_bad_input_is_one_line_and_creates_nothing(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        study.main(arguments, standalone_mode=False)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_results_do_not_depend_on_when_or_where_they_are_written(tmp_path):
    experiments = wfl_fig2.experiments("small")
    for place in ("here", "there"):
        synthetic_runs(experiments, tmp_path / place / "runs")
        runs = read_runs(experiments, tmp_path / place / "runs")
        write_results(
            tmp_path / place / "results", "wfl-fig2", wfl_fig2, Setting(), experiments, runs
        )
    files = sorted((tmp_path / "here" / "results").iterdir())
    assert [file.name for file in files] == [
        "claims.csv",
        "command.json",
        "curves.csv",
        "figure.png",
        "table.csv",
    ]
    for file in files:
        assert file.read_bytes() == (tmp_path / "there" / "results" / file.name).read_bytes()
