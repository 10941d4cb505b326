"""Recorded links, played back round by round."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from channel_models._csi import Csi
from channel_models._trace_file import Format, read, stamp
from channel_models._trace_units import LEAST_GAIN, LinkBudget, guess_at
from wirelessfl.config.input_files import INPUT_FILE
from wirelessfl.errors import InputError, check_number
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario

KINDS = (".csv", ".npz")
_ROUNDED_UP = 1.0 + 1e-9  # the start of round 3 x 0.7 s is not before a row at 2.1 s


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Links recorded in a file, the same for every seed; a gain of 0, or below -400 dB, is no link.

    A scenario of fewer clients takes the first ones. A row is a round; with a column `time_s` a row
    holds until the next one begins, over rounds and over the coherence blocks of a round. The mean,
    quantile and path gain of a trace are its average, or its empirical quantile, over its time: it
    does not distinguish path loss from fading.

    A recorded SNR or rate stands for the gain with which the scenario's whole band, noise and fixed
    transmit power have that SNR or, by Shannon's formula with the link's SNR gap, that rate.

    Attributes:
        file: Path of the `.csv` or `.npz` file, relative to the scenario file.
        repeat: Whether the trace starts over after its end; an error otherwise.
        form: Columns, separator and unit of the file.
        round_interval_s: Time between the starts of two rounds, s, for a file with a column
            `time_s`; the scenario's deadline when not given.
        csi: Channel state information of the server.
    """

    file: str = field(default="", metadata={INPUT_FILE: True})
    repeat: bool = False
    form: Format = field(default_factory=Format)
    round_interval_s: float | None = None
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        if self.file and Path(self.file).suffix not in KINDS:
            raise InputError(f"channel.file must end in {' or '.join(KINDS)}, got {self.file!r}")
        if self.round_interval_s is not None:
            check_number("channel.round_interval_s", self.round_interval_s, above=0)

    @classmethod
    def example(cls, folder: Path) -> "Trace":
        """Write an example file: 50 rounds, 10 clients, Rayleigh fading at 100 dB loss.

        Args:
            folder: Folder to write to.

        Returns:
            The channel that plays it, repeating.
        """
        gain = 1e-10 * np.random.default_rng(0).standard_exponential((50, 10))
        file = folder / "trace.npz"
        np.savez(file, gain=gain)
        return cls(file=str(file), repeat=True)

    def sample(self, scenario: Scenario, streams: Streams) -> ChannelState:
        """The links recorded for the round, the file's first in round 0.

        Args:
            scenario: The cell, whose clients are the first of the file.
            streams: Streams at the round to play.

        Returns:
            The channel of the round and of its coherence blocks, with what `csi` says the server
            knows.

        Raises:
            InputError: The file cannot be read or used, or it has ended.
        """
        played = self._played(scenario)
        self._check_reaches(played, scenario, streams.round)
        coherence_s = scenario.medium.coherence_s or 0.0

        def block_gain(block: int) -> Array:
            row = played.row_at(
                self._start(played, scenario, streams.round), block * coherence_s, self.repeat
            )
            return played.gain[row, : scenario.clients]

        mean = played.mean[: scenario.clients]
        return self.csi.state(
            block_gain(0),
            streams,
            mean=mean,
            quantile=lambda outage: played.quantile(outage)[: scenario.clients],
            path_gain=mean,
            block_gain=block_gain,
        )

    def mean_gain(self, scenario: Scenario, streams: Streams) -> Array:
        """Average the gain over the time of the trace.

        Args:
            scenario: The cell.
            streams: Streams at any round.

        Returns:
            Linear power gain, (K,).
        """
        return self._played(scenario).mean[: scenario.clients]

    def period(self, scenario: Scenario) -> int | None:
        """Number of rounds after which the trace starts over.

        Args:
            scenario: The cell.

        Returns:
            Rounds; None where it does not start over.
        """
        if not self.repeat:
            return None
        played = self._played(scenario)
        return int(np.ceil(played.length / self._step(played, scenario) - 1e-9))

    def _check_reaches(self, played: "_Played", scenario: Scenario, round: int) -> None:
        start = self._start(played, scenario, round)
        if self.repeat or start * _ROUNDED_UP < played.length:
            return
        found = f"{played.length:g} s" if played.is_timed else f"{len(played.gain)} rounds"
        at = f" at {start:g} s" if played.is_timed else ""
        raise InputError(
            f"channel.file {self.file}: holds {found}, got round {round + 1}{at}: "
            f"set channel.repeat = true to start over"
        )

    def _start(self, played: "_Played", scenario: Scenario, round: int) -> float:
        return round * self._step(played, scenario)

    def _step(self, played: "_Played", scenario: Scenario) -> float:
        """Length of a round, in seconds or rows."""
        return (self.round_interval_s or scenario.deadline_s) if played.is_timed else 1.0

    def _played(self, scenario: Scenario) -> "_Played":
        """The gains of the scenario's clients."""
        if not self.file:
            raise InputError(
                f"channel.file must name a recorded trace ({' or '.join(KINDS)}), got ''"
            )
        levels = read(self.file, self.form)
        clients = levels.level.shape[1]
        if clients < scenario.clients:
            raise InputError(
                f"channel.file {self.file}: must hold at least {scenario.clients} clients "
                f"(scenario.clients), got {clients}"
            )
        return _converted(
            self.file, *stamp(self.file), self.form, LinkBudget.of(scenario, levels.unit)
        )


@dataclass(frozen=True, eq=False)
class _Played:
    """Gains of a trace and their times.

    Attributes:
        gain: Linear gains, (rows, K).
        edges_s: Begin and end of the rows, seconds, (rows + 1,); None where a row is a round.
    """

    gain: Array
    edges_s: Array | None

    @property
    def is_timed(self) -> bool:
        return self.edges_s is not None

    @property
    def length(self) -> float:
        """Seconds, or rows."""
        return float(len(self.gain) if self.edges_s is None else self.edges_s[-1])

    @cached_property
    def mean(self) -> Array:
        """Over time; (K,)."""
        return (
            self.gain.mean(axis=0)
            if self.edges_s is None
            else np.average(self.gain, 0, np.diff(self.edges_s))
        )

    def quantile(self, outage: float) -> Array:
        """The gain that is not exceeded for the fraction `outage` of the time; (K,)."""
        ordered, until = self._ordered
        place = np.array([np.searchsorted(column, outage * column[-1]) for column in until.T])
        return np.asarray(ordered[place, np.arange(ordered.shape[1])])

    @cached_property
    def _ordered(self) -> tuple[Array, Array]:
        """Each client's gains from the least on, and the time of gains up to each; (rows, K)."""
        order = np.argsort(self.gain, axis=0, kind="stable")
        lasts = np.ones(len(self.gain)) if self.edges_s is None else np.diff(self.edges_s)
        return np.take_along_axis(self.gain, order, axis=0), np.cumsum(lasts[order], axis=0)

    def row_at(self, start: float, later_s: float, repeat: bool) -> int:
        """The row that holds `later_s` seconds after the `start` of a round, in seconds or rows."""
        if self.edges_s is None:
            return int(start) % len(self.gain)
        time_s = (start + later_s) * _ROUNDED_UP
        if repeat:
            time_s %= self.length
        row = int(np.searchsorted(self.edges_s, time_s, side="right")) - 1
        return min(max(row, 0), len(self.gain) - 1)


@lru_cache(maxsize=8)
def _converted(
    file: str, changed_ns: int, size: int, form: Format, budget: LinkBudget | None
) -> _Played:
    """The gains of a file, converted once per version of file and link budget."""
    levels = read(file, form)
    gain = levels.level
    if budget is not None:
        level = gain[:, : len(budget.snr_at_gain_1)]
        gain = budget.gain(level, levels.unit)
        for row, client in np.argwhere(~(gain <= 1.0))[:1]:
            raise InputError(
                f"channel.file {file}: {levels.unit} of client {client} must be what a gain of "
                f"at most 1 gives in this scenario, got a gain of {gain[row, client]:g}"
                f"{guess_at(level, levels.unit)}"
            )
    gain = np.where(gain < LEAST_GAIN, 0.0, gain)
    gain.setflags(write=False)
    return _Played(gain, None if levels.begins_s is None else _edges_s(levels.begins_s))


def _edges_s(begins_s: Array) -> Array:
    """Begin of each row and end of the last one, which lasts as long as the typical row."""
    usual_s = float(np.median(np.diff(begins_s))) if len(begins_s) > 1 else np.inf
    return np.append(begins_s, begins_s[-1] + usual_s)
