"""Structure of a model: places and costs of its compact sub-models, from shapes alone."""

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

from training.arrays import Doubles
from training.sparsity.payload import BITS_PER_WEIGHT
from training.structure.groups import Group
from training.structure.layout import Entry, Layout
from training.structure.macs import layer_positions
from training.structure.submodel import SubModel, Widths
from wirelessfl.errors import InputError, check_choice, check_number

__all__ = ["CostTable", "Structure"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CostTable:
    """Costs of the sub-models of R uniform pruning ratios, (R,) each.

    Attributes:
        pruning_ratio: Fraction of filters removed from every group.
        parameters: Number of trained weights.
        bits: Bits of an upload.
        flops: FLOPs of a training step for one sample.
        kept_fraction: `parameters` as a fraction of those of the whole model.
    """

    pruning_ratio: Doubles
    parameters: Doubles
    bits: Doubles
    flops: Doubles
    kept_fraction: Doubles


@dataclass(frozen=True, eq=False)
class Structure:
    """The groups of a model, the axes of tensors that belong to them, and the use of its layers.

    The costs of a sub-model depend on its widths alone.

    Attributes:
        groups: The groups with their widths in this model.
        layout: Layout of the model's flat vector.
        owners: The group that a tensor's axis belongs to, by name and axis.
        positions: Positions at which a forward pass uses each layer, by name in order of use.
        whole_groups: Names of groups that uniform pruning does not change.
    """

    groups: tuple[Group, ...]
    layout: Layout
    owners: Mapping[tuple[str, int], Group]
    positions: Mapping[str, int]
    whole_groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: nn.Module, layout: Layout) -> "Structure":
        """The structure of a model.

        Args:
            model: A model whose class declares `groups`; without them it has one sub-model, itself.
            layout: Its layout.

        Returns:
            The structure, without `whole_groups`.

        Raises:
            InputError: The groups do not fit the model's shapes.
        """
        declared: Any = getattr(model, "groups", ())
        shapes = {entry.name: entry.shape for entry in layout.entries}
        groups = []
        owners = {}
        for group in declared:
            where = f"group {group.name} of {type(model).__name__}"
            axes = _axes(group, shapes, where)
            # The model may have been built narrower than declared.
            group = replace(group, width=shapes[axes[0][0]][0])
            for name, axis in axes:
                if (name, axis) in owners or shapes[name][axis] % group.width:
                    raise InputError(
                        f"{where} must have axis {axis} of {name} for itself and {group.width} "
                        f"channels there, got {shapes[name]}"
                    )
                owners[name, axis] = group
            groups.append(group)
        return cls(tuple(groups), layout, owners, layer_positions(model))

    def without_pruning(self, groups: tuple[str, ...]) -> "Structure":
        """The same structure with groups that uniform pruning does not change.

        Args:
            groups: Names of the groups.

        Returns:
            A new structure.

        Raises:
            InputError: The model has no such group.
        """
        for name in groups:
            check_choice("training.whole_groups", name, tuple(self.widths))
        return replace(self, whole_groups=groups)

    @property
    def widths(self) -> dict[str, int]:
        """Channels of each group in the whole model."""
        return {group.name: group.width for group in self.groups}

    def uniform(self, pruning_ratio: float) -> dict[str, int]:
        """Widths after removing the same fraction of every group, as in [CA-HFP].

        A group keeps max(1, round((1 - ratio) width)) channels; `whole_groups` keep all.

        Args:
            pruning_ratio: Fraction of channels removed, within [0, 1].

        Returns:
            Channels of each group.

        Raises:
            InputError: The ratio is not within [0, 1].
        """
        check_number("pruning_ratio", pruning_ratio, at_least=0, at_most=1)
        pruned = {
            name: max(1, round((1.0 - pruning_ratio) * width))
            for name, width in self._pruned.items()
        }
        return self.widths | pruned

    def check(self, sub: SubModel) -> None:
        """Check that a sub-model is one of this model.

        Args:
            sub: Channels of the sub-model.

        Raises:
            InputError: The model does not have these groups or channels.
        """
        if sub.kept.keys() != self.widths.keys():
            raise InputError(
                f"a sub-model must name the groups {', '.join(self.widths)}, "
                f"got {', '.join(sub.kept)}"
            )
        for name, width in self.widths.items():
            if sub.kept[name][-1] >= width:
                raise InputError(
                    f"channels of {name} must be below {width}, got {sub.kept[name][-1]}"
                )

    def flat_indices(self, sub: SubModel) -> NDArray[np.int64]:
        """Positions of a compact model's values in the whole model's flat vector.

        `vector[indices]` extracts the compact model, `vector[indices] = compact` scatters it back.
        Nested channels have nested positions.

        Args:
            sub: Channels of the sub-model.

        Returns:
            Positions (n,) in the order of the compact model's own layout.

        Raises:
            InputError: The model does not have these groups or channels.
        """
        self.check(sub)
        return np.concatenate([self._indices(entry, sub) for entry in self.layout.entries])

    def narrowed(self, widths: Widths) -> "Structure":
        """The structure of a compact model.

        Args:
            widths: Channels that the compact model has of each group.

        Returns:
            A structure whose layout has the entries of this one in their order.
        """
        entries: list[Entry] = []
        ends = {0: 0}  # of this layout and of the compact one, after each entry
        for entry in self.layout.entries:
            shape = tuple(self._size(entry, axis, widths) for axis in range(len(entry.shape)))
            entries.append(Entry(entry.name, shape, max(ends.values())))
            ends[entry.offset + entry.size] = entries[-1].offset + entries[-1].size
        before_personal_buffers = ends[self.layout.size - self.layout.personal_buffer_size]
        layout = Layout(
            entries=tuple(entries),
            personal_size=ends[self.layout.personal_size],
            parameter_size=ends[self.layout.parameter_size],
            personal_buffer_size=ends[self.layout.size] - before_personal_buffers,
            size=ends[self.layout.size],
        )
        groups = {group.name: replace(group, width=widths[group.name]) for group in self.groups}
        owners = {axis: groups[group.name] for axis, group in self.owners.items()}
        return replace(self, groups=tuple(groups.values()), layout=layout, owners=owners)

    def parameters(self, sub: SubModel) -> int:
        """Number of trained weights.

        Args:
            sub: Channels of the sub-model.

        Returns:
            The number.
        """
        return self._value_count(self.layout.parameters, sub)

    def bits(self, sub: SubModel) -> float:
        """Size of an upload: shared weights and their batch norms' statistics, 32 bits each.

        Args:
            sub: Channels of the sub-model.

        Returns:
            Bits.
        """
        upload = self.layout.upload
        sent = (
            entry for entry in self.layout.entries if upload.start <= entry.offset < upload.stop
        )
        return float(BITS_PER_WEIGHT * self._value_count(sent, sub))

    def macs(self, sub: SubModel) -> dict[str, int]:
        """Multiply-accumulates of one sample's forward pass.

        Args:
            sub: Channels of the sub-model.

        Returns:
            The count for each convolution and linear layer, in order of use.
        """
        weights = {name: self._weights[f"{name}.weight"] for name in self.positions}
        return {
            name: count * self._value_count((weights[name],), sub)
            for name, count in self.positions.items()
            if len(weights[name].shape) > 1
        }

    def flops(self, sub: SubModel) -> float:
        """FLOPs of one training step on all weights for one sample, as `Accounting` counts them.

        2 (3 M - M_first) with M multiply-accumulates of the forward pass: the first layer needs no
        gradient at its input.

        Args:
            sub: Channels of the sub-model.

        Returns:
            Floating-point operations.
        """
        macs = list(self.macs(sub).values())
        return 2.0 * (3 * sum(macs) - macs[0])

    def profiled(self, sub: SubModel) -> int:
        """Operations of one sample's forward pass as the profiler thop counts them.

        1 for each multiply-accumulate, 4 for each output of a batch norm. Times 128 samples they
        are the "FLOPs" of [CA-HFP] Table I.

        Args:
            sub: Channels of the sub-model.

        Returns:
            Operations.
        """
        norms = [name for name in self.positions if len(self._weights[f"{name}.weight"].shape) == 1]
        outputs = (
            self.positions[name] * self._value_count((self._weights[f"{name}.weight"],), sub)
            for name in norms
        )
        return sum(self.macs(sub).values()) + 4 * sum(outputs)

    def table(self, pruning_ratios: ArrayLike) -> CostTable:
        """Costs of uniform pruning ratios of filters.

        They are not ratios of weights: a ratio of 0.5 may remove 0.75 of the weights.

        Args:
            pruning_ratios: Ratios (R,), within [0, 1].

        Returns:
            The costs, (R,) each.

        Raises:
            InputError: A ratio is not within [0, 1].
        """
        ratios = np.asarray(pruning_ratios, dtype=np.float64)
        subs = [SubModel.first(self.uniform(ratio)) for ratio in ratios.tolist()]
        parameters = np.array([self.parameters(sub) for sub in subs], dtype=np.float64)
        return CostTable(
            pruning_ratio=ratios,
            parameters=parameters,
            bits=np.array([self.bits(sub) for sub in subs]),
            flops=np.array([self.flops(sub) for sub in subs]),
            kept_fraction=parameters / self.layout.parameter_size,
        )

    def largest_within(
        self, *, bits_fraction: float, flops_fraction: float
    ) -> dict[str, int] | None:
        """Widths of the largest uniform sub-model within a budget of bits and FLOPs.

        Args:
            bits_fraction: Largest upload as a fraction of that of the whole model.
            flops_fraction: Largest FLOPs of a step as a fraction of those of the whole model.

        Returns:
            Channels of each group; None where one channel in each group, with all of
            `whole_groups`, exceeds the budget.
        """
        whole = SubModel.first(self.widths)
        # 1e-12: a fraction that a sub-model meets exactly must not exclude it by rounding.
        bits = (1 + 1e-12) * bits_fraction * self.bits(whole)
        flops = (1 + 1e-12) * flops_fraction * self.flops(whole)

        def fits(ratio: float) -> bool:
            sub = SubModel.first(self.uniform(ratio))
            return self.bits(sub) <= bits and self.flops(sub) <= flops

        level = bisect_left(self._levels, True, key=fits)  # both costs fall with the ratio
        return self.uniform(self._levels[level]) if level < len(self._levels) else None

    @cached_property
    def _levels(self) -> list[float]:
        """One pruning ratio for every set of uniform widths, ascending.

        A group drops from k + 1 to k channels at ratio 1 - (k + 1/2) / width; nothing changes
        between two drops.
        """
        drops = {
            1.0 - (k + 0.5) / width for width in self._pruned.values() for k in range(1, width)
        }
        return [0.0, *(sum(pair) / 2 for pair in pairwise([*sorted(drops), 1.0]))]

    @property
    def _pruned(self) -> Widths:
        """Channels of the groups that uniform pruning changes."""
        return {name: width for name, width in self.widths.items() if name not in self.whole_groups}

    @cached_property
    def _weights(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.layout.entries}

    def _value_count(self, entries: Iterable[Entry], sub: SubModel) -> int:
        """Number of values that tensors have in a sub-model."""
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
        places = np.zeros(1, dtype=np.int64)
        stride = 1
        # From the last axis: the inner loop of a sum is then long.
        for axis in reversed(range(len(entry.shape))):
            group = self.owners.get((entry.name, axis))
            kept = np.arange(entry.shape[axis])
            if group is not None:  # a channel has `size // width` successive pixels
                kept = kept.reshape(group.width, -1)[list(sub.kept[group.name])].ravel()
            places = np.add.outer(kept * stride, places).ravel()
            stride *= entry.shape[axis]
        places += entry.offset
        return places


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
