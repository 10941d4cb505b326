"""What a round costs: weight updates, floating-point operations and bits, as functions of programs
and masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.arrays import Mask
from training.engine.program import Phase, Program, Prune, Train, TrainMask, TrainPruned
from training.structure.layout import Layout, Part
from training.structure.macs import layer_macs
from wirelessfl.errors import InputError


@dataclass(frozen=True)
class _Layer:
    """One layer with weights: `macs` per sample, its weights in the flat vector, whether they are
    personal.
    """

    macs: int
    weights: slice
    personal: bool


@dataclass(frozen=True)
class Accounting:
    """Counts the floating-point operations (FLOPs) of local programs for one model; layers in
    forward order.

    A multiply-accumulate is 2 FLOPs. Per sample a step costs the forward pass of the whole model,
    plus as much again for the weight gradient of every layer that is trained, plus as much again
    for the input gradient of every layer behind the first trained one. A layer counts by the
    fraction of its weights that is kept. Biases, activations, pools, norms, the loss and the update
    itself (less than 1 % together) are not counted, nor is evaluation.

    The accounting of a sub-model is that `of` its compact network and layout.
    """

    layers: tuple[_Layer, ...]
    layout: Layout

    @classmethod
    def of(cls, model: nn.Module, layout: Layout) -> "Accounting":
        """The accounting of `model`, from its shapes."""
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
        """FLOPs of `program` for one client that ends with `mask` (upload_size,).

        A step takes `batch_size` samples, an epoch the mini-batches of `epoch`. The mask holds
        behind a `Prune`, in `TrainMask` and `TrainPruned`, and with `masked` from the start.
        Importance steps run unpruned; they are counted for pruning ratio 0 too, where the
        simulation can leave them out: the client's latency has them as well.
        """
        dense, pruned = np.ones(len(self.layers)), self._kept(mask)
        kept, by_batch, by_sample = pruned if masked else dense, 0.0, 0.0
        for phase in program:
            if isinstance(phase, Prune):
                by_batch += phase.steps * self._step("shared", kept)
                kept = pruned
                continue
            if isinstance(phase, TrainMask | TrainPruned):
                a_step = self._step("all", pruned)
            else:
                a_step = self._step(phase.part, kept)
            by_batch += (phase.steps or 0) * a_step
            by_sample += (phase.epochs or 0) * sum(epoch) * a_step
        return by_batch * batch_size + by_sample

    def _kept(self, mask: Mask) -> NDArray[np.float64]:
        full = mask
        if self.layout.personal_size:
            full = np.concatenate([np.ones(self.layout.personal_size, dtype=np.bool_), mask])
        return np.array([_share(full[layer.weights]) for layer in self.layers])

    def _step(self, part: Part, kept: NDArray[np.float64]) -> float:
        """FLOPs of one step per sample."""
        macs = kept * np.array([layer.macs for layer in self.layers], dtype=np.float64)
        trained = np.array(
            [part == "all" or (part == "personal") == layer.personal for layer in self.layers]
        )
        behind = (
            np.arange(len(self.layers)) > np.argmax(trained)
            if trained.any()
            else np.zeros_like(trained)
        )
        return float(2.0 * (macs.sum() + macs[trained].sum() + macs[behind].sum()))


def _share(mask: Mask) -> float:
    """The kept fraction; twenty times faster than `mask.mean()`."""
    return int(np.count_nonzero(mask)) / mask.size


def steps_of(phase: Phase, epoch_steps: int | None) -> int:
    """Steps of a phase for a client whose epoch has `epoch_steps`; `InputError` for epochs without
    it.
    """
    if isinstance(phase, Prune) or phase.epochs is None:
        return phase.steps or 0
    if epoch_steps is None:
        raise InputError(
            f"{phase.epochs} local epochs have no number of steps without a client's number of samples"
        )
    return phase.epochs * epoch_steps


def updates(
    program: Program, personal_size: int, shared_size: int, epoch_steps: int | None = None
) -> tuple[float, float]:
    """(fixed, prunable) weight updates of one client: personal and importance steps never shrink
    with the ratio.

    A gradient that is only summed costs what an update costs, at every weight of its part and of a
    fixed number. The steps on a mask count for all weights and shrink with it. `epoch_steps` as for
    `steps_of`.
    """
    fixed, prunable = 0.0, 0.0
    for phase in program:
        steps = steps_of(phase, epoch_steps)
        if isinstance(phase, Prune):
            fixed += steps * shared_size
        elif isinstance(phase, TrainMask | TrainPruned):
            prunable += steps * (personal_size + shared_size)
        else:
            personal = steps * personal_size if phase.part != "shared" else 0
            shared = steps * shared_size if phase.part != "personal" else 0
            fixed += personal if isinstance(phase, Train) else personal + shared
            prunable += shared if isinstance(phase, Train) else 0
    return fixed, prunable
