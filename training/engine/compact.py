"""Compact networks: the sub-models that clients train in place of the whole model."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.engine.network import Network
from training.structure.build import build_like
from training.structure.layout import Layout
from training.structure.structure import Structure
from training.structure.submodel import SubModel

# Kept at a time, by widths: enough for the ratios of a round, with bounded memory.
_MOST_NETWORKS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """A network and the place of its vector in that of the whole model.

    Attributes:
        network: The network.
        whole: Layout of the whole model.
        index: Positions in the whole vector, (size of the network,); None for the whole model.
    """

    network: Network
    whole: Layout
    index: Tensor | None = None

    def take(self, vector: Tensor) -> Tensor:
        """The network's part of a vector of the whole model.

        Args:
            vector: (size,) or (parameter_size,) of the whole model.

        Returns:
            (size,) or (parameter_size,) of the network.
        """
        return (
            vector
            if self.index is None
            else vector.index_select(0, self._index(vector.numel() == self.whole.size))
        )

    def put(self, vector: Tensor, rest: Tensor) -> Tensor:
        """A vector of the network at its place in a copy of a whole vector.

        Args:
            vector: (size,) or (parameter_size,) of the network.
            rest: The values elsewhere, (size,) or (parameter_size,) of the whole model.

        Returns:
            A new vector of the shape of `rest`.
        """
        if self.index is None:
            return vector.clone()
        with_buffers = vector.numel() == self.network.layout.size
        return rest.index_copy(0, self._index(with_buffers), vector)

    def _index(self, with_buffers: bool) -> Tensor:
        assert self.index is not None
        return self.index if with_buffers else self.index[: self.network.layout.parameter_size]


class CompactNetworks:
    """Networks of sub-models, one for each set of widths; the 8 last used ones are kept."""

    def __init__(
        self,
        model: nn.Module,
        layout: Layout,
        personal: tuple[str, ...],
        device: torch.device,
        precision: str,
    ) -> None:
        """Prepare the networks of a model's sub-models; each is made when first used.

        Args:
            model: The whole model.
            layout: Its layout.
            personal: Names of its personal sub-modules.
            device: Device of the networks.
            precision: "float32", "tf32" or "bfloat16".
        """
        self._model = model
        self._layout = layout
        self._personal = personal
        self._device = device
        self._networks: dict[tuple[tuple[str, int], ...], Network] = {}
        self._precision = precision
        self._structure: Structure | None = None

    def get(self, sub: SubModel) -> Placement:
        """The network of a sub-model.

        Args:
            sub: Channels of the sub-model.

        Returns:
            The network of these widths with values of an earlier use, and its place.
        """
        if self._structure is None:
            self._structure = Structure.of(self._model, self._layout)
        index = torch.from_numpy(self._structure.flat_indices(sub)).to(self._device)
        network = self._network(sub.widths)
        return Placement(network=network, whole=self._layout, index=index)

    def _network(self, widths: Mapping[str, int]) -> Network:
        key = tuple(sorted(widths.items()))
        network = self._networks.pop(key, None)
        if network is None:
            with torch.random.fork_rng(devices=[]):  # the new model's own weights are never used
                model = build_like(self._model, widths)
            network = Network(
                model, Layout.of(model, self._personal), self._device, self._precision
            )
        self._networks[key] = network  # in order of use
        if len(self._networks) > _MOST_NETWORKS:
            del self._networks[next(iter(self._networks))]
        return network
