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

_MOST_NETWORKS = (
    8  # of different widths at a time: as many ratios as a round has, yet a bounded memory
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """A network and where its numbers lie in the whole model's vector: `index` (size of the
    network,), None: there.
    """

    network: Network
    whole: Layout
    index: Tensor | None = None

    def take(self, values: Tensor) -> Tensor:
        """What the network has of `values`, (size,) or (parameter_size,) of the whole model."""
        return (
            values
            if self.index is None
            else values.index_select(0, self._index(values.numel() == self.whole.size))
        )

    def put(self, values: Tensor, rest: Tensor) -> Tensor:
        """`values` of the network at their places in a copy of `rest`."""
        if self.index is None:
            return values.clone()
        return rest.index_copy(0, self._index(values.numel() == self.network.layout.size), values)

    def _index(self, all_numbers: bool) -> Tensor:
        assert self.index is not None
        return self.index if all_numbers else self.index[: self.network.layout.parameter_size]


class CompactNetworks:
    """One network for each set of widths, made when it is first asked for; at most 8 are kept."""

    def __init__(
        self,
        model: nn.Module,
        layout: Layout,
        personal: tuple[str, ...],
        device: torch.device,
        precision: str,
    ) -> None:
        self._model, self._layout, self._personal, self._device = model, layout, personal, device
        self._networks: dict[tuple[tuple[str, int], ...], Network] = {}
        self._precision = precision
        self._structure: Structure | None = None

    def get(self, sub: SubModel) -> Placement:
        """The network of `sub`'s widths, which still holds earlier numbers, in its place."""
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
        self._networks[key] = network  # the last used one is the last
        if len(self._networks) > _MOST_NETWORKS:
            del self._networks[next(iter(self._networks))]
        return network
