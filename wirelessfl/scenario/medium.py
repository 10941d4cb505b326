"""Division of the band over time within a round."""

from dataclasses import dataclass
from typing import Literal

from wirelessfl.errors import check_choice, check_number

LEAST_COHERENCE_S = 1e-9  # beyond any channel
BANDS = ("static", "work-conserving")


@dataclass(frozen=True, kw_only=True)
class Medium:
    """Events on the band within a round; its fields stand in section `scenario` of a scenario
    file.

    `bands`: `static`, a client has its own share for the whole round; `work-conserving`, the whole
    band is always divided over transmitting clients, in proportion to their shares (equally where
    these are all 0). `coherence_s`: the gain changes that often within a round, where the channel
    says how; by default never. `dropout_probability`: a client is lost in a round with this
    probability, at a moment uniform over the deadline, unless it has finished by then.
    `downlink_broadcast`: one dense copy for all participants, at the slowest one's downlink
    rate, instead of one for each.
    """

    bands: Literal["static", "work-conserving"] = "static"
    coherence_s: float | None = None
    dropout_probability: float = 0.0
    downlink_broadcast: bool = False

    def __post_init__(self) -> None:
        check_choice("scenario.bands", self.bands, BANDS)
        if self.coherence_s is not None:
            check_number(
                "scenario.coherence_s", self.coherence_s, above=0, at_least=LEAST_COHERENCE_S
            )
        check_number(
            "scenario.dropout_probability", self.dropout_probability, at_least=0, at_most=1
        )
