"""Compact networks: the sub-models that clients train in place of the whole model."""

from collections.abc import Mapping

import torch
from torch import nn

from training.engine.network import Network
from training.structure.build import build_like
from training.structure.layout import Layout
from training.structure.structure import Structure
from training.structure.submodel import SubModel

# Kept at a time, by widths: enough for the ratios of a round, with bounded memory.
_MOST_NETWORKS = 16


class CompactNetworks:
    """Networks of sub-models, one for each set of widths; the 16 last used ones are kept."""

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

    def get(self, sub: SubModel) -> Network:
        """The network of a sub-model.

        Args:
            sub: Channels of the sub-model.

        Returns:
            The network of these widths with values of an earlier use.

        Raises:
            InputError: The model does not have these groups or channels.
        """
        if self._structure is None:
            self._structure = Structure.of(self._model, self._layout)
        self._structure.check(sub)
        return self._network(sub.widths)

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
