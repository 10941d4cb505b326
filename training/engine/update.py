"""Updates of the weights by a gradient: SGD, Adam and AdamW on one part of a network."""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from training.engine.network import Trainable
from training.engine.program import Train, personal_rate
from training.structure.layout import Layout, Part


@dataclass(kw_only=True)
class KeptState:
    """State of an optimiser in a run that keeps it; shapes are those of the gradient.

    Attributes:
        first: Momentum of SGD or Adam's mean of gradients, (parameter_size,) for each client.
        second: Adam's mean of squared gradients; None for SGD.
        steps: Steps so far by trained part.
    """

    first: Tensor
    second: Tensor | None
    steps: dict[Part, int] = field(default_factory=dict)


class WeightUpdate(Protocol):
    """One optimiser on the trained part of a network."""

    def step(self) -> None:
        """Update the weights from the network's gradient."""
        ...


def update_of(
    network: Trainable, phase: Train, factor: float, kept: KeptState | None
) -> WeightUpdate:
    """The optimiser of a phase.

    Args:
        network: The network that is trained.
        phase: Settings of the training.
        factor: Factor of the learning rates in the round.
        kept: State that the phase continues; it begins at 0 if None.

    Returns:
        The optimiser, which edits the network's weights and the kept state.
    """
    kind = _Adam if phase.optimizer.adaptive else _Sgd
    return kind(network, phase, factor, kept)


def rates_of(layout: Layout, phase: Train) -> list[tuple[slice, float]]:
    """Slices of the trained part with one learning rate each.

    Args:
        layout: Layout of the network.
        phase: Settings of the training.

    Returns:
        Adjacent slices and their learning rates, without the factor of the round.
    """
    rates = []
    if phase.part != "shared":
        rate = personal_rate(phase) if phase.part == "all" else phase.learning_rate
        rates.append((layout.personal, rate))
    if phase.part != "personal":
        rates.append((layout.shared, phase.learning_rate))
    return rates


class _Sgd:
    """SGD with momentum.

    Weights with the same learning rate are updated in one pass.
    """

    def __init__(
        self, network: Trainable, phase: Train, factor: float, kept: KeptState | None
    ) -> None:
        self._phase = phase
        rates = rates_of(network.layout, phase)
        self._parts = [
            (network.vector[..., part], network.gradient[..., part], factor * rate)
            for part, rate in rates
        ]
        self._momentum: list[Tensor | None] = [None] * len(rates)
        if phase.momentum and kept is not None:
            self._momentum = [kept.first[..., part] for part, _ in rates]
        self._begins = bool(phase.momentum) and kept is None

    def step(self) -> None:
        """Update the weights from the network's gradient."""
        phase = self._phase
        if self._begins:  # with the first step: a phase without steps needs no momentum
            self._momentum = [torch.zeros_like(weights) for weights, _, _ in self._parts]
            self._begins = False
        for (weights, gradient, rate), momentum in zip(self._parts, self._momentum, strict=True):
            if momentum is None and not phase.weight_decay:
                weights.add_(gradient, alpha=-rate)
            elif weights.numel():
                # Fused: 0.21 ms for 1.66 M weights, against 0.51 ms as five vector operations.
                torch._fused_sgd_(
                    _rows(weights),
                    _rows(gradient),
                    [] if momentum is None else _rows(momentum),
                    weight_decay=phase.weight_decay,
                    momentum=phase.momentum,
                    lr=rate,
                    dampening=0.0,
                    nesterov=False,
                    maximize=False,
                    is_first_step=False,
                )


class _Adam:
    """Adam or AdamW, with the operations of `torch.optim.Adam` in its order."""

    def __init__(
        self, network: Trainable, phase: Train, factor: float, kept: KeptState | None
    ) -> None:
        self._settings = phase.optimizer
        self._decay = phase.weight_decay
        self._part = phase.part
        if kept is None or kept.second is None:
            gradient = network.gradient
            kept = KeptState(first=torch.zeros_like(gradient), second=torch.zeros_like(gradient))
        self._kept = kept
        assert kept.second is not None
        self._parts = [
            (
                network.vector[..., part],
                network.gradient[..., part],
                kept.first[..., part],
                kept.second[..., part],
                factor * rate,
            )
            for part, rate in rates_of(network.layout, phase)
        ]

    def step(self) -> None:
        """Update the weights from the network's gradient."""
        settings = self._settings
        count = self._kept.steps.get(self._part, 0) + 1
        self._kept.steps[self._part] = count
        first_bias = 1.0 - settings.adam_beta1**count
        second_bias = 1.0 - settings.adam_beta2**count
        for weights, gradient, first, second, rate in self._parts:
            if self._decay and settings.optimizer == "adamw":
                weights.mul_(1.0 - rate * self._decay)
            elif self._decay:
                gradient.add_(weights, alpha=self._decay)
            first.lerp_(gradient, 1.0 - settings.adam_beta1)
            second.mul_(settings.adam_beta2)
            second.addcmul_(gradient, gradient, value=1.0 - settings.adam_beta2)
            divisor = (second.sqrt() / second_bias**0.5).add_(settings.adam_epsilon)
            weights.addcdiv_(first, divisor, value=-rate / first_bias)


def _rows(vectors: Tensor) -> list[Tensor]:
    """The clients' vectors, each contiguous in memory: a fused step needs that."""
    return [vectors] if vectors.ndim == 1 else list(vectors.unbind(0))
