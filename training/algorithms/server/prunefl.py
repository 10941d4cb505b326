"""PruneFL: one mask for all clients, chosen by accumulated gradients (Jiang et al. 2022)."""

from dataclasses import dataclass, field

from training.engine.local_sgd import LocalSgd
from training.server.global_mask import GlobalMaskBased, GlobalMaskMethod
from training.server.reconfiguration import Reconfigure
from training.server.time_model import TimeModel


@dataclass(frozen=True, kw_only=True)
class Prunefl(LocalSgd, GlobalMaskBased):
    """Federated averaging under a mask m that is common to all clients and adapts to training.

    Jiang, Wang, Valls, Ko, Lee, Leung, Tassiulas, "Model pruning enables efficient federated
    learning on edge devices", IEEE Trans. Neural Netw. Learn. Syst., 2022. A client runs local SGD
    on w_t m; m is 0 in every step. The gradients of the loss, also those of pruned weights, are
    summed along the way; the server accumulates n_k (sum of gradients)^2 over clients and rounds as
    the importance of the weights. It chooses m anew every `reconfigure_every` rounds, see
    `Reconfigure`: by importance per second (`adaptive`, seconds of the stated `TimeModel`) or by
    importance alone at a fixed `density`. Weights that return start at 0. The demand covers kept
    weights only, all of it fixed.

    With all weights kept it equals `fedavg` bit for bit.

    **Differs:** the published code counts gradients by the samples processed and completes a
    client's sum between two reconfigurations on the client; here the gradients of a round count,
    weighted as its models, when the update of that round is delivered. Learning rates do not decay.

    Attributes:
        reconfiguration: Schedule and rule of the mask.
        time: Assumed round time.
        weighted: Whether means count clients by their samples.
    """

    reconfiguration: Reconfigure = field(default_factory=Reconfigure)
    time: TimeModel = field(default_factory=TimeModel)
    weighted: bool = True

    @property
    def method(self) -> GlobalMaskMethod:
        """The algorithm as a program for its clients and a rule for their mask."""
        return GlobalMaskMethod(
            task=self.task,
            program=(self.phase(sum_gradients=True),),
            reconfiguration=self.reconfiguration,
            time=self.time,
            weighted=self.weighted,
        )
