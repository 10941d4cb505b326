"""Our algorithms on the nodes of Flower: the records and models of the executor `loop`."""

import json
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

pytestmark = pytest.mark.extras
pytest.importorskip("flwr")

from helpers.flower_app import LocalGrid  # noqa: E402

import wirelessfl as wfl  # noqa: E402
from training.control_variates.local_steps import local_steps  # noqa: E402
from training.engine.program import EvaluationWork, LocalWork, SampleSelection, Train  # noqa: E402
from training.flower.codec import decode, encode  # noqa: E402
from training.flower.executor import FlowerExecutor, node_app  # noqa: E402
from training.sparsity.prox import TopK  # noqa: E402
from training.structure.submodel import SubModel  # noqa: E402
from wirelessfl.errors import DivergenceError, InputError  # noqa: E402
from wirelessfl.protocols import Runtime  # noqa: E402
from wirelessfl.rng import Streams  # noqa: E402

K, ROUNDS = 4, 3
FAMILIES = {
    "fedalt": {},
    "fedavg": {},
    "prunefl": {},
    "ca-hfp": {},
    "scaffold": {},
    "sparse-proxskip": {},
    "mce-pl": {},
    "dsgd": {},
}


def experiment(algorithm, **training):
    tables = {
        "scenario": {"clients": K},
        "training": {"algorithm": algorithm, "train_samples": 160, **training},
        "run": {"rounds": ROUNDS, "eval_every": 1, "executor": "loop"},
    }
    if algorithm not in ("fedalt", "prunefl", "ca-hfp"):
        tables["allocation"] = {"method": "min-latency"}
        tables["scenario"] |= {"deadline_s": 10.0}
    return wfl.read("digits", tables)


def same(one, other):
    """True for equal objects, arrays by value."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one)
        )
    return one == other


@pytest.mark.parametrize("algorithm", FAMILIES)
@pytest.mark.parametrize("nodes", [1, 3])
def test_records_and_models_are_those_of_the_loop(algorithm, nodes):
    wanted = experiment(algorithm)
    executor = FlowerExecutor(LocalGrid(node_app(wanted), range(nodes)), wanted)
    assert executor.ahead == nodes
    found = wfl.run(wanted, executor=executor)
    expected = wfl.run(wanted)
    for mine, theirs in zip(found.records, expected.records, strict=True):
        mine, theirs = dict(mine), dict(theirs)
        mine.pop("wall", None)
        theirs.pop("wall", None)
        assert mine == theirs
    assert found.series("loss").shape == (ROUNDS,)
    one, other = (run.folder.last_checkpoint(print).arrays for run in (found, expected))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_every_kind_of_work_survives_the_message():
    vector = np.arange(6, dtype=np.float32)
    works = [
        LocalWork(
            client=2,
            vector=vector,
            program=(Train(part="all", learning_rate=0.1, stream="s", steps=3, prox=TopK(kept=2)),),
            pruning_ratio=0.3,
            streams=Streams(5, 7),
            mask=np.array([True, False, True]),
            sub=SubModel(kept={"conv1": (0, 2), "fc": (1,)}),
        ),
        EvaluationWork(
            client=0, vector=vector, sample=SampleSelection(of="train", count=3, seed=1)
        ),
    ]
    for work in works:
        text, arrays = encode(work)
        json.loads(text)
        assert same(decode(text, arrays), work)


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        '{"kind": "Popen", "fields": {"args": "true"}}',
        '{"kind": "Streams", "fields": {"speed": 1}}',
        '{"array": 3}',
        '{"kind": "Train", "fields": {}}',
    ],
)
def test_a_message_makes_no_other_object(text):
    with pytest.raises(InputError, match=r"^a message of local work must be one of this version"):
        decode(text, [])
    with pytest.raises(InputError, match=r"must hold no complex$"):
        encode(1j)


def test_an_error_on_a_node_is_one_line_at_the_server():
    wanted = experiment("fedavg", learning_rate=1e30)
    executor = FlowerExecutor(LocalGrid(node_app(wanted), range(2)), wanted)
    with pytest.raises(DivergenceError, match=r"^training diverged: client \d, round"):
        wfl.run(wanted, executor=executor)


def test_nodes_of_another_experiment_are_refused():
    wanted, other = experiment("fedavg"), experiment("fedavg", batch_size=8)
    executor = FlowerExecutor(LocalGrid(node_app(other), range(2)), wanted)
    with pytest.raises(InputError, match=r"^node_app must have the experiment of the server, \w+,"):
        wfl.run(wanted, executor=executor)
    longer = FlowerExecutor(LocalGrid(node_app(wanted), range(2)), wanted)
    assert len(wfl.run(wanted, rounds=1, executor=longer)) == 1


def test_a_missing_reply_names_its_client():
    class Silent(LocalGrid):
        def send_and_receive(self, messages, *, timeout=None):
            return super().send_and_receive(list(messages)[:-1], timeout=timeout)

    wanted = experiment("fedavg")
    executor = FlowerExecutor(Silent(node_app(wanted), range(2)), wanted, timeout_s=3.0)
    with pytest.raises(
        InputError, match=r"^a node must answer for client 1 within 3 s, got no result in 3 attem"
    ):
        wfl.run(wanted, executor=executor)


def test_the_work_of_a_silent_node_is_done_by_the_next_one():
    class Mute(LocalGrid):
        def send_and_receive(self, messages, *, timeout=None):
            answered = [one for one in messages if one.metadata.dst_node_id != 2]
            return super().send_and_receive(answered, timeout=timeout)

    wanted = experiment("fedalt")
    found = wfl.run(wanted, executor=FlowerExecutor(Mute(node_app(wanted), range(2)), wanted))
    expected = wfl.run(wanted)
    np.testing.assert_array_equal(found.series("loss"), expected.series("loss"))


def test_executors_are_refused_where_they_cannot_work():
    wanted = experiment("fedavg")
    app = node_app(wanted)
    executor = FlowerExecutor(LocalGrid(app, range(1)), wanted)
    with pytest.raises(InputError, match=r"^a grid must have at least 1 node, got 0$"):
        FlowerExecutor(LocalGrid(app, range(0)), wanted)
    with pytest.raises(InputError, match=r"^ahead must be .* 1, got 0$"):
        FlowerExecutor(LocalGrid(app, range(1)), wanted, ahead=0)
    with pytest.raises(InputError, match=r"^timeout_s must be above 0, got 0$"):
        FlowerExecutor(LocalGrid(app, range(1)), wanted, timeout_s=0)
    with pytest.raises(InputError, match=r"^a grid must have at least 2 nodes within 0 s, got 1$"):
        FlowerExecutor.connect(LocalGrid(app, range(1)), wanted, nodes=2, wait_s=0.0)
    with pytest.raises(InputError, match=r"^executor must have a method train, got 'loop'$"):
        wfl.run(experiment("fedavg"), executor="loop")
    full = wfl.read("sps-blog", {"training": {"gradients": "full"}}).algorithm
    with pytest.raises(InputError, match=r"^training\.gradients must be 'minibatch' with an exec"):
        local_steps(full.method, clients=2, seed=0, runtime=Runtime(given=executor))


def test_a_run_goes_on_with_another_executor(tmp_path):
    wanted = experiment("fedalt")
    whole = wfl.run(wanted, tmp_path / "whole")
    wfl.run(wanted, tmp_path / "run", stop=lambda record: record.round == 1)
    executor = FlowerExecutor(LocalGrid(node_app(wanted), range(3)), wanted)
    wfl.run(wanted, tmp_path / "run", executor=executor)
    lines = [(tmp_path / name / "rounds.jsonl").read_text() for name in ("whole", "run")]
    assert lines[0] == lines[1]
    assert len(whole) == ROUNDS
