"""The residual network of 32 layers for 32x32 colour images."""

from training.models._residual import ResidualNet, inner_groups


class Resnet32(ResidualNet):
    """ResNet-32 of He et al. 2016, 5-5-5 blocks of 16, 32 and 64 channels.

    466,906 parameters; see `ResidualNet` for its layers.

    **Differs:** the text of [CA-HFP] says ResNet-56; the sizes of its Table I are those of this
    network.
    """

    blocks_per_stage = 5
    stages = (16, 32, 64)
    groups = inner_groups(blocks_per_stage, stages)
