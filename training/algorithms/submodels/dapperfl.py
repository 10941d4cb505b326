"""DapperFL: local training, fusion, pruning by l1 norms, and a penalty on features."""

from dataclasses import dataclass, field, replace

from training.algorithms.submodels.fedmp import Fedmp
from training.submodels.fusion import Fusion
from training.submodels.method import SubModelMethod
from wirelessfl import plugins
from wirelessfl.errors import InputError, check_number
from wirelessfl.text import in_full


@dataclass(frozen=True, kw_only=True)
class Dapperfl(Fedmp):
    """Clients prune models that they have trained themselves; the server fills them up with w_t.

    Jia, Zhang, Hu, Choo, Qi, Xu, Beheshti, Dou, "DapperFL: Domain adaptive federated learning with
    model fusion pruning for edge devices", NeurIPS 2024. A client receives the whole w_t, trains it
    for the first part of its local work, fuses both (see `Fusion`), omits of every layer the
    fraction of filters with the smallest l1 norm that its ratio states (`ratios`, see
    `FilterRatios`), trains the compact model for the rest of its work with the loss +
    `feature_penalty` x batch mean of |features|_2, and sends it. The server puts it back into w_t
    and averages by samples. The download is dense, and so is the work before the fusion: both are
    fixed.

    Without fusion and penalty (`fusion_start`, `fusion_least` and `feature_penalty` 0) the locally
    trained model is pruned; with `dense_share` 0 in addition it equals `fedmp`.

    **Differs:** this is the description in the paper, not the published code, whose recovery is
    undone when PyTorch's pruning is removed (zeros are averaged) and whose fusion happens in the
    first round only. Filters of every declared group are pruned, also those of the first
    convolution, and every norm counts the bias of the filter.

    Attributes:
        fusion: Local training before pruning, and the weights of the fusion.
        feature_penalty: Factor lambda of the feature norm in the loss, at least 0.
    """

    fusion: Fusion = field(default_factory=Fusion)
    feature_penalty: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("training.feature_penalty", self.feature_penalty, at_least=0)
        model = plugins.load("models", self.task.model)
        if self.feature_penalty and getattr(model, "feature_layer", None) is None:
            raise InputError(
                f"training.feature_penalty must be 0 for model {self.task.model!r}, which names no "
                f"feature_layer, got {in_full(self.feature_penalty)}"
            )

    @property
    def method(self) -> SubModelMethod:
        """The algorithm as a program for its clients and a score of their filters."""
        return replace(
            super().method,
            program=(self.phase(feature_penalty=self.feature_penalty),),
            dense_download=True,
            fusion=self.fusion,
        )
