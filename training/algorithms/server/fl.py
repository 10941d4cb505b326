"""FL: federated averaging with one mini-batch a round, the baseline with a server of [MCE-PL]."""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_sgd, local_sgd
from training.server.method import ServerMethod
from training.server.trainer import ServerBased
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class Fl(ServerBased):
    """`fedavg` of all agents with `local_steps` = 1, so that its rounds are as long as those
    without a server.

    The one model is tested on each agent's own test samples. There is no graph: models go to the
    server and back, 32 bits a number. Everything else is as in `fedavg`, which it is bit for bit
    with the same number of steps.

    **Differs:** [MCE-PL] says neither how many steps a round has nor how agents are weighed; one step, and by samples.
    """

    task: Task = field(default_factory=Task)
    learning_rate: float = 0.01
    local_steps: int = 1
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
