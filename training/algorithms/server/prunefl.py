"""PruneFL: one mask for all clients, which follows accumulated gradients (Jiang et al. 2022)."""

from dataclasses import dataclass, field

from training.engine.local_sgd import check_sgd, local_sgd
from training.server.global_mask import GlobalMaskBased, GlobalMaskMethod
from training.server.reconfiguration import Reconfigure
from training.server.time_model import TimeModel
from training.task import Task


@dataclass(frozen=True, kw_only=True)
class Prunefl(GlobalMaskBased):
    """Federated averaging of a model under a mask m that is common to all clients and adapts to the
    training.

    A client takes `local_steps` or `local_epochs` of SGD on w_t m; m is 0 in every step. The
    gradients of the loss, also those of pruned weights, add up along the way; the server sums n_k
    (sum of gradients)^2 over clients and rounds as the weights' importance. Every
    `reconfigure_every` rounds it chooses m anew, see `Reconfigure`: by importance per second
    (`adaptive`, seconds by the stated `TimeModel`) or by importance alone at a fixed `density`.
    What comes back starts at 0. The network is asked for kept weights only, all of it fixed.

    With all weights kept it is `fedavg` bit for bit.

    **Differs:** the published code counts gradients by the samples processed and makes up a client's sum between two
    reconfigurations on the client; here a round's gradients count, weighted as its models, when
    that round's update is delivered. Learning rates do not decay.
    """

    task: Task = field(default_factory=Task)
    reconfiguration: Reconfigure = field(default_factory=Reconfigure)
    time: TimeModel = field(default_factory=TimeModel)
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
    def method(self) -> GlobalMaskMethod:
        """The algorithm as a program for its clients and a rule for their mask."""
        return GlobalMaskMethod(
            task=self.task,
            program=(local_sgd(self, sum_gradients=True),),
            reconfiguration=self.reconfiguration,
            time=self.time,
            weighted=self.weighted,
        )
