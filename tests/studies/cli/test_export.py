"""`wirelessfl export`: files from which plain PyTorch reproduces the recorded accuracy."""

import json

import pytest
import torch
import torch.nn.functional as F
from helpers.cli import call
from safetensors import safe_open

from studies.report.one_run.run import Run
from studies.runner.single_run import run_to_end
from training.models.digits_cnn import DigitsCnn
from wirelessfl.config.scenario_file import experiment_hash, from_tables, to_toml

CLIENTS = 4
RADIO = {"method": "min-latency"}
TABLES = {
    "fedalt": {"training": {"algorithm": "fedalt", "partition": "labels"}},
    "fedavg": {"training": {"algorithm": "fedavg"}, "allocation": RADIO},
    "mce-pl": {
        "training": {"algorithm": "mce-pl", "graph": "ring", "learning_rate": 10.0},
        "allocation": RADIO,
    },
    "sparse-proxskip": {
        "training": {"algorithm": "sparse-proxskip", "sparsity": 0.4},
        "allocation": RADIO,
    },
    "prunefl": {"training": {"algorithm": "prunefl"}, "allocation": RADIO},
    "fedmp": {"training": {"algorithm": "fedmp"}, "allocation": RADIO},
}
OWN_MODELS = ("fedalt", "mce-pl")


@pytest.fixture
def export(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, "export", *arguments)


def experiment_of(tables, **run):
    training = {
        "partition": "iid",
        "learning_rate": 0.2,
        "batch_size": 32,
        **tables["training"],
    }
    return from_tables(
        {
            "scenario": {"clients": CLIENTS, "deadline_s": 1.0},
            **tables,
            "training": training,
            "run": {"rounds": 2, "seed": 3, **run},
        }
    )


def trained(path, experiment):
    """The run of an experiment in a folder, without pictures."""
    run_to_end(path, to_toml(experiment), None)
    return Run.read(path)


def read(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def counts(weights):
    """Numbers of values, and of those that are not 0."""
    values = torch.cat([tensor.reshape(-1) for tensor in weights.values()])
    return len(values), int(torch.count_nonzero(values))


def logits(weights, images):
    """The network `digits-cnn`, written out."""
    hidden = images
    for name in ("conv1", "conv2"):
        hidden = F.conv2d(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        hidden = F.relu(F.max_pool2d(hidden, 2))
    hidden = F.relu(F.linear(hidden.flatten(1), weights["fc1.weight"], weights["fc1.bias"]))
    return F.linear(hidden, weights["fc2.weight"], weights["fc2.bias"])


@pytest.mark.parametrize("name", TABLES)
def test_plain_torch_reproduces_the_recorded_accuracy(export, tmp_path, name):
    experiment = experiment_of(TABLES[name])
    run = trained(tmp_path / "run", experiment)
    data = experiment.algorithm.task.load(clients=CLIENTS, seed=3, data_root=None)
    models = {}
    for client in range(CLIENTS if name in OWN_MODELS else 1):
        done = export("run", "--client", client, "-o", f"{client}.safetensors")
        assert (done.status, done.err, done.out.count("\n")) == (0, "", 1)
        models[client], metadata = read(f"{client}.safetensors")
        assert (metadata["round"], metadata["client"]) == ("2", str(client))
    mean = json.loads(metadata["pixel_mean"])
    std = json.loads(metadata["pixel_std"])
    accuracies = []
    for client, rows in enumerate(data.test_index):
        outputs = logits(
            models.get(client, models[0]), (data.test_images[rows].float() - mean) / std
        )
        right = outputs.argmax(1) == data.test_labels[rows]
        accuracies.append(right.float().mean().item())
    assert sum(accuracies) / CLIENTS == pytest.approx(run.final_accuracy, abs=1e-7)
    assert json.loads(metadata["accuracy"]) == run.final_accuracy
    assert (metadata["algorithm"], metadata["experiment"]) == (name, experiment_hash(experiment))
    assert (metadata["model"], metadata["dataset"]) == ("digits-cnn", "digits")
    assert json.loads(metadata["class_names"]) == list("0123456789")
    weights = models[len(models) - 1]
    size, nonzero = counts(weights)
    assert json.loads(metadata["pruned_fraction"]) == pytest.approx(1 - nonzero / size)
    done = export("run", "-o", "global.safetensors", "--json")
    if name in OWN_MODELS:
        assert any(not torch.equal(models[0][key], models[1][key]) for key in weights)
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert f"client must be within 0 and {CLIENTS - 1}" in done.err
    else:
        assert "client" not in done.json()
        weights, _ = read("global.safetensors")
        assert all(torch.equal(weights[key], models[0][key]) for key in models[0])


def test_the_sparse_model_keeps_the_weights_that_the_method_says(tmp_path):
    run = trained(tmp_path / "run", experiment_of(TABLES["sparse-proxskip"]))
    size, nonzero = counts(run.state_dict())
    assert nonzero == int(0.6 * size)


def test_names_and_personal_parts_of_the_python_interface(tmp_path):
    run = trained(tmp_path / "run", experiment_of(TABLES["fedalt"]))
    model = run.model(1)
    assert isinstance(model, DigitsCnn)
    assert not model.training
    weights = run.state_dict(1)
    assert list(weights) == list(DigitsCnn().state_dict())
    DigitsCnn().load_state_dict(weights)
    others = run.state_dict(2)
    equal = {name: torch.equal(tensor, others[name]) for name, tensor in weights.items()}
    assert {name for name, same in equal.items() if not same} >= {"conv1.weight", "conv2.weight"}
    assert equal["fc1.weight"]
    assert equal["fc2.bias"]


def test_bad_input_is_one_line_and_writes_nothing(export, tmp_path):
    run = trained(tmp_path / "run", experiment_of(TABLES["fedavg"]))
    trained(tmp_path / "radio", experiment_of(TABLES["fedavg"], train=False))
    (tmp_path / "folder.safetensors").mkdir()
    cases = [
        (("run", "--client", CLIENTS), ["client", "0 and 3", "got 4"]),
        (("run", "--client", -1), ["client", "0 and 3", "got -1"]),
        (("radio",), ["run.train must be true", "radio"]),
        (("nowhere",), ["nowhere", "no such folder"]),
    ]
    for arguments, words in cases:
        done = export(*arguments, "-o", "x.safetensors")
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert all(word in done.err for word in words), done.err
    for output in ("none/x.safetensors", "folder.safetensors", "model.pt"):
        done = export("run", "-o", output)
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert "-o" in done.err
        assert output in done.err
    assert export("run").status == 2
    file = run.folder.experiment_file
    mine = file.read_text()
    file.write_text(mine.replace("learning_rate = 0.2", "learning_rate = 0.1"))
    done = export("run", "-o", "x.safetensors")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "is damaged: its checkpoints are of experiment" in done.err
    file.write_text(mine)
    files = run.folder.checkpoint_files()
    files[-1].write_bytes(b"torn")
    for file in files[:-1]:
        file.unlink()
    done = export("run", "-o", "x.safetensors")
    assert (done.status, done.out) == (2, "")
    assert "holds no checkpoint" in done.err.splitlines()[-1]
    names = {"run", "radio", "folder.safetensors"}
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == names


def test_an_earlier_checkpoint_without_an_evaluation_has_no_accuracy(export, tmp_path):
    run = trained(
        tmp_path / "run", experiment_of(TABLES["fedavg"], checkpoint_every=1, eval_every=5)
    )
    run.folder.checkpoint_files()[-1].unlink()
    found = export("run", "-o", "x.safetensors", "--json").json()
    assert found["round"] == 1
    assert "accuracy" not in found


def test_a_model_of_full_gradients_reproduces_the_recorded_accuracy(tmp_path):
    """Its weights are trained in float64 and come out in the float32 of the model."""
    fields = {
        "training": {
            "algorithm": "proxskip",
            "model": "logistic",
            "image_size": 28,
            "gradients": "full",
        },
        "allocation": RADIO,
    }
    experiment = experiment_of(fields)
    run = trained(tmp_path / "run", experiment)
    data = experiment.algorithm.task.load(clients=CLIENTS, seed=3, data_root=None)
    images = (data.test_images.float() - data.mean) / data.std
    with torch.inference_mode():
        right = run.model()(images).argmax(1) == data.test_labels
    assert {tensor.dtype for tensor in run.state_dict().values()} == {torch.float32}
    assert right.float().mean().item() == pytest.approx(run.final_accuracy, abs=1e-6)
    assert run.final_accuracy > 0.15


def test_the_best_round_comes_out_with_the_accuracy_of_its_clients(export, tmp_path):
    experiment = experiment_of(TABLES["fedalt"], rounds=4, eval_every=1, keep_best=True)
    run = trained(tmp_path / "run", experiment)
    scores = run.series("accuracy")
    best = int(scores.argmax()) + 1
    data = experiment.algorithm.task.load(clients=CLIENTS, seed=3, data_root=None)
    for client, rows in enumerate(data.test_index):
        found = export(
            "run", "--client", client, "--best", "-o", "best.safetensors", "--json"
        ).json()
        assert (found["round"], found["accuracy"]) == (best, scores.max())
        weights, _ = read("best.safetensors")
        images = (data.test_images[rows].float() - found["pixel_mean"]) / found["pixel_std"]
        right = logits(weights, images).argmax(1) == data.test_labels[rows]
        assert right.float().mean().item() == pytest.approx(found["client_accuracy"], abs=1e-6)
    (tmp_path / "run" / "best.npz").unlink()
    done = export("run", "--client", 0, "--best", "-o", "x.safetensors")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "no model of its best round: run.keep_best must be true" in done.err
