"""Straight-through training: the forward pass is masked, its gradient is handed through the mask."""

import torch
from torch import Tensor

from training.descent import Run
from training.layout import Entry
from training.masks import keep_most_important, retained_count
from training.network import Trainable
from training.program import TrainMask, TrainPruned
from wirelessfl.errors import InputError


def train_mask(run: Run, phase: TrainMask) -> None:
    """The steps of `phase`: see `TrainMask` for the equations. The network keeps its weights, `run` the last mask."""
    network, size = run.network, run.network.layout.parameter_size
    layers = _masked_layers(network, phase)
    weights = network.vector[:size].clone()
    assert run.scores is not None
    scores = _only(layers, run.scores)
    network.require("all")
    mask = mask_of(scores, run.neighbours, layers, phase)
    total, steps, gradient = torch.zeros((), device=scores.device), 0, torch.zeros_like(scores)
    for steps, (inputs, targets) in enumerate(run.draw(phase), start=1):
        torch.mul(weights, mask, out=network.vector[:size])
        total += (loss := network.backward(inputs, targets))
        gradient = network.gradient * weights * scores.sign() + _group_lasso(scores, layers, phase.group_lasso)
        scores = scores - phase.learning_rate * (gradient + phase.weight_decay * scores)
        mask = mask_of(scores, run.neighbours, layers, phase)
        if run.watched:
            run.look(loss, steps, phase.stream, torch.cat([scores, network.vector[size:]]), "the score of ")
    network.vector[:size].copy_(weights)
    run.held, run.scores, run.sums["score_gradient"] = mask, scores, gradient
    run.doubt = run.doubt + scores.sum()
    run.count(total, steps)


def train_pruned(run: Run, phase: TrainPruned) -> None:
    """The steps of `phase`: see `TrainPruned`. The network ends with its dense weights, `run` with the last mask."""
    network, size = run.network, run.network.layout.parameter_size
    layers = _masked_layers(network, phase)
    weights = network.vector[:size].clone()
    network.require("all")
    mask = mask_of(weights, None, layers, phase)
    total, steps = torch.zeros((), device=weights.device), 0
    for steps, (inputs, targets) in enumerate(run.draw(phase), start=1):
        torch.mul(weights, mask, out=network.vector[:size])
        total += (loss := network.backward(inputs, targets))
        weights.sub_(network.gradient.add_(weights, alpha=phase.weight_decay), alpha=phase.learning_rate)
        mask = mask_of(weights, None, layers, phase)
        if run.watched:
            run.look(loss, steps, phase.stream, torch.cat([weights, network.vector[size:]]))
    network.vector[:size].copy_(weights)
    run.held = mask
    run.count(total, steps)


def mask_of(
    scores: Tensor, neighbours: Tensor | None, layers: list[tuple[Entry, float]], phase: TrainMask | TrainPruned
) -> Tensor:
    """Fil[Thres(agg(z, M))] (3), (11), (16): 1 where a weight is kept, and everywhere outside the masked layers."""
    mask = torch.ones_like(scores)
    for entry, keep in layers:
        ranked = scores[entry.slice].abs()
        if neighbours is not None:
            ranked = ranked + ranked.mean() * neighbours[entry.slice]  # |agg(z, M)|: agg keeps the sign of z
        chosen = keep_most_important(ranked.cpu().numpy(), entry.size - retained_count(keep, entry.size))
        rows = torch.from_numpy(chosen).to(mask).view(entry.shape[0], -1)
        rows.mul_(rows.sum(1, keepdim=True) > phase.filter_threshold)
        mask[entry.slice] = rows.view(-1)
    return mask


def _masked_layers(network: Trainable, phase: TrainMask | TrainPruned) -> list[tuple[Entry, float]]:
    layers = [entry for entry in network.layout.parameters if len(entry.shape) > 1]
    if len(layers) != len(phase.keep):
        raise InputError(f"a mask needs one share for each of {len(layers)} tensors of weights, got {len(phase.keep)}")
    return list(zip(layers, phase.keep, strict=True))


def _only(layers: list[tuple[Entry, float]], scores: Tensor) -> Tensor:
    """`scores`, 0 outside the masked layers: there the gradient that is handed through is then 0, too."""
    kept = torch.zeros_like(scores)
    for entry, _ in layers:
        kept[entry.slice] = scores[entry.slice]
    return kept


def _group_lasso(scores: Tensor, layers: list[tuple[Entry, float]], weight: float) -> Tensor | float:
    """Gradient of weight x sum over filters of |z_filter|_2; 0 for a filter of zeros."""
    if not weight:
        return 0.0
    gradient = torch.zeros_like(scores)
    for entry, _ in layers:
        rows = scores[entry.slice].view(entry.shape[0], -1)
        norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        gradient[entry.slice] = (weight * rows / norm.clamp_min(torch.finfo(rows.dtype).tiny)).view(-1)
    return gradient
