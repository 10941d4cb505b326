"""FL: federated averaging with one mini-batch a round, the baseline with a server of [MCE-PL]."""

from dataclasses import dataclass

from training.algorithms.server.fedavg import FedAvg


@dataclass(frozen=True, kw_only=True)
class Fl(FedAvg):
    """`fedavg` of all agents with one local step, so that rounds are as long as without a server.

    The global model is tested on the test samples of each agent. There is no graph: models are sent
    to the server and back, 32 bits for each value. With the same number of steps it equals `fedavg`
    bit for bit.

    Tian, Zhang, Li, Bennis, "Communication-efficient personalized distributed learning with data
    and node heterogeneity", IEEE Trans. Cogn. Commun. Netw., 2025 ([MCE-PL]).

    **Differs:** [MCE-PL] states neither the steps of a round nor the weights of the agents; one
    step, and weights by samples.

    Attributes:
        local_steps: Mini-batch steps in a round, at least 0.
    """

    local_steps: int = 1
