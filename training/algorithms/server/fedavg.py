"""Federated averaging of the whole model: FederatedAveraging of McMahan et al. 2017."""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_sgd, local_sgd
from training.server.method import ServerMethod
from training.server.trainer import ServerBased
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class FedAvg(ServerBased):
    """Local SGD on the whole model, then the mean w = sum_k n_k w_k / sum_k n_k over the clients
    that delivered.

    Algorithm 1 of McMahan et al. 2017 with n_k samples on client k; `weighted = False` counts every
    client once. Clients take `local_steps` steps, or `local_epochs` epochs where these are given,
    by `learning_rate`, `momentum` (starts at 0 in every round), `weight_decay` and gradients of a
    norm of at most `clip_norm`. Running statistics of batch norm are averaged with the weights.
    Nothing is personal and nothing is pruned: a round asks for as many fixed updates of N weights
    as there are steps, and for 32 bits a number, up and down. A client without band (ratio 1) sits
    the round out; who does not take part or does not deliver is left out of both sums. The accuracy
    is the mean over clients of that of the one model on their test samples.
    """

    task: Task = field(default_factory=Task)
    learning_rate: float = 0.01
    local_steps: int = 5
    local_epochs: int | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    weighted: bool = True

    def __post_init__(self) -> None:
        check_sgd(self)

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        return ServerMethod(
            task=self.task,
            program=(local_sgd(self),),
            personalised=False,
            count_mask_bits=False,
            prunable=False,
            weighted=self.weighted,
        )
