"""Units in which a link is recorded, their possible values, and the gain that they stand for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wirelessfl.cell.closed_form import full_band_snr
from wirelessfl.errors import InputError
from wirelessfl.units import db_to_linear
from wirelessfl.values import Array, ChannelState, Scenario

AUTO = "auto"
MOST_LOSS_DB = 400.0  # beyond any link, within any float
LEAST_GAIN = 1e-40  # that of the largest loss
LEAST_RSRP_DBM = -200.0
MOST_RSRP_DBM = 0.0
MOST_SNR_DB = 100.0
MOST_REFERENCE_DBM = 100.0


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit of recorded values.

    Attributes:
        least: Least possible value.
        most: Largest possible value.
        level: Values as a linear quantity: a gain, a signal-to-noise ratio or a rate in bit/s.
        zero_is_none: Whether the value 0 stands for no link.
        is_snr: Whether the level is a signal-to-noise ratio.
        is_rate: Whether the level is a rate.
    """

    least: float
    most: float
    level: Callable[[Array], Array]
    zero_is_none: bool = True
    is_snr: bool = False
    is_rate: bool = False

    @property
    def limit(self) -> str:
        """The possible values, as an error line names them."""
        most = (
            f"from {self.least:g} to {self.most:g}"
            if np.isfinite(self.most)
            else f"of at least {self.least:g}"
        )
        return f"a number {most} ({'0 or empty' if self.zero_is_none else 'empty'}: no link)"


def _scaled(factor: float) -> Callable[[Array], Array]:
    return lambda values: factor * values


UNITS = {
    "gain": Unit(least=0.0, most=1.0, level=_scaled(1.0)),
    "gain_db": Unit(least=-MOST_LOSS_DB, most=0.0, level=db_to_linear),
    "path_loss_db": Unit(least=0.0, most=MOST_LOSS_DB, level=lambda values: db_to_linear(-values)),
    "rsrp_dbm": Unit(least=LEAST_RSRP_DBM, most=MOST_RSRP_DBM, level=db_to_linear),
    "snr_db": Unit(
        least=-MOST_SNR_DB, most=MOST_SNR_DB, level=db_to_linear, zero_is_none=False, is_snr=True
    ),
    "rate_bps": Unit(least=0.0, most=np.inf, level=_scaled(1.0), is_rate=True),
    "rate_kbps": Unit(least=0.0, most=np.inf, level=_scaled(1e3), is_rate=True),
    "rate_mbps": Unit(least=0.0, most=np.inf, level=_scaled(1e6), is_rate=True),
}
_LIKELY = (  # least and largest value, and the units that such values usually have
    (0.0, 1.0, ("gain",)),
    (-160.0, -30.0, ("rsrp_dbm", "gain_db")),
    (40.0, 250.0, ("path_loss_db",)),
    (-40.0, 60.0, ("snr_db",)),
    (1e3, np.inf, ("rate_kbps", "rate_bps")),
)


def unit_in(name: str) -> str | None:
    """Find the unit at the start of a column's name (`rsrp_dbm`, `rsrp_dbm_2`, `gain 0`).

    Args:
        name: Name of the column.

    Returns:
        The unit, None without one.
    """
    for unit in sorted(UNITS, key=len, reverse=True):
        rest = name.removeprefix(unit)
        if (
            name.startswith(unit)
            and (not rest or not rest[0].isalpha())
            and not rest.startswith("_db")
        ):
            return unit
    return None


def guess_at(values: Array, unit: str) -> str:
    """Guess the unit of values that are impossible in the declared one.

    Args:
        values: Recorded values, any shape.
        unit: Declared unit.

    Returns:
        The end of an error line that names likely units; '' without a guess.
    """
    known = values[np.isfinite(values) & (values != 0)]
    for least, most, units in _LIKELY:
        likely = [name for name in units if name != unit]
        if known.size and likely and least <= known.min() and known.max() <= most:
            return f"; the values look like {' or '.join(likely)}: set channel.unit"
    return ""


@dataclass(frozen=True)
class LinkBudget:
    """Quantities of the scenario that turn a recorded SNR or rate into a gain.

    Attributes:
        snr_at_gain_1: Linear SNR over the whole band at gain 1; (K,).
        bandwidth_hz: The band, Hz.
        snr_gap: SNR gap of the link, linear.
    """

    snr_at_gain_1: tuple[float, ...]
    bandwidth_hz: float
    snr_gap: float

    @classmethod
    def of(cls, scenario: Scenario, unit: str) -> "LinkBudget | None":
        """The budget that a unit needs.

        Args:
            scenario: The cell.
            unit: Unit of the recorded values.

        Returns:
            The budget, None for a gain.

        Raises:
            InputError: The transmit power follows the path loss.
        """
        if not (UNITS[unit].is_snr or UNITS[unit].is_rate):
            return None
        if scenario.link.power_control != "fixed":
            raise InputError(
                f"scenario.power_control must be fixed for a trace in {unit}, whose gain follows "
                f"from the transmit power, got {scenario.link.power_control}"
            )
        ones = np.ones(scenario.clients)
        snr = full_band_snr(scenario, ChannelState.perfect_csi(ones), ones)
        return cls(tuple(snr.tolist()), scenario.bandwidth_hz, scenario.link.snr_gap)

    def gain(self, level: Array, unit: str) -> Array:
        """Gain with which the whole band has the recorded SNR or, by Shannon's formula, rate.

        Args:
            level: Linear levels, (..., K).
            unit: Their unit.

        Returns:
            Linear power gains, (..., K).
        """
        with np.errstate(over="ignore"):
            snr = (
                self.snr_gap * np.expm1(level / self.bandwidth_hz * np.log(2.0))
                if UNITS[unit].is_rate
                else level
            )
            return np.asarray(snr / np.array(self.snr_at_gain_1))
