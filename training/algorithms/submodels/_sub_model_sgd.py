"""Common part of the algorithms with sub-models: local SGD, pruning ratios and their bandits."""

from dataclasses import dataclass, field

from training.engine.local_sgd import LocalSgd
from training.server.time_model import TimeModel
from training.submodels.bandit import Bandit
from training.submodels.ratios import FilterRatios
from training.submodels.trainer import SubModelBased
from wirelessfl.errors import InputError
from wirelessfl.text import in_full


@dataclass(frozen=True, kw_only=True)
class SubModelSgd(LocalSgd, SubModelBased):
    """Algorithm with local SGD on sub-models.

    The momentum is below 1, as the effective step of the estimators is eta / (1 - momentum).

    Attributes:
        ranks: Pruning ratio of each client.
        bandit: Settings of the bandits, where they choose the ratios.
        time: Assumed round time, for the rewards of the bandits.
        weighted: Whether models are averaged by samples.
    """

    ranks: FilterRatios = field(default_factory=FilterRatios)
    bandit: Bandit = field(default_factory=Bandit)
    time: TimeModel = field(default_factory=TimeModel)
    weighted: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.momentum >= 1:
            raise InputError(f"training.momentum must be below 1, got {in_full(self.momentum)}")
