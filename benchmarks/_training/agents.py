"""Part `agents`: iterations of agents that learn masks, and masks alone, against a plain loop.

The loop is written as in papers.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from ours import Prepared
from prepare import STREAM, prepare
from sparse import in_turn, rows_of
from torch import nn
from work import Work, WorkItem, normalised, rows

from training.engine.program import LocalWork, TrainMask
from training.engine.spec import EngineSpec
from training.engine.straight_through import mask_of
from training.executors import make_executor
from training.structure.build import build
from training.structure.form import Form
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams

AGENTS = 20
KEEP = 0.5
RATE = 1.0
ALPHAS = (2e-5, 1e-4, 1e-4)
NO_NORM = ("lrn",)
# Batch, width, omitted parts, repeats: 434,302 weights that have a mask, and all 1,227,328.
CASES = (
    (32, 0.594, (), 7),
    (8, 0.594, (), 9),
    (32, 0.594, NO_NORM, 7),
    (8, 0.594, NO_NORM, 9),
    (32, 1.0, (), 3),
)


class StraightThroughMask(torch.autograd.Function):
    """The mask of the largest entries, through which gradients pass unchanged."""

    @staticmethod
    def forward(ctx, magnitude, keep):
        flat = magnitude.flatten()
        mask = torch.zeros_like(flat)
        mask[
            torch.topk(flat, flat.numel() - int((1 - keep) * flat.numel()), sorted=False).indices
        ] = 1
        return mask.view_as(magnitude)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class Masked(nn.Module):
    """Scores of a fixed weight; the mask is that of |z + mean|z| sign(z) M|."""

    def __init__(self, weight, scores):
        super().__init__()
        self.scores = nn.Parameter(scores.clone())
        self.register_buffer("weight", weight)
        self.register_buffer("neighbours", torch.zeros_like(weight))

    def mask(self):
        pull = (self.scores.abs().mean() * self.scores.sign() * self.neighbours).detach()
        return StraightThroughMask.apply((self.scores + pull).abs(), KEEP)

    def forward(self):
        return self.weight * self.mask()


class NaiveAgent(nn.Module):
    """An agent's network as written in papers."""

    def __init__(self, weights, biases, scores, without):
        super().__init__()
        self.layers = nn.ModuleList(map(Masked, weights, scores))
        self.biases = biases
        self.without = without

    def forward(self, hidden):
        for layer, alpha, padding in zip(self.layers[:3], ALPHAS, (0, 0, 1), strict=True):
            hidden = F.elu(F.conv2d(hidden, layer(), padding=1))
            if "lrn" not in self.without:
                hidden = F.local_response_norm(hidden, 4, alpha=alpha, beta=0.75)
            hidden = F.max_pool2d(hidden, 3, stride=2, padding=padding)
        hidden = hidden.flatten(1)
        for layer, bias in zip(self.layers[3:], self.biases, strict=True):
            hidden = F.elu(F.linear(hidden, layer(), bias))
        return hidden


@dataclass(frozen=True)
class AgentsCase:
    """Data, weights and scores that both methods get."""

    work: Work
    made: dict
    form: Form
    device: str
    spec: EngineSpec
    data: object

    @classmethod
    def of(cls, batch, form, device):
        work = Work(model="alexnet-like", clients=AGENTS, samples=2 * batch, batch_size=batch)
        with tempfile.TemporaryDirectory() as folder:
            setting = WorkItem(work, prepare(work, 16, Path(folder)), "loop")
            made = torch.load(setting.file, weights_only=True)
        task = Prepared(model=work.model, batch_size=batch, setting=setting, made=made)
        spec = EngineSpec(
            model=work.model, personalised=False, batch_size=batch, device=device, form=form
        )
        return cls(
            work, made, form, device, spec, task.load(clients=AGENTS, seed=0, data_root=None)
        )

    def start(self):
        """Weights and scores of one network each, and the layout."""
        torch.manual_seed(0)
        model, layout = self.spec.build_model()
        scores = build(self.work.model, self.form)
        return layout, layout.flatten(model), layout.flatten(scores)


def naive(case, losses):
    """A call that is an iteration of all agents."""
    layout, vector, start = case.start()
    tensors = [vector[entry.slice].view(entry.shape).to(case.device) for entry in layout.parameters]
    scores = [
        start[e.slice].view(e.shape).to(case.device) for e in layout.parameters if len(e.shape) > 1
    ]
    weights = [t for t in tensors if t.ndim > 1]
    biases = [t for t in tensors if t.ndim == 1]
    agents = [
        NaiveAgent(weights, biases, scores, case.form.without).to(case.device)
        for _ in range(AGENTS)
    ]
    optimizers = [torch.optim.SGD(agent.parameters(), lr=RATE) for agent in agents]
    inputs = normalised(case.made).to(case.device)
    labels = case.made["labels"].to(case.device)

    def iteration():
        total = 0.0
        masks = []
        for number, (agent, optimizer) in enumerate(zip(agents, optimizers, strict=True)):
            batch = rows(case.made, number, len(losses) + 1)[: case.work.batch_size].to(case.device)
            optimizer.zero_grad()
            loss = F.cross_entropy(agent(inputs[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.item()
            with torch.no_grad():
                masks.append([layer.mask() for layer in agent.layers])
        for number, agent in enumerate(agents):
            for layer, before, after in zip(
                agent.layers, masks[number - 1], masks[(number + 1) % AGENTS], strict=True
            ):
                layer.neighbours = (before + after) / 2
        losses.append(total / AGENTS)

    return iteration


def ours(case, losses):
    """The same by the engine's executor."""
    layout, vector, start = case.start()
    runtime = Runtime(device=case.device, executor="loop")
    executor = make_executor(case.spec, case.data, runtime, round_flops=0.0)
    layers = sum(len(entry.shape) > 1 for entry in layout.parameters)
    phase = TrainMask(keep=(KEEP,) * layers, learning_rate=RATE, stream=STREAM, steps=1)
    scores = [start.numpy()] * AGENTS
    neighbours = [np.zeros(layout.size, dtype=np.float32)] * AGENTS

    def work(number):
        return LocalWork(
            client=number,
            vector=vector.numpy(),
            program=(phase,),
            pruning_ratio=0.0,
            streams=Streams(0, len(losses)),
            scores=scores[number],
            neighbour_mask=neighbours[number],
        )

    def iteration():
        results = list(executor.train(map(work, range(AGENTS))))
        masks = [result.mask.astype(np.float32) for result in results]
        scores[:] = [result.scores for result in results]
        neighbours[:] = [
            (masks[number - 1] + masks[(number + 1) % AGENTS]) / 2 for number in range(AGENTS)
        ]
        losses.append(sum(result.loss for result in results) / AGENTS)

    return iteration


def agents(options):
    """Rows of part `agents`.

    They are an iteration of 20 agents on a ring, and the masks of all of them alone, with one
    thread.
    """
    torch.set_num_threads(1)
    for batch, width, without, repeats in CASES[: 2 if options.quick else None]:
        case = AgentsCase.of(batch, Form(width=width, without=without), options.device)
        losses = ([], [])
        calls = {"naive, torch.topk": naive(case, losses[0]), "ours, loop": ours(case, losses[1])}
        name = f"alexnet-like {width:g}, {AGENTS} agents, batch {batch}" + (
            ", no lrn" if without else ""
        )
        timed = in_turn(calls, 1 if options.quick else repeats, f"agents: {name}", options.device)
        gap = max(abs(a - b) / abs(a) for a, b in zip(losses[0][:2], losses[1][:2], strict=True))
        first, other = rows_of("agents", name, timed)
        yield from (first, replace(other, loss_gap=gap))
    for width in (0.594, 1.0):
        yield from _masks_alone(
            AgentsCase.of(1, Form(width=width), "cpu"), 1 if options.quick else 7
        )


def _masks_alone(case, repeats):
    layout, vector, scores = case.start()
    layers = [(entry, KEEP) for entry in layout.parameters if len(entry.shape) > 1]
    neighbours = torch.rand(layout.size, generator=torch.Generator().manual_seed(0))
    phase = TrainMask(keep=(KEEP,) * len(layers), learning_rate=RATE, stream=STREAM, steps=1)
    masked = [
        Masked(*(flat[entry.slice].view(entry.shape) for flat in (vector, scores)))
        for entry, _ in layers
    ]
    for layer, (entry, _) in zip(masked, layers, strict=True):
        layer.neighbours = neighbours[entry.slice].view(entry.shape)

    def by_topk():
        with torch.no_grad():
            for _ in range(AGENTS):
                for layer in masked:
                    layer.mask()

    def by_us():
        for _ in range(AGENTS):
            mask_of(scores, neighbours, layers, phase)

    name = f"masks of {AGENTS} agents, {sum(entry.size for entry, _ in layers):,} weights"
    timed = in_turn(
        {"naive, torch.topk": by_topk, "ours": by_us}, repeats, f"agents: {name}", "cpu"
    )
    yield from rows_of("agents", name, timed)
