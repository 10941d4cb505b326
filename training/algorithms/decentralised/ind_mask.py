"""ind-mask: every agent learns its mask alone ([MCE-PL])."""

from dataclasses import dataclass

from training.algorithms.decentralised._mask_learning import MaskLearningBased


@dataclass(frozen=True, kw_only=True)
class IndMask(MaskLearningBased):
    """Straight-through training of scores z of common weights w, without neighbours: [MCE-PL] M-2.

    m = Fil[Thres(z)], z <- z - eta dL/dv w sign(z), [MCE-PL] eq. (14)-(15): `mce-pl` without an
    exchange. Nothing is sent; the `graph` is that of the methods with which it is compared.

    Tian, Zhang, Li, Bennis, "Communication-efficient personalized distributed learning with data
    and node heterogeneity", IEEE Trans. Cogn. Commun. Netw., 2025.
    """
