"""The AlexNet-like network of [MCE-PL] for 32x32 colour images."""

from collections.abc import Collection, Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from training.models._response_norm import response_norm
from training.structure.groups import Group, group_widths

_ALPHAS = (2e-5, 1e-4, 1e-4)  # of the three local response normalisations


class AlexnetLike(nn.Module):
    """Three convolutions and two fully connected layers: 1,227,328 maskable weights, 202 biases.

    conv 3-64, 64-128, 128-256, all 5x5, padding 1, without bias, each with ELU, local response
    normalisation over 4 channels and max-pool 3 of stride 2 (the third padded by 1):
    32-30-14-12-5-3-2 pixels; FC 1024-192, ELU; FC 192-10, ELU. Default input (batch, 3, 32, 32),
    output logits (batch, 10). Optional parts: `lrn` and `elu-logits`.

    The smaller network for studies on a CPU has a quarter of the width, 77,968 maskable weights; at
    a width of 0.594 there are 434,302.

    The normalisation uses neighbouring channels, and those of a narrower network are the ones that
    remain: with activations a its outputs equal those of the zero-masked whole one to a relative
    1e-4 a^2 (4e-6 at the start). Without normalisation they are equal.

    **Differs:** [MCE-PL] gives kernels and pools only; the rest, ELU on the logits included, is as
    in its official code.

    Attributes:
        input_shape: Shape of an input without the batch axis.
        classes: Number of classes.
        personal: Names of the personal sub-modules.
        feature_layer: Name of the last layer, whose inputs are the features.
        groups: Groups of channels that can be removed.
        optional: Names of the parts that can be omitted.
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
        """Make the network with random weights.

        Args:
            widths: Channels of groups; a group that is not named keeps all.
            classes: Number of classes.
            channels: Channels of an image.
            without: Names of omitted parts.
        """
        super().__init__()
        self.classes = classes
        self.input_shape = (channels, 32, 32)
        self.without = tuple(without)
        width = group_widths(self.groups, widths)
        self.conv1 = nn.Conv2d(channels, width["conv1"], 5, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width["conv1"], width["conv2"], 5, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width["conv2"], width["conv3"], 5, padding=1, bias=False)
        self.fc1 = nn.Linear(4 * width["conv3"], width["fc1"])
        self.fc2 = nn.Linear(width["fc1"], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images.

        Args:
            images: Images, (batch, *input_shape).

        Returns:
            Logits, (batch, classes).
        """
        hidden = images
        normed = "lrn" not in self.without
        for conv, alpha, padding in zip(
            (self.conv1, self.conv2, self.conv3), _ALPHAS, (0, 0, 1), strict=True
        ):
            hidden = conv(hidden)
            if normed:
                hidden = response_norm(F.elu(hidden), alpha)
            hidden = F.max_pool2d(hidden, 3, stride=2, padding=padding)
            if not normed:  # after the pool, which commutes with ELU: a quarter of the pixels
                hidden = F.elu(hidden)
        logits = self.fc2(F.elu(self.fc1(hidden.flatten(1))))
        return logits if "elu-logits" in self.without else F.elu(logits)
