"""FedMP: sub-models by the l1 norm of filters, reconstructed with the global model."""

from dataclasses import dataclass

from training.algorithms.submodels._sub_model_sgd import SubModelSgd
from training.submodels.method import SubModelMethod
from training.submodels.scores import FilterScore


@dataclass(frozen=True, kw_only=True)
class Fedmp(SubModelSgd):
    """Sub-models of the filters with the largest l1 norm, filled up with w_t and averaged.

    Jiang, Xu, Xu, Wang, Qiao, Zhao, "FedMP: Federated learning through adaptive model pruning in
    heterogeneous edge computing", ICDE 2022. In every layer a client omits the fraction of filters
    that its ratio states (`ratios`, see `FilterRatios`), those with the smallest sum of |w| in the
    global model, their bias included. The residual recovery R2SP, trained sub-model + (w_t - m_k
    w_t), is the reconstruction of `ca-hfp`: with the same filters both are equal.

    `ratios = "bandit"` is the original's choice of ratios by E-UCB, see `Bandit`: each client has
    its own, rewarded by the decrease of the loss over the gap |T_k - mean T|. T_k is that of the
    stated `TimeModel` for the FLOPs and bits of the round, as training does not see the times of
    the cell.

    **Differs:** models are averaged by samples, like the other methods of [CA-HFP]; the original's
    plain mean is `weighted = false`. No official code was found; this follows the published
    description.
    """

    @property
    def method(self) -> SubModelMethod:
        """The algorithm as a program for its clients and a score of their filters."""
        return SubModelMethod(
            task=self.task,
            program=(self.phase(),),
            ranks=self.ranks,
            score=FilterScore(score="l1", random_rounds=0),
            weighted=self.weighted,
            bandit=self.bandit,
            time=self.time,
        )
