"""Gradient descent: the steps of a phase on the weights of one client or of several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from training.engine.batches import Batch, Batches
from training.engine.chain import Chain
from training.engine.network import Trainable
from training.engine.program import (
    Accumulate,
    LocalWork,
    Prune,
    Train,
    TrainMask,
    TrainPruned,
)
from training.engine.update import KeptState, update_of
from training.sparsity.counts import prune_count
from training.sparsity.top_k import keep_most_important
from wirelessfl.errors import DivergenceError


@dataclass(kw_only=True)
class LocalRun:
    """Local training in progress on one network, for one client or for several stacked clients.

    The network is used up by it: `network.vector` starts as the clients' weights and ends as the
    result. Shapes are those of one client; stacked clients have a leading axis (clients, ...).

    Attributes:
        network: The network that is trained.
        batches: Mini-batches of the clients.
        works: One `LocalWork` for each client, all with the same program.
        watched: Whether every step checks that all values are finite and names the first that is
            not.
        mask: 1.0 where a weight is kept and 0.0 where it is pruned, (parameter_size,); None while
            all are kept.
        correction: Added to every gradient of `Train`, (parameter_size,); None without one.
        scores: Scores z of `TrainMask`, (parameter_size,); None without them.
        neighbour_mask: Mean mask M of the neighbours, (parameter_size,); None without neighbours.
        chain: The network as a chain of linear layers whose steps run compiled; None without it.
        kept: State of the optimiser, which phases that keep it continue; None without it.
        loss: Mean mini-batch loss of the last phase with steps, (); None before it.
        steps: Steps of the phases that train, so far.
        accumulated: Mini-batches whose gradients are in `sums`.
        sums: Sums over mini-batches by name, (parameter_size,) each.
        finite_check: Sum of the intermediate values that are not in the final vector, (): not
            finite if any of them was not.
    """

    network: Trainable
    batches: Batches
    works: Sequence[LocalWork]
    watched: bool = False
    mask: Tensor | None = None
    correction: Tensor | None = None
    scores: Tensor | None = None
    neighbour_mask: Tensor | None = None
    chain: Chain | None = None
    kept: KeptState | None = None
    loss: Tensor | None = None
    steps: int = 0
    accumulated: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    finite_check: Tensor = field(default_factory=lambda: torch.zeros(()))

    def draw(self, phase: Train | Accumulate | TrainMask | TrainPruned) -> Iterator[Batch]:
        """The mini-batches of a phase.

        Args:
            phase: A phase with `stream` and either `steps` or `epochs`.

        Returns:
            Inputs and targets of each mini-batch, of all clients one after the other.
        """
        clients = [work.client for work in self.works]
        seeds = [work.streams.seed_for(phase.stream, work.client) for work in self.works]
        return self.batches.together(clients, seeds, steps=phase.steps, epochs=phase.epochs)

    def count(self, total: Tensor, steps: int) -> None:
        """Record the steps of a phase and their mean loss.

        Args:
            total: Sum of the mini-batch losses, () or (clients,).
            steps: Number of steps; nothing is recorded for 0.
        """
        if steps:
            self.loss = total / steps
            self.steps += steps

    def add(self, name: str, total: Tensor) -> None:
        """Add the result of a phase to a sum over mini-batches.

        Args:
            name: Key in `sums`.
            total: The phase's contribution, (parameter_size,).
        """
        self.sums[name] = self.sums[name] + total if name in self.sums else total

    def check_finite(
        self, loss: Tensor, step: int, stream: str, vector: Tensor | None = None, of: str = ""
    ) -> None:
        """Check loss and weights after a step of a watched run.

        Args:
            loss: Loss of the step, ().
            step: Number of the step in its phase, from 1.
            stream: Random stream of the phase, to name it.
            vector: Values to check in the layout of the network, (size,); its weights if None.
            of: Prefix of a tensor's name in the message, such as "the gradient of ".

        Raises:
            DivergenceError: A value is not finite; the message names client, round, step, tensor.
        """
        if not self.watched:
            return
        vector = self.network.vector if vector is None else vector
        bad = [
            entry.name
            for entry in self.network.layout.entries
            if not vector[entry.slice].isfinite().all()
        ]
        if not bad and loss.isfinite():
            return
        work = self.works[0]
        raise DivergenceError(
            f"training diverged: client {work.client}, round {work.streams.round + 1}, "
            f"loss {loss.item():g}, "
            f"{of + bad[0] if bad else 'the loss itself'} is not finite at step {step} of "
            f"{stream}; reduce training.learning_rate"
        )


def descend(run: LocalRun, phase: Train) -> None:
    """Train one part of the network; see `Train` for the equations of a step.

    Args:
        run: The run, whose weights, loss and sums are updated.
        phase: Length and settings of the training.

    Raises:
        DivergenceError: A value of a watched run is not finite.
    """
    network = run.network
    trained = network.layout.part(phase.part)
    factor = phase.schedule.factor(run.works[0].streams.round)
    kept = run.kept if phase.optimizer.keeps else None
    if run.chain is not None and not run.watched and run.chain.takes(phase, run.batches):
        _descend_compiled(run, run.chain, phase, factor)
        return
    network.require(phase.part)
    update = update_of(network, phase, factor, kept)
    weights = network.vector[..., trained]
    gradient = network.gradient[..., trained]
    start = weights.clone() if phase.proximal else None
    mask = None if run.mask is None else run.mask[..., trained]
    if mask is not None and kept is not None:
        for moment in (kept.first, kept.second):
            if moment is not None:  # a pruned weight does not move
                moment[..., trained].mul_(mask)
    correction = None if run.correction is None else run.correction[..., trained]
    if correction is not None and mask is not None:
        correction = correction * mask
    gradient_sum = torch.zeros_like(network.gradient) if phase.sum_gradients else None
    total = torch.zeros(weights.shape[:-1], device=weights.device)
    steps = 0
    for steps, (inputs, targets) in enumerate(run.draw(phase), start=1):
        loss = network.backward(inputs, targets, phase.feature_penalty)
        if gradient_sum is not None:
            gradient_sum[..., trained].add_(gradient)
        if start is not None:
            gradient.add_(weights - start, alpha=phase.proximal)
        if mask is not None:
            gradient.mul_(mask)
        if phase.clip_norm is not None:
            clip(gradient, phase.clip_norm)
        if correction is not None:
            gradient.add_(correction)
        update.step()
        if phase.prox is not None:
            weights.copy_(phase.prox(weights, factor * phase.learning_rate))
        total += loss
        run.check_finite(loss, steps, phase.stream)
    run.count(total, steps)
    if gradient_sum is not None:
        run.add("gradient", gradient_sum)
        run.accumulated += steps


def _descend_compiled(run: LocalRun, chain: Chain, phase: Train, factor: float) -> None:
    """`descend` in one call, for one client."""
    (work,) = run.works
    kept = run.kept if phase.optimizer.keeps else None
    if run.mask is not None and kept is not None:
        kept.first[run.network.layout.part(phase.part)].mul_(
            run.mask[run.network.layout.part(phase.part)]
        )
    total, steps = chain.descend(
        phase,
        run.batches,
        work.client,
        work.streams.seed_for(phase.stream, work.client),
        factor,
        mask=run.mask,
        correction=run.correction,
        momentum=None if kept is None else kept.first,
    )
    run.count(torch.tensor(total), steps)


def prune(run: LocalRun, phase: Prune) -> None:
    """Zero the least important weights of the shared part: [WFL] eq. (6), (9).

    Args:
        run: The run, whose weights and mask are updated. Clients with pruning ratio 0 keep all
            weights; if all have it, the trial steps are omitted.
        phase: Number and rate of the trial steps.

    Raises:
        DivergenceError: A value of a watched run is not finite.
    """
    layout = run.network.layout
    shared = run.network.vector[..., layout.shared]
    buffers = run.network.vector[..., layout.buffers]
    prune_counts = [prune_count(work.pruning_ratio, layout.shared_size) for work in run.works]
    if not any(prune_counts):
        return
    # The trial steps serve the ranking alone: weights, buffers, loss and steps are restored.
    start = shared.clone()
    kept_buffers = buffers.clone()
    loss, steps = run.loss, run.steps
    descend(
        run,
        Train(
            part="shared", steps=phase.steps, learning_rate=phase.learning_rate, stream=phase.stream
        ),
    )
    run.loss, run.steps = loss, steps
    importance = (shared - start).abs_()
    run.finite_check = run.finite_check + importance.sum(-1)
    rows = importance.view(len(prune_counts), -1).cpu().numpy()
    masks = np.stack(
        [keep_most_important(row, count) for row, count in zip(rows, prune_counts, strict=True)]
    )
    mask = torch.from_numpy(masks).to(shared.device).view_as(shared)
    shared.copy_(torch.where(mask, start, 0.0))
    buffers.copy_(kept_buffers)
    run.mask = torch.ones_like(run.network.gradient)
    run.mask[..., layout.shared] = mask.float()


def accumulate(run: LocalRun, phase: Accumulate) -> None:
    """Sum gradients and their squares over mini-batches, with weights and buffers unchanged.

    Args:
        run: The run, whose `sums` and `accumulated` are updated.
        phase: Part of the model and number of mini-batches.

    Raises:
        DivergenceError: A value of a watched run is not finite.
    """
    network = run.network
    part = network.layout.part(phase.part)
    network.require(phase.part)
    buffers = network.vector[..., network.layout.buffers].clone()
    total = torch.zeros_like(network.gradient)
    squares = torch.zeros_like(network.gradient)
    gradient = network.gradient[..., part]
    for step, (inputs, targets) in enumerate(run.draw(phase), start=1):
        loss = network.backward(inputs, targets)
        total[..., part].add_(gradient)
        squares[..., part].addcmul_(gradient, gradient)
        run.accumulated += 1
        if run.watched:
            for of, checked in (("gradient", network.gradient), ("squared gradient", squares)):
                vector = torch.cat([checked, buffers])
                run.check_finite(loss, step, phase.stream, vector, f"the {of} of ")
    network.vector[..., network.layout.buffers].copy_(buffers)
    run.add("gradient", total)
    run.add("squared_gradient", squares)
    run.finite_check = run.finite_check + total.sum(-1) + squares.sum(-1)


def clip(gradient: Tensor, norm: float) -> None:
    """Scale gradients in place to a largest norm, as `torch.nn.utils.clip_grad_norm_`.

    Args:
        gradient: One gradient, (n,), or one for each client, (clients, n).
        norm: Largest Euclidean norm of each.
    """
    gradient.mul_(
        torch.clamp(
            norm / (torch.linalg.vector_norm(gradient, dim=-1, keepdim=True) + 1e-6), max=1.0
        )
    )
