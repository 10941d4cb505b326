"""The residual network of 18 layers for 32x32 colour images."""

from training.models._residual import ResidualNet, inner_groups


class Resnet18(ResidualNet):
    """ResNet-18 with the stem for small images, 2-2-2-2 blocks of 64 to 512 channels.

    11,173,962 parameters; see `ResidualNet` for its layers.
    """

    blocks_per_stage = 2
    stages = (64, 128, 256, 512)
    groups = inner_groups(blocks_per_stage, stages)
