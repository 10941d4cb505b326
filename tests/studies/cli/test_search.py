"""Random searches: draws, choices, divergence, and reuse of earlier runs."""

import csv
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from helpers import plugin_folder
from helpers.cli import call

from studies.runner.attempts import FILE, try_all
from studies.runner.single_run import folder_of
from studies.search.ranges import Choice, LogUniform, Uniform
from studies.search.search import Search, find_best
from studies.search.tables import trial_records
from studies.study.study import Setting
from wirelessfl import plugins
from wirelessfl.config.scenario_file import experiment_hash, from_tables, read_tables
from wirelessfl.errors import InputError

RATE = "training.learning_rate"
SPACE = {RATE: LogUniform(1e-3, 10.0), "training.probability": Uniform(0.3, 1.0)}
REASON = "training diverged: round 3, loss inf; reduce training.learning_rate"
SCENARIO = """
[scenario]
clients = 3
[channel]
model = "two-state"
[allocation]
method = "min-latency"
[training]
algorithm = "bowl"
[run]
rounds = 4
seed = 7
"""


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    plugin_folder.use(monkeypatch)


def experiments(seeds=(0, 1), **training):
    tables = {
        "scenario": {"clients": 3},
        "channel": {"model": "two-state"},
        "allocation": {"method": "min-latency"},
        "training": {"algorithm": "bowl", **training},
        "run": {"rounds": 4, "eval_every": 2},
    }
    first = from_tables(tables)
    return [replace(first, run=replace(first.run, seed=seed)) for seed in seeds]


def attempt(root, asked=None):
    """Runs in this process; `asked` lists what was asked for."""

    def work(runs, title):
        if asked is not None:
            asked.append((title, list(runs)))
        with ThreadPoolExecutor(1) as executor:
            return try_all(runs, root, executor=executor, notify=pytest.fail)

    return work


def rows_of(file):
    return list(csv.DictReader(file.read_text().splitlines()))


def accuracy(trial):
    return 0.95 / (1.0 + abs(math.log10(trial.values[RATE] / 0.1)))


def test_trials_may_have_a_budget_of_their_own():
    base = experiments()[0]
    values = {RATE: 0.1, "training.probability": 0.5}
    one = Search(space=SPACE, local_steps=40, trial_steps=10)
    same = Search(space=SPACE, local_steps=10)
    assert one.with_values(base, values).run.rounds > same.with_values(base, values).run.rounds
    assert experiment_hash(one.trial_of(base, values)) == experiment_hash(
        same.trial_of(base, values)
    )


def test_draws_are_a_function_of_seed_stage_trial_and_field():
    one = Search(space=SPACE)
    assert one.draw(1, 3) == Search(space=dict(reversed(SPACE.items())), trials=99).draw(1, 3)
    assert one.draw(1, 3)[RATE] == Search(space={RATE: SPACE[RATE]}).draw(1, 3)[RATE]
    values = [one.draw(1, 3), one.draw(1, 4), one.draw(2, 3), replace(one, seed=1).draw(1, 3)]
    assert len({tuple(found.items()) for found in values}) == 4


def test_the_second_stage_lies_around_the_best_of_the_first_and_the_best_of_all_is_repeated(
    tmp_path,
):
    one = Search(space=SPACE, trials=12, second_trials=4, shrink=0.2)
    planned = experiments()
    asked = []
    found = find_best({"a": one}, {"a": planned}, tmp_path, attempt(tmp_path, asked))
    assert [(title, len(runs)) for title, runs in asked] == [
        ("stage 1", 12),
        ("stage 2", 4),
        ("the best again", 2),
    ]
    first = found.trials[:12]
    second = found.trials[12:]
    assert [trial.number for trial in first] == list(range(1, 13))
    for trial in found.trials:
        if trial.values[RATE] > 1.0:
            assert (trial.score, trial.reason) == (None, REASON)
        else:  # judged on the validation rows
            assert trial.score == pytest.approx(accuracy(trial), rel=1e-12)
    assert any(trial.reason for trial in first)
    best = max((trial for trial in first if trial.reason is None), key=accuracy)
    reach = (10.0 / 1e-3) ** 0.1
    assert all(
        best.values[RATE] / reach <= trial.values[RATE] <= best.values[RATE] * reach
        for trial in second
    )
    chosen = found.chosen["a"]
    assert chosen.score == max(trial.score for trial in found.trials if trial.score is not None)
    for seed, again in enumerate(found.experiments["a"]):
        assert (again.run.seed, again.algorithm.task.evaluate_on) == (seed, "test")
        assert again.algorithm.learning_rate == chosen.values[RATE]
        summary = json.loads(folder_of(again, tmp_path).joinpath("summary.json").read_text())
        assert summary["final_accuracy"] == pytest.approx(accuracy(chosen) - 0.05)


def test_what_was_done_is_not_done_again_and_labels_share_runs(tmp_path):
    one = Search(space=SPACE, trials=5, second_trials=0)
    planned = {"a": experiments(), "b": experiments(), "plain": experiments(seeds=(0, 1))}
    found = find_best({"a": one, "b": one}, planned, tmp_path, attempt(tmp_path))
    assert found.experiments["plain"] is planned["plain"]
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    folders = [path for path in tmp_path.iterdir() if path.is_dir()]
    diverged = json.loads((tmp_path / FILE).read_text())
    assert set(diverged.values()) == {REASON}
    assert len(folders) == 5 + 2  # one set of trials for both labels; two seeds of the best
    assert not list(tmp_path.rglob("*.png"))
    again = find_best({"a": one, "b": one}, planned, tmp_path, attempt(tmp_path))
    assert trial_records(again) == trial_records(found)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == files


def test_settings_that_diverge_when_they_are_repeated_give_way_to_the_next_best(tmp_path):
    one = Search(space=SPACE, trials=6, second_trials=0)
    planned = {"a": experiments()}
    plain = attempt(tmp_path)
    best = find_best({"a": one}, planned, tmp_path, plain).chosen["a"]

    def sometimes(runs, title):
        diverged = plain(runs, title)
        bad = [
            run
            for run in runs
            if run.run.seed == 1 and run.algorithm.learning_rate == best.values[RATE]
        ]
        return diverged | {experiment_hash(run): "training diverged: late" for run in bad}

    found = find_best({"a": one}, planned, tmp_path, sometimes)
    (out,) = [trial for trial in found.trials if trial.number == best.number]
    assert out.reason == "when repeated with seed 1: training diverged: late"
    rest = [trial for trial in found.trials if trial.reason is None]
    assert found.chosen["a"].score == max(trial.score for trial in rest) < best.score


def test_a_loss_is_searched_downwards_and_a_budget_sets_the_rounds(tmp_path):
    one = Search(
        space=SPACE, trials=4, second_trials=1, metric="loss", local_steps=12, evaluate_on=None
    )
    found = find_best({"a": one}, {"a": experiments()}, tmp_path, attempt(tmp_path))
    scores = [trial.score for trial in found.trials if trial.score is not None]
    assert found.chosen["a"].score == min(scores) < max(scores)
    for made in (*(trial.experiment for trial in found.trials), *found.experiments["a"]):
        assert made.run.rounds == max(1, made.algorithm.rounds_within(made.run.seed, 12))
    assert {trial.experiment.algorithm.task.evaluate_on for trial in found.trials} == {"test"}


def test_when_nothing_converges_the_search_says_why(tmp_path):
    one = Search(space={RATE: Uniform(2.0, 3.0)}, trials=3)
    with pytest.raises(InputError) as caught:
        find_best({"a": one}, {"a": experiments()}, tmp_path, attempt(tmp_path))
    assert str(caught.value) == f"search 'a': none of 3 trials can be used: {REASON}"


def test_any_other_failure_ends_the_search(tmp_path):
    planned = [
        replace(made, scenario=replace(made.scenario, deadline_s=1e-6)) for made in experiments()
    ]
    with pytest.raises(InputError, match=r"3 of 3 runs failed: scenario.deadline_s must be above"):
        find_best({"a": Search(space=SPACE, trials=3)}, {"a": planned}, tmp_path, attempt(tmp_path))
    (tmp_path / FILE).write_text("{")
    with pytest.raises(InputError, match=r"diverged\.json is damaged: remove it"):
        find_best({"a": Search(space=SPACE)}, {"a": experiments()}, tmp_path, attempt(tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trials": 0}, "--trials must be a whole number of at least 1, got 0"),
        ({"shrink": 2.0}, "--shrink must be at most 1, got 2"),
        (
            {"metric": "speed"},
            "--metric must be one of accuracy, best-accuracy, loss, r2, .*; got 'speed'",
        ),
        ({"space": {}}, "--over must name at least one section.field, got none"),
        (
            {"space": {"learning_rate": Choice((1,))}},
            "--over section must be one of scenario, channel",
        ),
        (
            {"space": {"run.seed": Choice((1,))}},
            "--over must name a section.field that a search may change",
        ),
        ({"seed": 1}, "search 'a': its seed must be none of those that are repeated, got 1"),
        ({"space": {"training.rate": Choice((1,))}}, "training.rate is not a field of .training."),
        ({"space": {RATE: Uniform(-2.0, -1.0)}}, "training.learning_rate must be above 0, got -"),
    ],
    ids=str,
)
def test_what_cannot_be_searched_is_one_line(tmp_path, changes, said):
    with pytest.raises(InputError, match=said) as caught:
        find_best(
            {"a": Search(**{"space": SPACE, **changes})},
            {"a": experiments()},
            tmp_path,
            attempt(tmp_path),
        )
    assert "\n" not in str(caught.value)


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder, its sweeps in this process."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SCENARIO)
    monkeypatch.setattr("studies.runner.backend.worker_processes", ThreadPoolExecutor)
    return partial(call, capsys, monkeypatch)


def test_the_command_leaves_trials_and_the_best_scenario(wirelessfl, tmp_path):
    options = (
        "--over",
        f"{RATE}=1e-3:10",
        "--trials",
        5,
        "--second-trials",
        2,
        "--repeats",
        3,
        "--results",
        "found",
    )
    ended = wirelessfl("search", "mine.toml", *options)
    assert ended.status == 0, ended.err
    assert "7 trials" in ended.out
    assert "accuracy" in ended.out
    assert "3 seeds on the test rows" in " ".join(ended.out.split())
    rows = rows_of(tmp_path / "found" / "trials.csv")
    assert [row["stage"] for row in rows] == ["1"] * 5 + ["2"] * 2
    (chosen,) = [row for row in rows if row["chosen"] == "True"]
    best = from_tables(read_tables(tmp_path / "found" / "best.toml"))
    assert best.algorithm.learning_rate == float(chosen[RATE])
    assert best.run.seed == 8
    assert (tmp_path / "runs" / "search" / experiment_hash(best)).is_dir()
    report = wirelessfl("search", "mine.toml", *options, "--json").json()
    assert report == json.loads((tmp_path / "found" / "search.json").read_text())
    assert report["best"] == {RATE: best.algorithm.learning_rate}
    assert report["repeated"]["seeds"] == [8, 9, 10]
    assert report["repeated"]["mean"] == pytest.approx(float(chosen["score"]) - 0.05, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--over must name at least one section.field, got none"),
        (("--over", RATE), f"--over must be section.field=RANGE, got '{RATE}'"),
        (
            ("--over", f"{RATE}=1:2", "--over", f"{RATE}=1:3"),
            f"--over {RATE} must be given once, got it twice",
        ),
        (("--over", f"{RATE}=0:1"), f"--over {RATE} low end must be above 0, got 0"),
        (
            ("--over", f"{RATE}=1:2", "--repeats", 0),
            "--repeats must be a whole number of at least 1, got 0",
        ),
        (
            ("--over", f"{RATE}=1:2", "--evaluate-on", "train"),
            "training.evaluate_on must be one of test, validation",
        ),
    ],
    ids=str,
)
def test_bad_options_are_one_line(wirelessfl, tmp_path, options, said):
    ended = wirelessfl("search", "mine.toml", *options)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_study_that_searches_reports_the_best_again(wirelessfl, tmp_path):
    ended = wirelessfl("study", "tuned", "--scale", "reduced", "--results", "found")
    assert ended.status == 0, ended.err
    assert "16 trials" in ended.out
    assert "holds: Searching helps" in ended.out
    rows = rows_of(tmp_path / "found" / "tuned-reduced" / "trials.csv")
    chosen = {row["label"]: float(row[RATE]) for row in rows if row["chosen"] == "True"}
    assert set(chosen) == {"searched", "also searched"}
    table = {
        row["settings"]: row for row in rows_of(tmp_path / "found" / "tuned-reduced" / "table.csv")
    }
    for label, rate in {**chosen, "as it is": 0.03}.items():
        expected = 0.95 / (1.0 + abs(math.log10(rate / 0.1))) - 0.05
        assert float(table[label]["accuracy"]) == pytest.approx(expected, abs=1e-5)
    command = json.loads((tmp_path / "found" / "tuned-reduced" / "command.json").read_text())
    assert command["learning_rates"] == sorted({*chosen.values(), 0.03})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("tuned", "--scale", "paper"),
            "--scale of this study must be one of small, reduced; got 'paper'",
        ),
        (
            ("deadlines", "--scale", "reduced"),
            "--scale of this study must be one of small, paper; got 'reduced'",
        ),
        (
            ("tuned", "--learning-rate", 0.1),
            f"{RATE} must be left out, the study searches it for 'searched'",
        ),
        (
            ("tuned", "--scale", "huge"),
            "--scale of this study must be one of small, reduced; got 'huge'",
        ),
    ],
    ids=str,
)
def test_what_a_study_does_not_have_is_one_line(wirelessfl, options, said):
    ended = wirelessfl("study", *options)
    assert (ended.status, ended.err) == (2, f"error: {said}\n")


def test_plain_studies_have_no_searches():
    assert Setting().searches(plugins.load("studies", "deadlines")) == {}
