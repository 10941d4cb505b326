"""Compact sub-models: where their numbers lie in the whole model's vector, and what they cost, all
from shapes.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from training.sparsity.payload import BITS_PER_WEIGHT
from training.structure.groups import Group
from training.structure.layout import Entry, Layout
from training.structure.macs import layer_positions
from training.structure.submodel import SubModel, Widths
from wirelessfl.errors import InputError, check_choice, check_number

__all__ = ["Group", "Structure", "SubModel", "Table"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """What the sub-models of uniform pruning ratios (R,) cost: arrays (R,), `kept_share` of the
    whole's parameters.
    """

    pruning_ratio: Floats
    parameters: Floats
    bits: Floats
    flops: Floats
    kept_share: Floats


@dataclass(frozen=True, eq=False)
class Structure:
    """The groups of a model, which group an axis of a tensor belongs to, and how often its layers
    are used.

    The costs of a sub-model are functions of its widths alone. Uniform pruning leaves
    `whole_groups` as they are.
    """

    groups: tuple[Group, ...]
    layout: Layout
    owners: Mapping[tuple[str, int], Group]
    positions: Mapping[str, int]
    whole_groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: nn.Module, layout: Layout) -> "Structure":
        """The structure of `model`, whose class declares `groups`; a model without them has one
        sub-model, itself.

        Raises `InputError` for groups that do not fit the model's shapes.
        """
        declared: Any = getattr(model, "groups", ())
        shapes = {entry.name: entry.shape for entry in layout.entries}
        groups, owners = [], {}
        for group in declared:
            where = f"group {group.name} of {type(model).__name__}"
            axes = _axes(group, shapes, where)
            group = replace(
                group, width=shapes[axes[0][0]][0]
            )  # of a model that was built narrower
            for name, axis in axes:
                if (name, axis) in owners or shapes[name][axis] % group.width:
                    raise InputError(
                        f"{where} must have axis {axis} of {name} for itself and {group.width} channels there, got "
                        f"{shapes[name]}"
                    )
                owners[name, axis] = group
            groups.append(group)
        return cls(tuple(groups), layout, owners, layer_positions(model))

    def without_pruning(self, groups: tuple[str, ...]) -> "Structure":
        """The same structure with these `whole_groups`; `InputError` for names that the model does
        not have.
        """
        for name in groups:
            check_choice("training.whole_groups", name, tuple(self.widths))
        return replace(self, whole_groups=groups)

    @property
    def widths(self) -> dict[str, int]:
        """Channels of each group in the whole model."""
        return {group.name: group.width for group in self.groups}

    def uniform(self, pruning_ratio: float) -> dict[str, int]:
        """Widths where every group loses the same share: max(1, round((1 - ratio) width)), as in
        [CA-HFP].

        But for `whole_groups`, which lose nothing.
        """
        check_number("pruning_ratio", pruning_ratio, at_least=0, at_most=1)
        fewer = {
            name: max(1, round((1.0 - pruning_ratio) * width))
            for name, width in self._pruned.items()
        }
        return self.widths | fewer

    def flat_indices(self, sub: SubModel) -> NDArray[np.int64]:
        """Positions (n,) in the whole model's flat vector of the numbers of the compact one, in its
        own order.

        So `vector[indices]` extracts the compact model and `vector[indices] = compact` scatters it
        back. Nested channels have nested positions. `InputError` for channels that the model does
        not have.
        """
        if sub.kept.keys() != self.widths.keys():
            raise InputError(
                f"a sub-model must name the groups {', '.join(self.widths)}, got {', '.join(sub.kept)}"
            )
        for name, width in self.widths.items():
            if sub.kept[name][-1] >= width:
                raise InputError(
                    f"channels of {name} must be below {width}, got {sub.kept[name][-1]}"
                )
        return np.concatenate([self._indices(entry, sub) for entry in self.layout.entries])

    def parameters(self, sub: SubModel) -> int:
        """Weights that are trained."""
        return self._numbers(self.layout.parameters, sub)

    def bits(self, sub: SubModel) -> float:
        """What goes to the server: 32 bits for each number of the shared part and of its batch
        norms' statistics.
        """
        upload = self.layout.upload
        sent = (
            entry for entry in self.layout.entries if upload.start <= entry.offset < upload.stop
        )
        return float(BITS_PER_WEIGHT * self._numbers(sent, sub))

    def macs(self, sub: SubModel) -> dict[str, int]:
        """Multiply-accumulates of one sample's forward pass for each convolution and linear layer,
        in order of use.
        """
        weights = {name: self._weights[f"{name}.weight"] for name in self.positions}
        return {
            name: count * self._numbers((weights[name],), sub)
            for name, count in self.positions.items()
            if len(weights[name].shape) > 1
        }

    def flops(self, sub: SubModel) -> float:
        """FLOPs per sample of one training step on all weights, as `Accounting` counts them.

        2 (3 M - M_first) with M multiply-accumulates forward: the first layer needs no gradient at
        its input.
        """
        macs = list(self.macs(sub).values())
        return 2.0 * (3 * sum(macs) - macs[0])

    def profiled(self, sub: SubModel) -> int:
        """Operations of one sample's forward pass as the profiler thop counts them: 1 per
        multiply-accumulate, 4 per output of a batch norm. Times 128 samples they are the "FLOPs" of
        [CA-HFP] Table I.
        """
        norms = [name for name in self.positions if len(self._weights[f"{name}.weight"].shape) == 1]
        outputs = (
            self.positions[name] * self._numbers((self._weights[f"{name}.weight"],), sub)
            for name in norms
        )
        return sum(self.macs(sub).values()) + 4 * sum(outputs)

    def table(self, pruning_ratios: ArrayLike) -> Table:
        """Costs of the uniform pruning ratios (R,) of filters, which are no ratios of weights: 0.5
        may remove 0.75.
        """
        ratios = np.asarray(pruning_ratios, dtype=np.float64)
        subs = [SubModel.first(self.uniform(ratio)) for ratio in ratios.tolist()]
        parameters = np.array([self.parameters(sub) for sub in subs], dtype=np.float64)
        return Table(
            pruning_ratio=ratios,
            parameters=parameters,
            bits=np.array([self.bits(sub) for sub in subs]),
            flops=np.array([self.flops(sub) for sub in subs]),
            kept_share=parameters / self.layout.parameter_size,
        )

    def largest_within(self, *, bits_share: float, flops_share: float) -> dict[str, int] | None:
        """Widths of the largest uniform sub-model with at most these shares of the whole's bits and
        FLOPs.

        None where not even one channel in each group, and all of `whole_groups`, fit.
        """
        whole = SubModel.first(self.widths)
        bits, flops = (
            (1 + 1e-12) * bits_share * self.bits(whole),
            (1 + 1e-12) * flops_share * self.flops(whole),
        )

        def fits(ratio: float) -> bool:
            sub = SubModel.first(self.uniform(ratio))
            return self.bits(sub) <= bits and self.flops(sub) <= flops

        place = bisect_left(self._levels, True, key=fits)  # both costs fall with the ratio
        return self.uniform(self._levels[place]) if place < len(self._levels) else None

    @cached_property
    def _levels(self) -> list[float]:
        """One pruning ratio for every set of uniform widths, ascending.

        A group drops from k + 1 to k channels at ratio 1 - (k + 1/2) / width; between two drops
        nothing changes.
        """
        drops = {
            1.0 - (k + 0.5) / width for width in self._pruned.values() for k in range(1, width)
        }
        return [0.0, *(sum(pair) / 2 for pair in pairwise([*sorted(drops), 1.0]))]

    @property
    def _pruned(self) -> Widths:
        """Channels of the groups that shrink."""
        return {name: width for name, width in self.widths.items() if name not in self.whole_groups}

    @cached_property
    def _weights(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.layout.entries}

    def _numbers(self, entries: Iterable[Entry], sub: SubModel) -> int:
        """How many numbers these tensors have in a sub-model."""
        widths = sub.widths
        return sum(
            math.prod(self._size(entry, axis, widths) for axis in range(len(entry.shape)))
            for entry in entries
        )

    def _size(self, entry: Entry, axis: int, widths: Widths) -> int:
        group = self.owners.get((entry.name, axis))
        return (
            entry.shape[axis]
            if group is None
            else entry.shape[axis] // group.width * widths[group.name]
        )

    def _indices(self, entry: Entry, sub: SubModel) -> NDArray[np.int64]:
        places = np.array(entry.offset, dtype=np.int64)
        for axis, size in enumerate(entry.shape):
            group = self.owners.get((entry.name, axis))
            kept = np.arange(size)
            if group is not None:  # a channel's `size // width` pixels lie behind each other
                kept = kept.reshape(group.width, -1)[list(sub.kept[group.name])].ravel()
            places = np.add.outer(places, kept * math.prod(entry.shape[axis + 1 :]))
        return places.ravel()


def _axes(group: Group, shapes: Mapping[str, tuple[int, ...]], where: str) -> list[tuple[str, int]]:
    """The tensors and axes of a group, rows first."""
    axes = []
    for modules, axis in ((group.rows, 0), (group.columns, 1)):
        for module in modules:
            own = [
                name
                for name, shape in shapes.items()
                if name.rpartition(".")[0] == module and len(shape) > axis
            ]
            if not own:
                raise InputError(f"{where} must own axis {axis} of tensors of {module}, got none")
            axes += [(name, axis) for name in own]
    return axes
