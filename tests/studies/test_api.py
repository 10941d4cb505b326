"""The Python interface: runs in memory and in folders, own classes, frames, comparisons."""

import builtins
import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from helpers import plugin_folder
from torch import nn

import wirelessfl as wfl
from training import ServerBased, ServerMethod, Task, Train
from training.data.dataset import Dataset
from wirelessfl import plugins
from wirelessfl.config.scenario_file import experiment_hash
from wirelessfl.planning import plan

TWO = {"scenario": {"clients": 2}, "run": {"rounds": 2, "eval_every": 1}}
DUMMIES = {
    "scenario": {"clients": 4},
    "run": {"rounds": 8, "eval_every": 2, "checkpoint_every": 3},
    **plugin_folder.TABLES,
}


class OwnNet(nn.Module):
    """A linear layer and a personal one."""

    input_shape: ClassVar[tuple[int, ...]] = (3,)
    classes: ClassVar[int] = 2
    personal: ClassVar[tuple[str, ...]] = ("first",)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.first(inputs).relu())


class OwnData:
    """Points on two sides of a plane."""

    def load(self, data_root: object = None) -> Dataset:
        points = torch.randn(120, 3, generator=torch.Generator().manual_seed(0))
        part = (points, (points.sum(1) > 0).long())
        return Dataset.of("own-data", train=part, test=part, classes=2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnSgd(ServerBased):
    """Steps on the shared part.

    Attributes:
        steps: Number of steps.
    """

    steps: int = 10

    @property
    def method(self) -> ServerMethod:
        step = Train(part="shared", steps=self.steps, learning_rate=0.3, stream="batches/own")
        return ServerMethod(
            task=self.task, program=(step,), personalised=False, count_mask_bits=False
        )


@dataclasses.dataclass(frozen=True)
class OwnFading:
    """A gain that is drawn anew in every round."""

    spread: float = 0.1

    def sample(self, scenario: Any, streams: Any) -> wfl.ChannelState:
        gain = 1e-9 * (1 + self.spread * streams.generator("own").random(scenario.clients))
        return wfl.ChannelState.perfect_csi(gain)

    def mean_gain(self, scenario: Any, streams: Any) -> Any:
        return np.full(scenario.clients, 1e-9)


@dataclasses.dataclass(frozen=True)
class OwnShares:
    """Equal bands."""

    def solve(self, problem: Any) -> wfl.Allocation:
        none = np.zeros(problem.shape[:-1])
        return wfl.Allocation(
            problem=problem,
            bandwidth_fraction=np.full(problem.shape, 1 / problem.shape[-1]),
            pruning_ratio=np.zeros(problem.shape),
            bandwidth_price=none,
            deadline_price=none,
        )


@pytest.fixture
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


def own_experiment(**run: Any) -> wfl.Experiment:
    task = Task(model=OwnNet, dataset=OwnData, partition="iid", batch_size=20)
    settings = {"rounds": 4, "eval_every": 1, **run}
    return wfl.Experiment(
        scenario=wfl.Scenario(clients=3, deadline_policy="wait"),
        channel=OwnFading(),
        allocator=OwnShares(),
        algorithm=OwnSgd(task=task),
        run=wfl.RunSettings(**settings),
    )


def test_own_classes_train_without_a_file(tmp_path):
    experiment = own_experiment(keep_best=True)
    run = wfl.run(experiment)
    assert run.experiment == experiment
    assert run.final_accuracy > 0.8
    model = run.model()
    assert isinstance(model, OwnNet)
    points, labels = OwnData().load().test_images, OwnData().load().test_labels
    with torch.inference_mode():
        assert (model(points).argmax(1) == labels).float().mean() == pytest.approx(
            run.final_accuracy
        )
    assert run.series("gain").std() > 0
    same = wfl.run(
        {
            "scenario": wfl.Scenario(clients=3, deadline_policy="wait"),
            "channel": {"model": OwnFading},
            "allocation": OwnShares(),
            "training": {
                "algorithm": OwnSgd,
                "model": OwnNet,
                "dataset": OwnData,
                "partition": "iid",
                "batch_size": 20,
            },
            "run": {"rounds": 4, "eval_every": 1, "keep_best": True},
        },
        tmp_path / "run",
    )
    assert (tmp_path / "run/rounds.jsonl").read_text() == "".join(run.folder.lines)
    assert same.experiment == experiment
    best = run.trained_model(best=True)
    assert (
        best.accuracy == run.series("accuracy").max() == pytest.approx(best.client_accuracy.mean())
    )
    run.export(tmp_path / "best.safetensors", best=True)
    swept = wfl.sweep(experiment, {"training.steps": [1, 2]}, seeds=1, out=tmp_path / "sweep")
    assert [row["training.steps"] for row in swept.run_rows()] == [1, 2]
    with pytest.raises(wfl.InputError, match=r"^jobs must be 1 with 'own-fading', a class"):
        wfl.sweep(experiment, {"training.steps": [1]}, jobs=2, out=tmp_path / "sweep")
    with pytest.raises(wfl.InputError, match=r"^run\.executor must not be 'workers' with model"):
        wfl.run(own_experiment(executor="workers", workers=2))


def test_a_class_has_the_name_of_no_other_plugin():
    digits = type("Digits", (), {"load": lambda self, data_root=None: None})
    empty = type("Empty", (), {})
    cases = [
        (("datasets", digits), r"^class Digits must have another name: 'digits' is an installed"),
        (("channels", empty), r"^class Empty of kind channels must have 'sample'"),
        (("rooms", empty), r"^kind must be one of channels, "),
        (("models", 3), r"must be a class, got 3"),
    ]
    for arguments, words in cases:
        with pytest.raises(wfl.InputError, match=words):
            wfl.register(*arguments)
    with pytest.raises(wfl.InputError, match=r"^run\.device must not be a class, got Empty"):
        wfl.read({"run": {"device": empty}})
    assert wfl.register("models", OwnNet) == wfl.register("models", OwnNet) == "own-net"
    assert wfl.register("models", OwnNet, "other") == "other"
    assert plugins.load("models", "own-net") is OwnNet
    assert "own-net" in wfl.list_plugins("models")["models"]


def test_every_form_of_an_experiment_is_the_same_one(tmp_path):
    by_name = wfl.read("digits")
    scenario = {name: dataclasses.asdict(by_name)["scenario"][name] for name in ("clients",)}
    assert wfl.read(by_name) is by_name
    assert wfl.read(wfl.Scenario(**scenario)) == wfl.read({"scenario": scenario})
    objects = {
        "scenario": by_name.scenario,
        "channel": by_name.channel,
        "training": by_name.algorithm,
        "run": by_name.run,
        "allocation": {"method": type(by_name.allocator), "max_pruning_ratio": 0.95},
    }
    assert experiment_hash(wfl.read(objects)) == experiment_hash(by_name)
    for wrong in (5, None, ["digits"]):
        with pytest.raises(wfl.InputError, match=r"^scenario must be a name, a path, tables or an"):
            wfl.read(wrong)
    with pytest.raises(wfl.InputError, match=r"^scenario must be a section, got RunSettings"):
        wfl.read({"scenario": wfl.RunSettings()})


class Seen(wfl.Callback):
    """Lists its calls, and spoils every record that it gets."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_start(self, experiment: wfl.Experiment, rounds: int) -> None:
        self.calls.append(("start", rounds))

    def on_round(self, record: wfl.RoundRecord) -> None:
        self.calls.append(record.round)
        record.latency_s.clear()
        record.extra["mine"] = 1.0

    def on_end(self, summary: Mapping[str, Any]) -> None:
        self.calls.append(("end", summary.get("rounds")))


@pytest.mark.usefixtures("_dummies")
def test_callbacks_change_no_byte_and_a_stopped_run_goes_on(tmp_path):
    whole = wfl.run(DUMMIES)
    lines = "".join(whole.folder.lines)
    seen, rounds = Seen(), []
    options = {
        "callbacks": [seen],
        "on_round": lambda record: rounds.append(record.round),
        "progress": True,
    }
    first = wfl.run(DUMMIES, tmp_path / "run", stop=lambda record: record.round == 5, **options)
    assert len(first) == 5
    assert first.stopped is None
    wfl.run(DUMMIES, tmp_path / "run", **options)
    assert (tmp_path / "run/rounds.jsonl").read_text() == lines
    assert seen.calls == [
        ("start", 0),
        1,
        2,
        3,
        4,
        5,
        ("end", 5),
        ("start", 5),
        6,
        7,
        8,
        ("end", 8),
    ]
    assert rounds == list(range(1, 9))
    before = (tmp_path / "run/summary.json").read_bytes()
    wfl.run(DUMMIES, tmp_path / "run", **options)  # complete: nothing is called
    assert (tmp_path / "run/summary.json").read_bytes() == before
    assert len(rounds) == 8
    ended = wfl.run({**DUMMIES, "run": {**DUMMIES["run"], "stop_at_accuracy": 0.1}}, tmp_path / "e")
    assert len(ended) == 2
    assert ended.stopped.endswith("has reached run.stop_at_accuracy = 0.1")
    assert "rounds: 2 of 8 (accuracy" in repr(ended)


@pytest.mark.usefixtures("_dummies")
def test_a_callback_that_fails_ends_the_run_and_is_told(tmp_path):
    class Fails(Seen):
        def on_round(self, record: wfl.RoundRecord) -> None:
            raise RuntimeError("tracker")

    fails = Fails()
    with pytest.raises(RuntimeError, match="tracker"):
        wfl.run(DUMMIES, tmp_path / "run", callbacks=[fails])
    assert fails.calls == [("start", 0), ("end", None)]
    wfl.run(DUMMIES, tmp_path / "run")
    whole = wfl.run(DUMMIES)
    assert (tmp_path / "run/rounds.jsonl").read_text() == "".join(whole.folder.lines)


@pytest.mark.usefixtures("_dummies")
def test_wrong_arguments_are_one_line(tmp_path):
    cases = [
        ({"out": 5}, r"^out must be a folder or None, got 5; rounds="),
        ({"rounds": 0}, r"^run\.rounds must be a whole number of at least 1, got 0$"),
        ({"callbacks": [print]}, r"^callbacks must be of class wirelessfl\.Callback, got <built"),
    ]
    for options, words in cases:
        with pytest.raises(wfl.InputError, match=words):
            wfl.run(DUMMIES, **options)
    run = wfl.run(DUMMIES, rounds=2)
    with pytest.raises(wfl.InputError, match=r"^series 'los' is not known"):
        run.series("los")
    with pytest.raises(wfl.InputError, match=r"^per must be one of round, client; got 'agent'$"):
        run.to_pandas("agent")
    with pytest.raises(wfl.InputError, match=r"^the run in memory has no model of its best round"):
        run.model(best=True)
    with pytest.raises(wfl.InputError, match=r"^compare must be given at least one run"):
        wfl.compare([])
    with pytest.raises(wfl.InputError, match=r"^compare must be given runs, got 3$"):
        wfl.compare([run, 3])
    silent = wfl.simulate(DUMMIES, rounds=2)
    with pytest.raises(wfl.InputError, match=r"^the run in memory has recorded no accuracy"):
        silent.fairness()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_dummies")
def test_frames_have_the_records(monkeypatch):
    tables = {**DUMMIES, "run": {**DUMMIES["run"], "participants": 3}}
    run = wfl.run(tables)
    rounds = run.to_pandas()
    assert list(rounds["round"]) == list(range(1, 9))
    np.testing.assert_array_equal(rounds["clock_s"], run.series("clock_s"))
    np.testing.assert_allclose(rounds["energy_j"], run.series("energy_j").sum(axis=1))
    np.testing.assert_array_equal(rounds["accuracy"], run.series("accuracy"))
    assert set(rounds["participants"]) == {3}
    clients = run.to_pandas("client")
    assert len(clients) == 24
    np.testing.assert_array_equal(clients["client"], run.series("clients").ravel())
    np.testing.assert_array_equal(clients["latency_s"], run.series("latency_s").ravel())
    evaluated = clients[clients["round"] == 8]
    expected = run.client_accuracy()[7][evaluated["client"]]
    np.testing.assert_array_equal(evaluated["accuracy"], expected)
    assert clients[clients["round"] == 7]["accuracy"].isna().all()
    found = run.fairness()
    scores = np.sort(run.client_accuracy()[-1])
    assert (found.worst_tenth, found.mean) == (scores[0], pytest.approx(scores.mean()))
    assert found.standard_deviation == pytest.approx(scores.std())
    assert {name: len(of) for name, of in run.wall_seconds().items()}["training_s"] == 8
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        wfl.InputError, match=r'not installed: pip install "wirelessfl\[notebook\]"$'
    ):
        run.to_pandas()


@pytest.mark.usefixtures("_dummies")
def test_runs_are_compared_and_drawn():
    one, two = (wfl.run(DUMMIES, seed=seed) for seed in (0, 1))
    found = wfl.compare([one, two], to_accuracy=0.1)
    assert list(found.runs) == ["seed=0", "seed=1"]
    rows = found.rows()
    assert [row["accuracy"] for row in rows] == [one.final_accuracy, two.final_accuracy]
    assert rows[0]["seconds_to"] == one.series("clock_s")[1]
    assert list(found.to_pandas()["run"]) == ["seed=0", "seed=1"]
    assert repr(found).splitlines()[1].split() == ["rounds", "8", "8"]
    assert "<td>test accuracy (%)</td>" in found._repr_html_()
    (axes,) = found.plot().axes
    for line, run in zip(axes.lines, (one, two), strict=True):
        there = ~np.isnan(run.series("accuracy"))
        np.testing.assert_array_equal(line.get_xdata(), run.series("clock_s")[there])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["seed=0", "seed=1"]
    named = wfl.compare({"<a>": one})
    assert "&lt;a&gt;" in named._repr_html_()
    assert len(one.plot().axes) == 4
    assert len(wfl.simulate(DUMMIES, rounds=1).plot().axes) == 2


def test_allocations_and_cells_of_a_scenario():
    experiment = wfl.read(TWO)
    allocation = wfl.allocate(TWO)
    expected = plan(experiment, experiment.algorithm.demand(2)).allocation
    np.testing.assert_array_equal(allocation.bandwidth_fraction, expected.bandwidth_fraction)
    lines = repr(allocation).splitlines()
    assert lines[0].startswith("Allocation of 2 clients: kept ")
    assert [line.split()[0] for line in lines[1:]] == ["client", "0", "1"]
    assert f"{100 * allocation.bandwidth_fraction[0]:.2f}" in lines[2]
    assert allocation._repr_html_().count("<tr>") == 3
    many = wfl.solve(
        wfl.AllocationProblem(
            deadline_s=0.02,
            fixed_s=0.005,
            prunable_s=0.01,
            upload_bits=5e5,
            rate_bps=np.full((5, 2), 1e8),
        )
    )
    assert repr(many).startswith("Allocation of 2 clients in each of 5 problems: kept")
    assert "\n" not in repr(many)
    cell = wfl.simulate(TWO, rounds=3, seed=4)
    assert len(cell) == 3
    assert not cell.experiment.run.train
    assert cell.experiment.run.seed == 4
    assert "deadline misses" in repr(cell)
    assert "accuracy" not in repr(cell)


def test_a_sweep_is_shown(tmp_path):
    found = wfl.sweep(
        {"run": {"train": False, "rounds": 1}},
        {"scenario.deadline_s": "15ms,30ms"},
        seeds=1,
        out=tmp_path,
    )
    head, *lines = repr(found).splitlines()
    assert head.startswith("scenario.deadline_s  kept model (%)")
    assert [line.split()[0] for line in lines] == ["0.015", "0.03"]
    assert found._repr_html_().count("<tr>") == 3
    assert list(found.to_pandas("point")["seeds"]) == [1, 1]
    with pytest.raises(wfl.InputError, match=r"^per must be one of run, point; got 'seed'$"):
        found.to_pandas("seed")


@pytest.mark.usefixtures("_dummies")
def test_scalars_of_a_record_are_numbers():
    kept = []
    wfl.run(DUMMIES, rounds=2, on_round=lambda record: kept.append(wfl.scalars(record)))
    assert "accuracy" not in kept[0]
    assert 0 < kept[1]["accuracy"] <= 1
    assert all(isinstance(value, float) for value in kept[1].values())
    json.dumps(kept, allow_nan=False)
