"""Straight-through training: the forward pass is masked, its gradient is handed through the mask."""

import torch
from torch import Tensor

from training.engine.network import Trainable
from training.engine.program import TrainMask, TrainPruned
from training.engine.sgd import Run
from training.sparsity.counts import retained_count
from training.sparsity.top_k import keep_most_important
from training.structure.layout import Entry
from wirelessfl.errors import InputError


def train_mask(run: Run, phase: TrainMask) -> None:
    """The steps of `phase`: see `TrainMask` for the equations. The network keeps its weights, `run`
    the last mask.
    """
    network, size = run.network, run.network.layout.parameter_size
    layers = _masked_layers(network, phase)
    weights = network.vector[:size].clone()
    assert run.scores is not None
    scores = _only(layers, run.scores)
    network.require("all")
    mask = mask_of(scores, run.neighbours, layers, phase)
    total, steps, gradient, signs = (
        torch.zeros((), device=scores.device),
        0,
        network.gradient,
        torch.empty_like(scores),
    )
    for steps, (inputs, targets) in enumerate(run.draw(phase), start=1):
        torch.mul(weights, mask, out=network.vector[:size])
        total += (loss := network.backward(inputs, targets))
        gradient.mul_(weights).mul_(torch.sign(scores, out=signs))
        if phase.group_lasso:
            _add_group_lasso(gradient, scores, layers, phase.group_lasso)
        decayed = gradient.add(scores, alpha=phase.weight_decay) if phase.weight_decay else gradient
        scores.sub_(decayed, alpha=phase.learning_rate)
        mask_of(scores, run.neighbours, layers, phase, out=mask)
        if run.watched:
            run.look(
                loss,
                steps,
                phase.stream,
                torch.cat([scores, network.vector[size:]]),
                "the score of ",
            )
    network.vector[:size].copy_(weights)
    run.held, run.scores = mask, scores
    run.sums["score_gradient"] = gradient.clone() if steps else torch.zeros_like(scores)
    run.doubt = run.doubt + scores.sum()
    run.count(total, steps)


def train_pruned(run: Run, phase: TrainPruned) -> None:
    """The steps of `phase`: see `TrainPruned`. The network ends with its dense weights, `run` with
    the last mask.
    """
    network, size = run.network, run.network.layout.parameter_size
    layers = _masked_layers(network, phase)
    weights = network.vector[:size].clone()
    network.require("all")
    mask = mask_of(weights, None, layers, phase)
    total, steps = torch.zeros((), device=weights.device), 0
    for steps, (inputs, targets) in enumerate(run.draw(phase), start=1):
        torch.mul(weights, mask, out=network.vector[:size])
        total += (loss := network.backward(inputs, targets))
        weights.sub_(
            network.gradient.add_(weights, alpha=phase.weight_decay), alpha=phase.learning_rate
        )
        mask_of(weights, None, layers, phase, out=mask)
        if run.watched:
            run.look(loss, steps, phase.stream, torch.cat([weights, network.vector[size:]]))
    network.vector[:size].copy_(weights)
    run.held = mask
    run.count(total, steps)


def mask_of(
    scores: Tensor,
    neighbours: Tensor | None,
    layers: list[tuple[Entry, float]],
    phase: TrainMask | TrainPruned,
    out: Tensor | None = None,
) -> Tensor:
    """Fil[Thres(agg(z, M))] ([MCE-PL] eq. (3), (11), (16)): 1 where a weight is kept, and
    everywhere outside the masked layers.

    `out` is a mask of the same layers that is written over.
    """
    mask = torch.ones_like(scores) if out is None else out
    for entry, keep in layers:
        ranked = scores[entry.slice].abs()
        if (
            neighbours is not None
        ):  # |agg(z, M)|: agg keeps the sign of z; that of a z of exactly 0 would have no M
            ranked.add_(neighbours[entry.slice], alpha=ranked.mean().item())
        chosen = keep_most_important(
            ranked.cpu().numpy(), entry.size - retained_count(keep, entry.size)
        )
        kept = mask[entry.slice].copy_(torch.from_numpy(chosen))
        if phase.filter_threshold:
            rows = kept.view(entry.shape[0], -1)
            rows.mul_(rows.sum(1, keepdim=True) > phase.filter_threshold)
    return mask


def _masked_layers(network: Trainable, phase: TrainMask | TrainPruned) -> list[tuple[Entry, float]]:
    layers = [entry for entry in network.layout.parameters if len(entry.shape) > 1]
    if len(layers) != len(phase.keep):
        raise InputError(
            f"a mask needs one share for each of {len(layers)} tensors of weights, got {len(phase.keep)}"
        )
    return list(zip(layers, phase.keep, strict=True))


def _only(layers: list[tuple[Entry, float]], scores: Tensor) -> Tensor:
    """`scores`, 0 outside the masked layers: there the gradient that is handed through is then 0,
    too.
    """
    kept, end = scores.clone(), 0
    for entry, _ in layers:
        kept[end : entry.offset] = 0.0
        end = entry.offset + entry.size
    kept[end:] = 0.0
    return kept


def _add_group_lasso(
    gradient: Tensor, scores: Tensor, layers: list[tuple[Entry, float]], weight: float
) -> None:
    """Add the gradient of weight x sum over filters of |z_filter|_2; 0 for a filter of zeros."""
    for entry, _ in layers:
        rows = scores[entry.slice].view(entry.shape[0], -1)
        norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(
            torch.finfo(rows.dtype).tiny
        )
        gradient[entry.slice].view(entry.shape[0], -1).addcdiv_(rows, norm, value=weight)
