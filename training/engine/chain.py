"""Chains of linear layers whose steps run compiled: many mini-batches in one call."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from training.arrays import Vector
from training.engine.batches import Batches
from training.engine.network import Network
from training.engine.program import Train
from training.engine.update import rates_of

_NOTHING: Vector = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Chain:
    """A network of linear layers with ReLU between them, as its model declares by `chain`.

    Attributes:
        widths: Inputs of each layer, and outputs of the last, (layers + 1,).
        places: Positions of the weights and of the bias of each layer, (layers, 2).
        network: The network.
    """

    widths: NDArray[np.int64]
    places: NDArray[np.int64]
    network: Network

    @classmethod
    def of(cls, network: Network) -> "Chain | None":
        """The chain of a network.

        Args:
            network: Network on a CPU.

        Returns:
            The chain; None where the model declares none, or without numba.
        """
        names = layers_of(network.model)
        if not names or network.bfloat16 or not numba_is_installed():
            return None
        entries = {entry.name: entry for entry in network.layout.entries}
        weights = [entries[f"{name}.weight"] for name in names]
        widths = [weight.shape[1] for weight in weights] + [weights[-1].shape[0]]
        places = [
            (entries[f"{name}.weight"].offset, entries[f"{name}.bias"].offset) for name in names
        ]
        return cls(np.array(widths), np.array(places), network)

    def takes(self, phase: Train, batches: Batches) -> bool:
        """Test if the steps of a phase can run compiled.

        Args:
            phase: The phase.
            batches: Mini-batches of the clients.

        Returns:
            True for SGD without a feature penalty, a proximal operator, sums of gradients or
            augmented images.
        """
        other = phase.feature_penalty or phase.prox or phase.sum_gradients
        return not (other or phase.optimizer.adaptive or batches.augmented)

    def descend(
        self,
        phase: Train,
        batches: Batches,
        client: int,
        seed: int,
        factor: float,
        *,
        mask: Tensor | None,
        correction: Tensor | None,
        momentum: Tensor | None,
    ) -> tuple[float, int]:
        """The steps of a phase on the network's weights.

        Args:
            phase: A phase that `takes` accepts.
            batches: Mini-batches of the clients.
            client: Number of the client.
            seed: Seed of its shuffles.
            factor: Factor of the learning rates.
            mask: 1.0 where a weight is kept, (parameter_size,); None where all are.
            correction: Added to every gradient, (parameter_size,); None without one.
            momentum: Momentum that is kept, (parameter_size,); begins at 0 if None.

        Returns:
            Sum of the losses of the mini-batches, and the number of steps.
        """
        layout = self.network.layout
        vector = self.network.vector.numpy()[: layout.parameter_size]
        kept = _NOTHING
        if phase.momentum:
            kept = np.zeros_like(vector) if momentum is None else momentum.numpy()
        masked = _NOTHING if mask is None else mask.numpy()
        added = _NOTHING
        if correction is not None:
            added = (correction if mask is None else correction * mask).contiguous().numpy()
        drawn = batches.stored(client, seed, steps=phase.steps, epochs=phase.epochs)
        segments = rates_of(layout, phase)
        return compiled()(
            vector,
            kept,
            masked,
            vector.copy() if phase.proximal else _NOTHING,
            added,
            *drawn,
            self.widths,
            self.places,
            np.array([segments[0][0].start, *(part.stop for part, _ in segments)]),
            np.array([factor * rate for _, rate in segments], dtype=np.float32),
            phase.momentum,
            phase.weight_decay,
            phase.proximal,
            phase.clip_norm or 0.0,
        )


def layers_of(model: nn.Module) -> tuple[str, ...]:
    """Names of the linear layers of a model that is a chain of them.

    Args:
        model: A model.

    Returns:
        Names in forward order; none where the model declares no `chain`.
    """
    names: tuple[str, ...] = getattr(type(model), "chain", ())
    return names


@cache
def numba_is_installed() -> bool:
    """True if numba and the BLAS that it calls (SciPy's) are installed."""
    return find_spec("numba") is not None and find_spec("scipy") is not None


@cache
def compiled() -> Callable[..., tuple[float, int]]:
    """The compiled steps; their import takes half a second."""
    found: Callable[..., tuple[float, int]] = import_module(
        "training.engine.compiled_chain"
    ).descend_chain
    return found
