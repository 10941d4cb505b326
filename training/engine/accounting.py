"""Computational cost of local programs: weight updates and floating-point operations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.arrays import Mask
from training.engine.program import Program, Prune, TrainMask, TrainPruned
from training.structure.layout import Layout, Part
from training.structure.macs import layer_macs


@dataclass(frozen=True)
class _Layer:
    """A layer with weights.

    Attributes:
        macs: Multiply-accumulates for one sample.
        weights: Place of its weights in the flat vector.
        personal: Whether it belongs to the personal part.
    """

    macs: int
    weights: slice
    personal: bool


@dataclass(frozen=True)
class Accounting:
    """Count of floating-point operations (FLOPs) of local programs for one model.

    A multiply-accumulate is 2 FLOPs. For each sample a step costs the forward pass of the whole
    model, once more for the weight gradient of every trained layer, and once more for the input
    gradient of every layer after the first trained one. A layer counts by its kept fraction of
    weights. Biases, activations, pools, norms, the loss and the update itself (less than 1 %
    together) are not counted, nor is evaluation.

    For a sub-model use `of` with its compact network and layout.

    Attributes:
        layers: Layers with weights, in forward order.
        layout: Layout of the model's flat vector.
    """

    layers: tuple[_Layer, ...]
    layout: Layout

    @classmethod
    def of(cls, model: nn.Module, layout: Layout) -> "Accounting":
        """The accounting of a model, from its shapes.

        Args:
            model: A model whose class has `input_shape`.
            layout: Its layout.

        Returns:
            The accounting.
        """
        entries = {entry.name: entry for entry in layout.entries}
        layers = []
        for name, macs in layer_macs(model).items():
            entry = entries[f"{name}.weight"]
            layers.append(_Layer(macs, entry.slice, entry.offset < layout.personal_size))
        return cls(tuple(layers), layout)

    def flops(
        self,
        program: Program,
        mask: Mask,
        batch_size: int,
        *,
        epoch: Sequence[int] = (),
        masked: bool = False,
    ) -> float:
        """FLOPs of a program for one client.

        The mask applies after a `Prune`, in `TrainMask` and `TrainPruned`, and with `masked` from
        the start. Importance steps run unpruned. They are counted for pruning ratio 0 too, where
        training can omit them: the client's latency includes them as well.

        Args:
            program: The client's phases.
            mask: Kept weights and buffers at the end, (upload_size,).
            batch_size: Samples of a step.
            epoch: Samples of each mini-batch of an epoch; needed by phases in epochs.
            masked: Whether `mask` applies from the start.

        Returns:
            Floating-point operations.
        """
        pruned = self._kept(mask)
        kept = pruned if masked else np.ones(len(self.layers))
        by_batch, by_sample = 0.0, 0.0
        for phase in program:
            if isinstance(phase, Prune):
                by_batch += phase.steps * self._step("shared", kept)
                kept = pruned
                continue
            if isinstance(phase, TrainMask | TrainPruned):
                step_flops = self._step("all", pruned)
            else:
                step_flops = self._step(phase.part, kept)
            by_batch += (phase.steps or 0) * step_flops
            by_sample += (phase.epochs or 0) * sum(epoch) * step_flops
        return by_batch * batch_size + by_sample

    def _kept(self, mask: Mask) -> NDArray[np.float64]:
        """Kept fraction of each layer's weights, (layers,)."""
        full = mask
        if self.layout.personal_size:
            full = np.concatenate([np.ones(self.layout.personal_size, dtype=np.bool_), mask])
        return np.array([_kept_fraction(full[layer.weights]) for layer in self.layers])

    def _step(self, part: Part, kept: NDArray[np.float64]) -> float:
        """FLOPs of one step per sample."""
        macs = kept * np.array([layer.macs for layer in self.layers], dtype=np.float64)
        trained = np.array(
            [part == "all" or (part == "personal") == layer.personal for layer in self.layers]
        )
        after_first = (
            np.arange(len(self.layers)) > np.argmax(trained)
            if trained.any()
            else np.zeros_like(trained)
        )
        return float(2.0 * (macs.sum() + macs[trained].sum() + macs[after_first].sum()))


def _kept_fraction(mask: Mask) -> float:
    """Fraction of ones; twenty times faster than `mask.mean()`."""
    return int(np.count_nonzero(mask)) / mask.size
