"""Medium of the uplink: use of the band over time within a round."""

from dataclasses import dataclass
from typing import Literal

from wirelessfl.errors import check_choice, check_number

LEAST_COHERENCE_S = 1e-9  # shorter than that of any channel
BANDS = ("static", "work-conserving")


@dataclass(frozen=True, kw_only=True)
class Medium:
    """Use of the band over time, dropouts and downlink broadcast; part of section `scenario`.

    Attributes:
        bands: Division of the band over time. static: a client has its own fraction for the whole
            round; work-conserving: the whole band is always divided among the transmitting clients,
            in proportion to their fractions (equally where these are all 0).
        coherence_s: Coherence time in s, after which the gain changes within a round where the
            channel model says how; at least 1e-9. Not set: the gain is constant within a round.
        dropout_probability: Probability that a client is lost in a round, at a moment uniform over
            the deadline, unless it has finished by then; from 0 to 1.
        downlink_broadcast: Send one dense copy of the model to all participants, at the downlink
            rate of the slowest one, instead of one copy to each.

    Raises:
        InputError: A value is outside its limits.
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
