"""Results and exceptions of plug-ins at the gate: one line that names plug-in and field."""

import pytest
from helpers import plugin_folder
from helpers.cli import call

ALLOCATOR = """\
from dataclasses import dataclass
import numpy as np
from wirelessfl import Allocation

@dataclass(frozen=True, kw_only=True)
class Odd:
    def solve(self, problem):
        n = problem.shape[-1]
        given = dict(
            problem=problem, bandwidth_fraction=np.full(n, 1 / n), pruning_ratio=np.full(n, 0.5),
            bandwidth_price=np.array(0.0), deadline_price=np.array(0.0))
        {change}
        return Allocation(**given)
"""
CHANNEL = """\
from dataclasses import dataclass
import numpy as np
from wirelessfl import ChannelState

@dataclass(frozen=True, kw_only=True)
class Odd:
    def sample(self, scenario, streams):
        n = scenario.clients
        gain = np.full(n, 1e-11)
        given = dict(gain=gain, believed_gain=gain)
        {change}
        return ChannelState(**given)

    def mean_gain(self, scenario, streams):
        return np.full(scenario.clients, 1e-11)
"""
ALLOCATIONS = {
    "given['bandwidth_fraction'] = np.ones(n)": "bandwidth_fraction must add up to at most 1, got 2",
    "given['pruning_ratio'] = np.full(n, 1 + 1e-6)": "pruning_ratio must be within 0 and 1",
    "given['pruning_ratio'] = np.full(n + 1, 0.5)": "float64 array of shape (2,)",
    "given['pruning_ratio'] = [0.5] * n": "got list [0.5, 0.5]",
    "given['pruning_ratio'] = np.full(n, np.nan)": "within 0 and 1, got nan",
    "given['bandwidth_fraction'] = np.full(n, -0.1)": "within 0 and 1, got -0.1",
    "given['bandwidth_fraction'] = np.float32([0.5, 0.5])": "got float32 of shape (2,)",
    "given['left_out'] = 'none'": "left_out must be a bool array",
    "given['bandwidth_price'] = 'dear'": "bandwidth_price must be",
    "given['bandwidth_price'] = np.array(-5.0)": "bandwidth_price must be at least 0, got -5",
    "given['deadline_price'] = np.array(np.nan)": "deadline_price must be at least 0, got nan",
    "given['bandwidth_fraction'] = np.ma.masked_array(np.full(n, 0.5))": "got MaskedArray of shape",
    "from dataclasses import replace; given['problem'] = replace(problem, deadline_s=1.0)": (
        "problem of the allocation must be the one to solve"
    ),
    "raise SystemExit(0)": "failed: SystemExit: 0 (",
    "return None": "solve must return a value of Allocation, got NoneType None",
    "return Allocation()": "failed: TypeError:",
    "1 / 0": "failed: ZeroDivisionError: division by zero (",
}
CHANNELS = {
    "given['gain'] = np.ones(n + 1)": "gain must be a float64 array of shape (2,)",
    "given['gain'] = [1e-11] * n": "gain must be a float64 array",
    "given['believed_gain'] = np.full(n, np.nan)": "believed_gain must be finite and at least 0",
    "given['gain'] = np.full(n, -1.0)": "gain must be finite and at least 0, got -1",
    "given['path_gain'] = np.full(n, np.inf)": "path_gain must be finite",
    "return 3": "sample must return a value of ChannelState, got int 3",
    "raise RuntimeError('no\\nradio')": "failed: RuntimeError: no radio (",
}


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """The error line of a run with a plug-in whose file is given; nothing is created."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path / "plugins"))

    def run(kind, text, *settings, name="odd"):
        file = tmp_path / "plugins" / kind / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        settings = ("scenario.clients=2", "run.train=false", "run.rounds=1", *settings)
        options = [part for setting in settings for part in ("--set", setting)]
        ended = call(capsys, monkeypatch, "run", *options, "--out", "out")
        assert ended.status == 2, ended.out
        (line,) = [line for line in ended.err.splitlines() if not line.startswith("rounds ")]
        assert not (tmp_path / "out").exists()
        return line

    return run


def test_an_allocation_that_breaks_its_limits_is_refused(refused):
    for number, (change, words) in enumerate(ALLOCATIONS.items()):
        text = ALLOCATOR.format(change=change).replace("Odd", f"Odd{number}")
        name = f"odd{number}"
        line = refused("allocators", text, f"allocation.method={name}", name=name)
        assert f"allocator '{name}'" in line
        assert words in line


def test_a_channel_that_is_not_one_is_refused(refused):
    for number, (change, words) in enumerate(CHANNELS.items()):
        text = CHANNEL.format(change=change).replace("Odd", f"Odd{number}")
        name = f"odd{number}"
        line = refused("channels", text, f"channel.model={name}", name=name)
        assert f"channel '{name}'" in line
        assert words in line


def test_an_exception_is_named_with_its_file_and_line(refused, tmp_path):
    line = refused(
        "allocators", ALLOCATOR.format(change="raise KeyError('x')"), "allocation.method=odd"
    )
    assert f"KeyError: 'x' ({tmp_path / 'plugins/allocators/odd.py'}, line 12)" in line


def test_a_file_that_cannot_be_loaded_is_named(refused):
    line = refused("allocators", "nonsense + 1\n", "allocation.method=odd")
    assert "odd.py cannot be loaded: NameError: name 'nonsense' is not defined" in line


def test_rounding_is_clipped(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path))
    (tmp_path / "allocators").mkdir()
    change = "given['pruning_ratio'] = np.full(n, 1 + 5e-10)"
    (tmp_path / "allocators/odd.py").write_text(ALLOCATOR.format(change=change))
    settings = ("allocation.method=odd", "scenario.clients=2", "run.train=false", "run.rounds=1")
    options = [part for setting in settings for part in ("--set", setting)]
    ended = call(capsys, monkeypatch, "run", *options, "--out", "out", "--json")
    assert ended.status == 0, ended.err
    assert ended.json()["mean_pruning_ratio"] == 1.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("loss='low'", "loss must be a number, got str 'low'"),
        ("uplink_bits=-bits - 1.0", "uplink_bits must be finite and at least 0"),
        ("extra={'norm': None}", "extra norm must be a number"),
    ],
)
def test_metrics_of_a_round_are_checked(refused, changed, words):
    text = (plugin_folder.OUTSIDE / "algorithms/counting.py").read_text()
    name, _ = changed.split("=", 1)
    text = text.replace("loss=float(values.mean()), uplink_bits=bits,", f"METRICS {changed},")
    others = {"loss": "uplink_bits=bits", "uplink_bits": "loss=0.5"}
    given = others.get(name, "loss=0.5, uplink_bits=bits")
    text = text.replace("METRICS", f"{given},")
    line = refused(
        "algorithms",
        text,
        "training.algorithm=counting",
        "training.partition=iid",
        "run.train=true",
        name="counting",
    )
    assert "algorithm 'counting'" in line
    assert words in line


DATASET = """\
from training.data.card import Card

class Odd:
    card = Card(name="odd", train=10, test=5, shape=(1, 8, 8), classes=10)

    def load(self, data_root=None):
        {change}
"""
MODEL = """\
from torch import nn

class Odd(nn.Module):
    input_shape = (1, 8, 8)
    classes = 10

    def __init__(self):
        super().__init__()
        {change}

    def forward(self, images):
        return images.nothing
"""


def test_data_sets_and_models_are_named(refused, tmp_path):
    train = ("run.train=true", "training.partition=iid", "training.algorithm=fedavg")
    train = (*train, "allocation.method=min-latency")
    line = refused("datasets", DATASET.format(change="return 3"), "training.dataset=odd", *train)
    assert "dataset 'odd': load must return a Dataset, got 3" in line
    file = tmp_path / "plugins/models/odd.py"
    line = refused("models", MODEL.format(change="1 / 0"), "training.model=odd", *train)
    assert f"model 'odd' failed: ZeroDivisionError: division by zero ({file}, line 9)" in line


def test_an_error_in_a_model_is_placed_in_its_file(refused, tmp_path):
    train = ("run.train=true", "training.partition=iid", "training.algorithm=fedavg")
    text = MODEL.format(change="self.layer = nn.Linear(64, 10)")
    settings = ("training.model=odd", *train, "allocation.method=min-latency")
    line = refused("models", text, *settings)
    assert "AttributeError" in line
    assert str(tmp_path / "plugins/models/odd.py") in line
