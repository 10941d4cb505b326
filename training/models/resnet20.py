"""The residual network of 20 layers for 32x32 colour images."""

from training.models._residual import ResidualNet, inner_groups


class Resnet20(ResidualNet):
    """ResNet-20 of He et al. 2016, 3-3-3 blocks of 16, 32 and 64 channels.

    272,474 parameters; see `ResidualNet` for its layers.
    """

    blocks_per_stage = 3
    stages = (16, 32, 64)
    groups = inner_groups(blocks_per_stage, stages)
