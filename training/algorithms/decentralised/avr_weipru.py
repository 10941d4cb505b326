"""avr-weipru: pruned weights, averaged over neighbours ([MCE-PL])."""

from dataclasses import dataclass

from training.algorithms.decentralised._pruned_weights import ExchangedPrunedWeights
from training.decentralised.pruned_weights import PrunedWeights, average


@dataclass(frozen=True, kw_only=True)
class AvrWeipru(ExchangedPrunedWeights):
    """Local training and pruning, then the mean of the neighbourhood's models: [MCE-PL] M-4.

    Local SGD as in `ind-weipru`; the largest weights of each layer are sent, and w_i <- (w_i +
    sum_j w_j m_j) / (|N_i| + 1) over all entries, zeros included. Then the agent prunes again and
    is evaluated.

    Tian, Zhang, Li, Bennis, "Communication-efficient personalized distributed learning with data
    and node heterogeneity", IEEE Trans. Cogn. Commun. Netw., 2025.

    **Differs:** the paper does not say whether an agent is part of its mean; it is, with all of its
    weights under `pruning = "straight-through"` (so that without neighbours this is `ind-weipru`),
    with the kept ones under `hard`.
    """

    @property
    def method(self) -> PrunedWeights:
        """The algorithm as the behaviour of its agents."""
        return self.exchanging(average)
