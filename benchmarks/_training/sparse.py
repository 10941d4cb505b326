"""Parts `masks` and `topk`: masked and compact networks against dense ones, and exact top-k."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ours import Prepared
from prepare import prepare
from report import TrainingRow
from work import Work, WorkItem

from training.engine.program import LocalWork, Train
from training.engine.spec import EngineSpec
from training.sparsity.counts import keep_count
from training.sparsity.top_k import top_k
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from wirelessfl.rng import Streams

RATIOS = (0.25, 0.5, 0.75, 0.9)
MODELS = (
    ("cnn", 128, 8, 5),
    ("vgg16", 32, 4, 3),
    ("resnet20", 128, 4, 3),
)  # batch, steps a measurement, repeats
TOP_K_SIZE = 15_000_000


def masks(options):
    """Rows of part `masks`: seconds per step of the engine, including the sub-model's layout.

    `plain dense` is the step that a user of PyTorch writes for the whole network: autograd and
    torch.optim.SGD.
    """
    torch.set_num_threads(1)  # the engine's own number
    for model, batch, steps, repeats in MODELS:
        if options.quick:
            batch = batch // 4
            steps = 1
            repeats = 1
        timed = in_turn(
            _steps(model, batch, steps, options.device), repeats, f"masks: {model}", options.device
        )
        yield from rows_of("masks", f"{model}, batch {batch}", timed, scale=steps)


def _steps(model, batch, steps, device):
    """Name -> a call of `steps` steps."""
    work = Work(model=model, clients=1, samples=batch * steps, batch_size=batch, learning_rate=0.01)
    with tempfile.TemporaryDirectory() as folder:
        setting = WorkItem(work, prepare(work, 1, Path(folder)), "loop")
        made = torch.load(setting.file, weights_only=True)
    data = Prepared(model=model, batch_size=batch, setting=setting, made=made).load(
        clients=1, seed=0, data_root=None
    )
    spec = EngineSpec(model=model, personalised=False, batch_size=batch, device=device)
    engine = spec.build(data)
    network, layout = spec.build_model()
    structure = Structure.of(network, layout)
    vector = layout.flatten(network).numpy()
    phase = Train(
        part="all",
        learning_rate=0.01,
        momentum=0.9,
        weight_decay=5e-4,
        steps=steps,
        stream="batches",
    )
    rank = np.random.default_rng(0).random(layout.parameter_size, dtype=np.float32)

    def call(vector=vector, **form):
        work = LocalWork(
            client=0, vector=vector, program=(phase,), pruning_ratio=0.0, streams=Streams(0), **form
        )
        return lambda: engine.train(work)

    calls = {"dense": call()}
    for ratio in RATIOS:
        calls[f"masked {ratio:.0%}"] = call(mask=top_k(rank, keep_count(ratio, rank.size)))
        sub = SubModel.first(structure.uniform(ratio))
        calls[f"compact {ratio:.0%}"] = call(sub=sub, vector=vector[structure.flat_indices(sub)])
    return calls | {"plain dense": _plain(network.to(device), data, steps, batch)}


def _plain(network, data, steps, batch):
    """The same steps on the whole network without the engine, on tensors that lie ready."""
    device = next(network.parameters()).device
    images = ((data.train_images.float() - data.mean) / data.std).to(device)
    labels = data.train_labels.to(device)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def call():
        for rows in torch.arange(steps * batch, device=device).split(batch):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimiser.step()

    return call


def topk(options):
    """Rows of part `topk`: exact masks of the largest of 15 million normal values.

    Measured here and by torch.topk.
    """
    scores = np.abs(np.random.default_rng(0).standard_normal(TOP_K_SIZE, dtype=np.float32))
    tensor = torch.from_numpy(scores)
    torch.set_num_threads(1)
    for ratio in RATIOS[1:]:
        kept = keep_count(ratio, TOP_K_SIZE)
        calls = {
            "torch.topk": lambda kept=kept: torch.zeros(TOP_K_SIZE, dtype=torch.bool).index_fill_(
                0, torch.topk(tensor, kept, sorted=False).indices, True
            ),
            "ours": lambda kept=kept: top_k(scores, kept),
        }
        timed = in_turn(calls, 3 if options.quick else 9, f"topk: {ratio:.0%}", "cpu")
        yield from rows_of("topk", f"15 million, {ratio:.0%} pruned", timed)


def in_turn(calls, repeats, what, device):
    """Name -> (wall, CPU) seconds of each repeat; a first call of each does not count."""
    times = {name: [] for name in calls}
    for number in range(repeats + 1):
        print(f"{what}: repeat {number + 1} of {repeats + 1}", file=sys.stderr, flush=True)
        for name, call in calls.items():
            start = time.perf_counter(), time.process_time()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            times[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return {name: spent[1:] for name, spent in times.items()}


def rows_of(part, work, timed, scale=1):
    medians = {
        name: [statistics.median(column) / scale for column in zip(*t, strict=True)]
        for name, t in timed.items()
    }
    base = next(iter(medians.values()))
    return [
        TrainingRow(
            part=part,
            work=work,
            method=name,
            wall_s=wall_s,
            cpu_s=cpu_s,
            repeats=len(timed[name]),
            wall_ratio=base[0] / wall_s,
            cpu_ratio=base[1] / cpu_s,
        )
        for name, (wall_s, cpu_s) in medians.items()
    ]
