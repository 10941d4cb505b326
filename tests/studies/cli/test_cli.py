"""The command line as a user sees it: its files, its output and its error messages."""

import json
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from helpers.cli import COMMAND, Ended, call

from wirelessfl.records.run_folder import RunFolder

FIELDS = [
    "round",
    "clock_s",
    "round_s",
    "loss",
    "accuracy",
    "clients",
    "bandwidth_fraction",
    "pruning_ratio",
    "gain",
    "believed_gain",
    "planned_s",
    "latency_s",
    "delivered",
    "lost",
    "earlier",
    "retransmissions",
    "band_utilisation",
    "uplink_bits",
    "downlink_bits",
    "flops",
]


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in an empty folder, without data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WIRELESSFL_DATA", raising=False)
    return lambda *arguments, **how: call(capsys, monkeypatch, *arguments, **how)


def refused(ended: Ended, *words: str) -> None:
    """One line on standard error that holds `words`, exit status 2, nothing on standard output."""
    assert ended.status == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1, ended.err
    for word in words:
        assert word in ended.err


def test_run_leaves_a_complete_folder(wirelessfl, tmp_path):
    ended = wirelessfl("run", "--rounds", 6, "--out", "r", draws=True)
    assert ended.status == 0
    assert "accuracy" in ended.out
    assert "late clients per round" in ended.out
    folder = tmp_path / "r"
    records = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    assert [record["round"] for record in records] == [1, 2, 3, 4, 5, 6]
    for record in records:
        assert list(record)[: len(FIELDS)] == FIELDS
        assert max(record["latency_s"]) <= 0.025 * (1 + 1e-9)
        assert all(record["delivered"])
    assert [record["accuracy"] is not None for record in records] == [False] * 4 + [True] * 2
    assert json.loads((folder / "summary.json").read_text())["rounds"] == 6
    experiment = tomllib.loads((folder / "experiment.toml").read_text())
    assert set(experiment) == {"scenario", "channel", "allocation", "training", "run"}
    for plot in ("training.png", "allocation.png"):
        assert (folder / "plots" / plot).read_bytes().startswith(b"\x89PNG")


def test_a_run_without_plots_leaves_all_but_them(wirelessfl, tmp_path):
    settings = ("--rounds", 1, "--set", "run.train=false")
    assert wirelessfl("run", *settings, "--out", "drawn", draws=True).status == 0
    assert wirelessfl("run", *settings, "--out", "bare", "--no-plots").status == 0
    names = {
        folder: {file.name for file in (tmp_path / folder).iterdir()}
        for folder in ("drawn", "bare")
    }
    assert names["drawn"] - names["bare"] == {"plots"}
    assert names["bare"] <= names["drawn"]


def test_experiment_toml_is_enough_to_run_it_again(wirelessfl, tmp_path):
    assert (
        wirelessfl(
            "run", "--rounds", 3, "--seed", 4, "--set", "scenario.clients=4", "--out", "a"
        ).status
        == 0
    )
    assert wirelessfl("run", "a/experiment.toml", "--out", "b").status == 0
    assert (tmp_path / "a/rounds.jsonl").read_bytes() == (tmp_path / "b/rounds.jsonl").read_bytes()


def test_resume_makes_a_run_longer(wirelessfl, tmp_path):
    assert wirelessfl("run", "--rounds", 10, "--out", "ten").status == 0
    assert wirelessfl("run", "--rounds", 4, "--out", "five").status == 0
    assert wirelessfl("run", "--out", "five", "--resume", "--rounds", 10).status == 0
    assert (tmp_path / "five/rounds.jsonl").read_bytes() == (
        tmp_path / "ten/rounds.jsonl"
    ).read_bytes()
    assert (tmp_path / "five/experiment.toml").read_bytes() == (
        tmp_path / "ten/experiment.toml"
    ).read_bytes()
    refused(wirelessfl("run", "--out", "five", "--resume", "--rounds", 3), "run.rounds", "10", "3")


def test_the_default_folder_is_named_by_the_experiment_and_resumed(wirelessfl, tmp_path):
    assert wirelessfl("run", "--rounds", 2).status == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("digits-")
    refused(wirelessfl("run", "--rounds", 2), folder.name, "--resume")
    assert wirelessfl("run", "--rounds", 2, "--resume").status == 0


def test_run_under_drop_and_wait(wirelessfl):
    late = ("--rounds", 3, "--set", "allocation.method=equal-common", "--json")
    dropped = wirelessfl(
        "run", *late, "--out", "drop", "--set", "scenario.deadline_policy=drop"
    ).json()
    waited = wirelessfl("run", *late, "--out", "wait").json()
    assert dropped["late_per_round"] == waited["late_per_round"] > 0
    assert dropped["mean_round_s"] == pytest.approx(0.025)
    assert waited["mean_round_s"] == pytest.approx(waited["clock_s"] / 3)
    assert waited["mean_round_s"] > 0.03
    assert dropped["final_loss"] != waited["final_loss"]


def test_a_deadline_that_asks_for_no_pruning_is_only_personalisation_bit_for_bit(
    wirelessfl, tmp_path
):
    generous = ("--set", "scenario.deadline_s=10", "--rounds", 3)
    proposed = wirelessfl("run", *generous, "--out", "proposed", "--json").json()
    never = ("--set", "training.importance_steps=0", "--set", "allocation.method=min-latency")
    assert wirelessfl("run", *generous, *never, "--out", "dense").status == 0
    assert proposed["mean_pruning_ratio"] == 0
    with (
        np.load(tmp_path / "proposed/checkpoint-000003.npz") as one,
        np.load(tmp_path / "dense/checkpoint-000003.npz") as other,
    ):
        for part in ("shared", "personal"):
            np.testing.assert_array_equal(one[part], other[part])


def test_allocate_prints_and_certifies(wirelessfl):
    found = wirelessfl("allocate", "--deadline-ms", 20, "--json").json()
    assert sum(found["bandwidth_fraction"]) == pytest.approx(1)
    assert max(found["latency_s"]) <= 0.02 * (1 + 1e-9)
    assert set(found["certificate"]) == {
        "primal_residual",
        "stationarity",
        "complementarity",
        "dual_residual",
        "duality_gap",
    }
    assert max(found["certificate"].values()) <= 1e-10
    assert found["reason"] == ""
    assert set(found["status"]) <= {"active", "capped"}
    reference = wirelessfl("allocate", "--deadline-ms", 20, "--method", "cvxpy", "--json").json()
    assert np.mean(reference["pruning_ratio"]) == pytest.approx(
        np.mean(found["pruning_ratio"]), abs=1e-6
    )
    printed = wirelessfl("allocate", "--method", "equal")
    assert "duality gap" in printed.out
    assert printed.status == 0


def test_allocate_shows_an_infeasible_client_with_its_reason(wirelessfl):
    slow = "scenario.cpu_hz=[1e8,3e9,3e9,3e9,3e9,3e9,3e9,3e9,3e9,3e9]"
    ended = wirelessfl("allocate", "--set", slow)
    assert ended.status == 0
    assert "infeasible: client 0" in ended.out
    found = wirelessfl("allocate", "--set", slow, "--json").json()
    assert found["status"][0] == "infeasible"
    assert found["bandwidth_fraction"][0] == 0
    assert found["shortfall_s"][0] > 0


def test_allocate_names_the_missing_band(wirelessfl):
    found = wirelessfl("allocate", "--set", "allocation.max_pruning_ratio=0.2", "--json").json()
    assert "infeasible" in found["status"]
    assert found["shortfall_hz"] == pytest.approx(found["shortfall_fraction"] * 4.5e6)
    assert found["shortfall_hz"] > 0


def test_list_is_by_kind(wirelessfl):
    found = wirelessfl("list", "--json").json()
    assert list(found) == ["channels", "allocators", "algorithms", "models", "datasets", "studies"]
    assert {"static", "rayleigh"} <= set(found["channels"])
    assert {"exact", "cvxpy", "equal", "equal-common", "min-latency"} <= set(found["allocators"])
    assert {"fedalt", "fedsim", "pruning-only"} <= set(found["algorithms"])
    assert {"digits", "mnist", "fashion-mnist"} <= set(found["datasets"])
    assert {"wfl-table1", "wfl-fig2", "wfl-fig3", "wfl-fig4", "wfl-fig5"} <= set(found["studies"])


BAD_RUNS = {
    "unknown field": (["--set", "scenario.deadlines=1"], ["scenario.deadlines", "deadline_s"]),
    "wrong unit": (["--set", "scenario.deadline_ms=25"], ["scenario.deadline_ms", "deadline_s"]),
    "wrong type": (
        ["--set", "scenario.deadline_s=soon"],
        ["scenario.deadline_s", "number", "soon"],
    ),
    "negative": (["--set", "scenario.bandwidth_hz=-1"], ["scenario.bandwidth_hz", "above 0", "-1"]),
    "not finite": (
        ["--set", "scenario.bandwidth_hz=inf"],
        ["scenario.bandwidth_hz", "finite", "inf"],
    ),
    "no clients": (["--set", "scenario.clients=0"], ["scenario.clients", "at least 1", "0"]),
    "no deadline": (
        ["--set", "scenario.deadline_s=0.0001"],
        ["scenario.deadline_s", "0.0001", "no client"],
    ),
    "cap": (
        ["--set", "allocation.max_pruning_ratio=1.5"],
        ["allocation.max_pruning_ratio", "at most 1", "1.5"],
    ),
    "plug-in": (["--set", "allocation.method=exakt"], ["allocation.method", "exakt", "exact"]),
    "rate": (
        ["--set", "training.learning_rate=-0.1"],
        ["training.learning_rate", "above 0", "-0.1"],
    ),
    "labels": (["--set", "training.labels_per_client=11"], ["training.labels_per_client", "11"]),
    "model": (["--set", "training.model=mnist-cnn"], ["training.model", "digits"]),
    "rounds": (["--rounds", "0"], ["run.rounds", "at least 1", "0"]),
    "rounds type": (["--rounds", "many"], ["--rounds", "many"]),
    "seed": (["--seed", "-1"], ["run.seed", "at least 0", "-1"]),
    "executor": (["--executor", "magic"], ["run.executor", "magic"]),
    "device": (["--device", "tpu"], ["run.device", "tpu"]),
    "level": (
        ["--set", "scenario.noise_power_dbm=4000"],
        ["scenario.noise_power_dbm", "at most 300", "4000"],
    ),
    "ratios": (
        ["--set", "allocation.method=fixed-ratio", "--set", "allocation.pruning_ratio=[0.1, 0.2]"],
        ["pruning_ratio", "10", "2"],
    ),
    "nothing to resume": (["--resume", "--out", "nowhere"], ["--resume", "nowhere", "SCENARIO"]),
    "no set value": (["--set", "scenario.clients"], ["--set", "scenario.clients"]),
    "section": (["--set", "scenarios.clients=3"], ["scenarios", "scenario"]),
    "level below any": (
        ["--set", "scenario.noise_power_dbm=-5000"],
        ["scenario.noise_power_dbm", "at least -300", "-5000"],
    ),
    "data set": (
        ["--set", "training.dataset=imagenet"],
        ["training.dataset", "imagenet", "digits"],
    ),
    "ratio": (
        ["--set", "allocation.method=min-latency", "--set", "allocation.pruning_ratio=2"],
        ["allocation.pruning_ratio", "at most 1", "2"],
    ),
    "field of none": (
        ["--set", "allocation.method=equal", "--set", "allocation.foo=1"],
        ["allocation.foo", "none"],
    ),
    "option": (["--round", "3"], ["--round", "--rounds"]),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_RUNS.values(), ids=BAD_RUNS)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, words, wirelessfl, tmp_path):
    refused(wirelessfl("run", *arguments), *words)
    assert list(tmp_path.iterdir()) == []


def test_what_the_first_round_refuses_leaves_nothing(wirelessfl, tmp_path):
    ended = wirelessfl("run", "--set", "training.importance_steps=0", "--out", "r")
    assert ended.status == 2
    assert "training.importance_steps" in ended.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("run", "--out", "r", "--set", "run.train=false"), ("simulate",)]
)
def test_a_trace_shorter_than_the_run_is_refused_before_the_first_round(
    wirelessfl, tmp_path, command
):
    np.savez(tmp_path / "gains.npz", gain=np.full((3, 10), 1e-10))
    short = (*command, "--set", "channel.model=trace", "--set", "channel.file=gains.npz")
    refused(wirelessfl(*short, "--rounds", 4), "channel.file", "3 rounds", "4", "channel.repeat")
    assert [file.name for file in tmp_path.iterdir()] == ["gains.npz"]
    assert wirelessfl(*short, "--rounds", 3).status == 0


def test_missing_scenario_and_data(wirelessfl, tmp_path):
    refused(wirelessfl("run", "digts"), "digts", "digits")
    refused(wirelessfl("run", "nowhere.toml"), "nowhere.toml")
    refused(wirelessfl("run", "wfl-mnist"), "mnist", "--data-root")
    refused(wirelessfl("run", "wfl-mnist", "--data-root", "empty"), "empty")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_not_touched(wirelessfl, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r/mine.txt").write_text("mine")
    refused(wirelessfl("run", "--out", "r"), "r", "not empty", "--resume")
    refused(wirelessfl("run", "--out", "r", "--resume"), "r", "experiment.toml")
    assert [file.name for file in (tmp_path / "r").iterdir()] == ["mine.txt"]
    (tmp_path / "file").write_text("mine")
    refused(wirelessfl("run", "--out", "file"), "file")


def test_a_run_under_way_is_not_joined(wirelessfl, tmp_path):
    assert wirelessfl("run", "--rounds", 2, "--out", "r").status == 0
    with RunFolder.open(tmp_path / "r").in_use():
        refused(wirelessfl("run", "--out", "r", "--resume", "--rounds", 4), "r", "in use")


def test_resume_refuses_another_experiment_and_damage(wirelessfl, tmp_path):
    assert (
        wirelessfl("run", "--rounds", 4, "--set", "run.checkpoint_every=2", "--out", "r").status
        == 0
    )
    before = {file.name: file.read_bytes() for file in (tmp_path / "r").iterdir() if file.is_file()}
    other = wirelessfl(
        "run",
        "digits",
        "--rounds",
        4,
        "--set",
        "scenario.deadline_s=0.03",
        "--out",
        "r",
        "--resume",
    )
    refused(other, "scenario.deadline_s", "0.025", "0.03")
    machine = ("--set", "run.checkpoint_every=1", "--set", "run.train=false")
    refused(wirelessfl("run", *machine, "--out", "r", "--resume"), "run.train", "True", "False")
    assert before == {
        file.name: file.read_bytes() for file in (tmp_path / "r").iterdir() if file.is_file()
    }
    rounds = tmp_path / "r/rounds.jsonl"
    rounds.write_bytes(before["rounds.jsonl"].replace(b'{"round": 2', b'{"rou', 1))
    refused(wirelessfl("run", "--out", "r", "--resume", "--rounds", 6), "rounds.jsonl", "line 2")
    (tmp_path / "r/experiment.toml").write_text("no toml")
    refused(wirelessfl("run", "--out", "r", "--resume"), "experiment.toml")


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(wirelessfl, tmp_path):
    arguments = ("--rounds", 6, "--set", "run.checkpoint_every=2")
    assert wirelessfl("run", *arguments, "--out", "whole").status == 0
    assert wirelessfl("run", *arguments, "--out", "r").status == 0
    newest = tmp_path / "r/checkpoint-000006.npz"
    newest.write_bytes(newest.read_bytes()[:1000])
    ended = wirelessfl("run", "--out", "r", "--resume")
    assert ended.status == 0
    assert "checkpoint-000006.npz" in ended.err
    assert (tmp_path / "r/rounds.jsonl").read_bytes() == (
        tmp_path / "whole/rounds.jsonl"
    ).read_bytes()


def _files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("experiment.toml", lambda text: b"", ["damaged", "experiment"]),
        (
            "experiment.toml",
            lambda text: text.replace(b"learning_rate = 0.03", b""),
            ["damaged", "experiment"],
        ),
        (
            "rounds.jsonl",
            lambda text: text.replace(text.splitlines()[1], b'{"round": 2}'),
            ["line 2", "damaged"],
        ),
        ("rounds.jsonl", lambda text: text[:200], ["holds 0 rounds", "4"]),
    ],
)
def test_a_damaged_folder_is_refused_as_it_is(file, damage, words, wirelessfl, tmp_path):
    assert (
        wirelessfl(
            "run", "--rounds", 4, "--set", "training.learning_rate=0.03", "--out", "r"
        ).status
        == 0
    )
    folder = tmp_path / "r"
    (folder / file).write_bytes(damage((folder / file).read_bytes()))
    before = _files(folder)
    refused(wirelessfl("run", "--out", "r", "--resume", "--rounds", 6), *words)
    assert _files(folder) == before


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_not_used(wirelessfl, tmp_path):
    assert wirelessfl("run", "--rounds", 2, "--out", "a").status == 0
    assert wirelessfl("run", "--rounds", 2, "--seed", 1, "--out", "b").status == 0
    mine, other = (tmp_path / name / "checkpoint-000002.npz" for name in "ab")
    mine.write_bytes(other.read_bytes())
    refused(
        wirelessfl("run", "--out", "a", "--resume", "--rounds", 3), "a", "damaged", "experiment"
    )
    assert wirelessfl("run", "--rounds", 4, "--out", "c").status == 0
    (tmp_path / "c/checkpoint-000009.npz").write_bytes(
        (tmp_path / "c/checkpoint-000004.npz").read_bytes()
    )
    ended = wirelessfl("run", "--out", "c", "--resume", "--rounds", 9)
    assert ended.status == 0
    assert "checkpoint-000009.npz is damaged" in ended.err


def test_a_study_without_its_data_says_so_once_and_leaves_no_run(wirelessfl, tmp_path):
    ended = wirelessfl("study", "wfl-fig3", "--jobs", 1)
    assert ended.status == 2
    assert ended.err.count("--data-root") == 2  # the first run's note and the last line
    assert ended.err.splitlines()[-1].startswith("error: 6 of 6 runs failed: ")
    assert [
        file.name for file in (tmp_path / "runs/studies").iterdir() if not file.name.startswith(".")
    ] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], ["nothing", "study"]),
        (["wfl-table1", "--scale", "large"], ["--scale", "small, paper", "large"]),
        (["wfl-table1", "--learning-rate", "0.1"], ["--learning-rate", "trains nothing"]),
        (["wfl-fig3", "--learning-rate", "-1"], ["learning_rate", "above 0", "-1"]),
        (["wfl-table1", "--jobs", "0"], ["--jobs", "0"]),
        (["wfl-table1", "--out", "file"], ["--out", "file"]),
        (["wfl-table1", "--results", "file/x"], ["--results", "file"]),
    ],
)
def test_bad_input_to_a_study(arguments, words, wirelessfl, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(wirelessfl("study", *arguments), *words)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_an_allocator_from_outside_that_answers_nonsense_is_named(
    wirelessfl, tmp_path, monkeypatch
):
    (tmp_path / "plugins/allocators").mkdir(parents=True)
    (tmp_path / "plugins/allocators/wild.py").write_text(
        "from dataclasses import dataclass, replace\n"
        "from optimizers import Equal\n"
        "@dataclass(frozen=True)\n"
        "class Wild:\n"
        "    ratio: float = 5.0\n"
        "    def solve(self, problem):\n"
        "        answer = Equal().solve(problem)\n"
        "        return replace(answer, pruning_ratio=answer.pruning_ratio * 0 + self.ratio)\n"
    )
    (tmp_path / "plugins/allocators/torn.py").write_text("class Torn(")
    (tmp_path / "plugins/allocators/loose.py").write_text("class Loose: ...")
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path / "plugins"))
    refused(wirelessfl("allocate", "--method", "wild"), "allocation.method", "pruning_ratio", "5")
    refused(wirelessfl("allocate", "--method", "torn"), "torn.py", "SyntaxError")
    refused(wirelessfl("allocate", "--method", "loose"), "allocation.method", "loose", "dataclass")


def test_without_a_command_the_help_is_shown(wirelessfl):
    ended = wirelessfl()
    assert ended.status == 2
    assert len(ended.err.splitlines()) > 10
    assert "error" not in ended.err


def test_help_has_examples_and_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['wirelessfl', '--help']\n"
        "from studies.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = ('torch', 'numpy', 'matplotlib', 'cvxpy', 'rich', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Examples:" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"
    for command in ("run", "allocate", "study", "list"):
        shown = subprocess.run(
            [*COMMAND, command, "--help"], capture_output=True, text=True, check=True
        )
        assert "wirelessfl" in shown.stdout
        assert "Example" in shown.stdout


def test_presets_are_valid_and_of_the_paper():
    from studies.presets import preset_files
    from wirelessfl.config.scenario_file import from_tables, read_tables

    found = {file.stem: from_tables(read_tables(file)) for file in preset_files().values()}
    assert set(found) == {
        "digits",
        "physical",
        "wfl-mnist",
        "wfl-fmnist",
        "mce-pl-paper",
        "mce-pl-code",
        "sps-blog",
    }
    for name in ("wfl-mnist", "wfl-fmnist"):
        experiment = found[name]
        assert experiment.max_pruning_ratio == 0.95
        demand = experiment.algorithm.demand(experiment.scenario.clients)
        np.testing.assert_array_equal(demand.prunable_upload_bits, 32 * 16_560)
        np.testing.assert_array_equal(demand.fixed_updates, 5 * 5_280 + 16_560)
        np.testing.assert_array_equal(demand.prunable_updates, 5 * 16_560)
    printed, code = (found[f"mce-pl-{name}"].algorithm for name in ("paper", "code"))
    for algorithm in (printed, code):
        assert np.mean(algorithm.keep.ratios(20)) == pytest.approx(0.255)
    np.testing.assert_array_equal(printed.demand(20).fixed_upload_bits, 1_227_328)
    np.testing.assert_allclose(
        code.demand(20).fixed_upload_bits.mean() / 1_227_328, 0.3593, atol=1e-4
    )
