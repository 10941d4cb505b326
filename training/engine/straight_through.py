"""Straight-through training: masked weights forward, their gradient passed on unmasked."""

import torch
from torch import Tensor

from training.engine.network import Trainable
from training.engine.program import TrainMask, TrainPruned
from training.engine.sgd import LocalRun
from training.sparsity.counts import retained_count
from training.sparsity.top_k import keep_most_important
from training.structure.layout import Entry
from wirelessfl.errors import InputError


def train_mask(run: LocalRun, phase: TrainMask) -> None:
    """Train scores that choose a mask of fixed weights: [MCE-PL] eq. (3)-(16), see `TrainMask`.

    Args:
        run: The run; its network keeps the weights w, its `scores`, `mask` and `sums` are updated.
        phase: Length and settings of the training.

    Raises:
        InputError: `phase.keep` does not have one fraction for each tensor of weights.
        DivergenceError: A value of a watched run is not finite.
    """
    network = run.network
    size = network.layout.parameter_size
    layers = _masked_layers(network, phase)
    weights = network.vector[:size].clone()
    assert run.scores is not None
    scores = _only(layers, run.scores)
    network.require("all")
    mask = mask_of(scores, run.neighbour_mask, layers, phase)
    total = torch.zeros((), device=scores.device)
    steps = 0
    gradient = network.gradient
    signs = torch.empty_like(scores)  # reused in every step
    for steps, (inputs, targets) in enumerate(run.draw(phase), start=1):
        torch.mul(weights, mask, out=network.vector[:size])
        loss = network.backward(inputs, targets)
        total += loss
        gradient.mul_(weights).mul_(torch.sign(scores, out=signs))
        if phase.group_lasso:
            _add_group_lasso(gradient, scores, layers, phase.group_lasso)
        decayed = gradient.add(scores, alpha=phase.weight_decay) if phase.weight_decay else gradient
        scores.sub_(decayed, alpha=phase.learning_rate)
        mask_of(scores, run.neighbour_mask, layers, phase, out=mask)
        if run.watched:
            run.check_finite(
                loss,
                steps,
                phase.stream,
                torch.cat([scores, network.vector[size:]]),
                "the score of ",
            )
    network.vector[:size].copy_(weights)
    run.mask, run.scores = mask, scores
    run.sums["score_gradient"] = gradient.clone() if steps else torch.zeros_like(scores)
    run.finite_check = run.finite_check + scores.sum()
    run.count(total, steps)


def train_pruned(run: LocalRun, phase: TrainPruned) -> None:
    """Train dense weights under their own pruning mask, see `TrainPruned`.

    Args:
        run: The run; its network ends with the dense weights w, its `mask` with the last mask.
        phase: Length and settings of the training.

    Raises:
        InputError: `phase.keep` does not have one fraction for each tensor of weights.
        DivergenceError: A value of a watched run is not finite.
    """
    network = run.network
    size = network.layout.parameter_size
    layers = _masked_layers(network, phase)
    weights = network.vector[:size].clone()
    network.require("all")
    mask = mask_of(weights, None, layers, phase)
    total = torch.zeros((), device=weights.device)
    steps = 0
    for steps, (inputs, targets) in enumerate(run.draw(phase), start=1):
        torch.mul(weights, mask, out=network.vector[:size])
        loss = network.backward(inputs, targets)
        total += loss
        weights.sub_(
            network.gradient.add_(weights, alpha=phase.weight_decay), alpha=phase.learning_rate
        )
        mask_of(weights, None, layers, phase, out=mask)
        if run.watched:
            run.check_finite(loss, steps, phase.stream, torch.cat([weights, network.vector[size:]]))
    network.vector[:size].copy_(weights)
    run.mask = mask
    run.count(total, steps)


def mask_of(
    scores: Tensor,
    neighbour_mask: Tensor | None,
    layers: list[tuple[Entry, float]],
    phase: TrainMask | TrainPruned,
    out: Tensor | None = None,
) -> Tensor:
    """The mask of the largest scores of each layer: [MCE-PL] eq. (3), (11), (16).

    It is Fil[Thres(agg(z, M))], in the paper's notation.

    Args:
        scores: Scores z, (parameter_size,).
        neighbour_mask: Mean mask M of the neighbours, (parameter_size,); None without neighbours.
        layers: The masked tensors, each with the fraction of its entries that is kept.
        phase: The phase, for its `filter_threshold`.
        out: Mask of the same layers that is overwritten; a new one by default.

    Returns:
        1.0 where a weight is kept and everywhere outside the masked layers, else 0.0,
        (parameter_size,).
    """
    mask = torch.ones_like(scores) if out is None else out
    for entry, keep in layers:
        ranked = scores[entry.slice].abs()
        if neighbour_mask is not None:
            # |agg(z, M)| = |z| + mean|z| M, as agg keeps the sign of z. Its sign(z) would drop M
            # where z is exactly 0; here M counts there, too.
            ranked.add_(neighbour_mask[entry.slice], alpha=ranked.mean().item())
        chosen = keep_most_important(
            ranked.cpu().numpy(), entry.size - retained_count(keep, entry.size)
        )
        kept = mask[entry.slice].copy_(torch.from_numpy(chosen))
        if phase.filter_threshold:
            rows = kept.view(entry.shape[0], -1)
            rows.mul_(rows.sum(1, keepdim=True) > phase.filter_threshold)
    return mask


def _masked_layers(network: Trainable, phase: TrainMask | TrainPruned) -> list[tuple[Entry, float]]:
    """The tensors with two axes or more, each with its kept fraction."""
    layers = [entry for entry in network.layout.parameters if len(entry.shape) > 1]
    if len(layers) != len(phase.keep):
        raise InputError(
            f"a mask needs one fraction for each of {len(layers)} tensors of weights, "
            f"got {len(phase.keep)}"
        )
    return list(zip(layers, phase.keep, strict=True))


def _only(layers: list[tuple[Entry, float]], scores: Tensor) -> Tensor:
    """A copy of `scores` with zeros outside the masked layers.

    A score of 0 has sign 0, so that no gradient is passed on to it there.
    """
    kept = scores.clone()
    end = 0
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
