"""Federated averaging of the whole model (McMahan et al. 2017)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from training.engine.local_sgd import LocalSgd
from training.server.algorithm import ServerBased
from training.server.method import ServerMethod


@dataclass(frozen=True, kw_only=True)
class FedAvg(LocalSgd, ServerBased):
    """Local SGD on the whole model, then w = sum_k n_k w_k / sum_k n_k over delivered models.

    Algorithm 1 of McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-efficient
    learning of deep networks from decentralized data", AISTATS 2017, with n_k samples on client k.
    Running statistics of batch norm are averaged with the weights. Nothing is personal and nothing
    is pruned: a round demands as many fixed updates of N weights as there are steps, and 32 bits
    for each value, up and down. A client without bandwidth (ratio 1) is idle in the round;
    non-participating clients and clients whose upload is lost are excluded from both sums. The
    accuracy is the mean over clients of that of the global model on their test samples.

    Attributes:
        weighted: Whether n_k are the samples of client k; otherwise all n_k are 1.
    """

    carries_state: ClassVar[bool] = True
    runs_with: ClassVar[Mapping[str, str]] = {"allocation.method": "min-latency"}

    weighted: bool = True

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        return ServerMethod(
            task=self.task,
            program=(self.phase(),),
            personalised=False,
            count_mask_bits=False,
            prunable=False,
            weighted=self.weighted,
            upload=self.upload,
        )
