"""The AlexNet-like network of [MCE-PL] for 32x32 colour images."""

from collections.abc import Collection, Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from training.models._response_norm import response_norm
from training.structure.groups import Group, group_widths

_ALPHAS = (2e-5, 1e-4, 1e-4)  # of the three local response normalisations


class AlexnetLike(nn.Module):
    """Three convolutions and two fully connected layers: 1,227,328 weights that masks choose from,
    and 202 biases.

    conv 3-64, 64-128, 128-256, all 5x5, padding 1, without bias, each with ELU, local response
    normalisation over 4 channels and max-pool 3 of stride 2 (the third padded by 1):
    32-30-14-12-5-3-2 pixels; FC 1024-192, ELU; FC 192-10, ELU. Default input (batch, 3, 32, 32),
    output logits (batch, 10). Left out on demand: `lrn` and `elu-logits`.

    Its small sister for studies on a CPU is the same at a quarter of the width, 77,968 weights to
    choose from; at a width of 0.594 they are 434,302.

    The normalisation looks at neighbouring channels, and those of a shrunken network are the ones
    that are left: with activations a its outputs are those of the zero-masked whole one to a
    relative 1e-4 a^2 (4e-6 at the start). Without it they are the same.

    **Differs:** [MCE-PL] tells kernels and pools only; the rest, ELU on the logits too, is as in its official code.
    """

    input_shape: tuple[int, ...] = (3, 32, 32)
    classes: int = 10
    personal: ClassVar[tuple[str, ...]] = ()
    feature_layer: ClassVar[str] = "fc2"
    optional: ClassVar[tuple[str, ...]] = ("lrn", "elu-logits")
    groups: ClassVar[tuple[Group, ...]] = (
        Group(name="conv1", width=64, rows=("conv1",), columns=("conv2",)),
        Group(name="conv2", width=128, rows=("conv2",), columns=("conv3",)),
        Group(name="conv3", width=256, rows=("conv3",), columns=("fc1",)),
        Group(name="fc1", width=192, rows=("fc1",), columns=("fc2",)),
    )

    def __init__(
        self,
        widths: Mapping[str, int] | None = None,
        *,
        classes: int = 10,
        channels: int = 3,
        without: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.classes, self.input_shape, self.without = classes, (channels, 32, 32), tuple(without)
        width = group_widths(self.groups, widths)
        self.conv1 = nn.Conv2d(channels, width["conv1"], 5, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width["conv1"], width["conv2"], 5, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width["conv2"], width["conv3"], 5, padding=1, bias=False)
        self.fc1 = nn.Linear(4 * width["conv3"], width["fc1"])
        self.fc2 = nn.Linear(width["fc1"], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images."""
        hidden, normed = images, "lrn" not in self.without
        for conv, alpha, padding in zip(
            (self.conv1, self.conv2, self.conv3), _ALPHAS, (0, 0, 1), strict=True
        ):
            hidden = conv(hidden)
            if normed:
                hidden = response_norm(F.elu(hidden), alpha)
            hidden = F.max_pool2d(hidden, 3, stride=2, padding=padding)
            if (
                not normed
            ):  # behind the pool, which changes places with all that rises: a quarter of the pixels
                hidden = F.elu(hidden)
        logits = self.fc2(F.elu(self.fc1(hidden.flatten(1))))
        return logits if "elu-logits" in self.without else F.elu(logits)
