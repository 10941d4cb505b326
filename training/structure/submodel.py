"""A sub-model: the channels kept in each group."""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import lt

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError

Widths = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class SubModel:
    """The channels kept in each group of a model.

    Attributes:
        kept: Numbers of the kept channels by group, ascending, at least one.
    """

    kept: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        for name, channels in self.kept.items():
            if not channels or channels[0] < 0 or not all(map(lt, channels, channels[1:])):
                raise InputError(
                    f"a sub-model must keep ascending channels of {name}, at least one, "
                    f"got {channels}"
                )

    @classmethod
    def first(cls, widths: Widths) -> "SubModel":
        """The sub-model of the first channels of every group.

        Args:
            widths: Number of channels by group.

        Returns:
            The sub-model.

        Raises:
            InputError: A group has no channel.
        """
        return cls(kept={name: tuple(range(width)) for name, width in widths.items()})

    @classmethod
    def where(cls, masks: Mapping[str, NDArray[np.bool_]]) -> "SubModel":
        """The sub-model of the channels in masks.

        Args:
            masks: A mask (width,) for each group, True for a kept channel.

        Returns:
            The sub-model.

        Raises:
            InputError: A mask keeps no channel.
        """
        return cls(
            kept={name: tuple(np.flatnonzero(mask).tolist()) for name, mask in masks.items()}
        )

    @property
    def widths(self) -> dict[str, int]:
        """Number of channels kept in each group."""
        return {name: len(channels) for name, channels in self.kept.items()}

    def within(self, larger: "SubModel") -> "SubModel":
        """This sub-model as a sub-model of a compact model that has its channels.

        Args:
            larger: Sub-model with all channels of this one.

        Returns:
            The same channels by their numbers in the compact model.
        """
        return SubModel(
            kept={
                name: tuple(np.searchsorted(larger.kept[name], channels).tolist())
                for name, channels in self.kept.items()
            }
        )
