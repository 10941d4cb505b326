"""par-weipru: pruned weights, averaged over the neighbours that hold them ([MCE-PL])."""

from dataclasses import dataclass

from training.algorithms.decentralised._pruned_weights import ExchangedPrunedWeights
from training.decentralised.pruned_weights import PrunedWeights, average_over_holders


@dataclass(frozen=True, kw_only=True)
class ParWeipru(ExchangedPrunedWeights):
    """Local training and pruning, then the mean of each entry over its holders: [MCE-PL] M-5.

    As `avr-weipru`, but the mean of an entry is over the agents of the closed neighbourhood whose
    mask keeps it. An entry without a holder does not change: it is dense under `pruning =
    "straight-through"`, 0 under `hard`.

    Tian, Zhang, Li, Bennis, "Communication-efficient personalized distributed learning with data
    and node heterogeneity", IEEE Trans. Cogn. Commun. Netw., 2025.
    """

    @property
    def method(self) -> PrunedWeights:
        """The algorithm as the behaviour of its agents."""
        return self.exchanging(average_over_holders)
