"""Recorded gains, played back round by round."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from channel_models._csi import Csi
from channel_models._trace_file import read
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.values import Array, ChannelState, Scenario

KINDS = (".csv", ".npz")


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Linear power gains recorded per round and client in `file` (see `_trace_file.read`), the same
    for every seed.

    A scenario of fewer clients takes the first ones. After its last round the trace starts over
    with `repeat`, and is an error without. What a trace has as mean, quantile and path gain is its
    average, or its empirical quantile, over its rounds: it does not tell path loss from fading. The
    gain holds for the whole round.
    """

    file: str = ""
    repeat: bool = False
    csi: Csi = field(default_factory=Csi)

    def __post_init__(self) -> None:
        if self.file and Path(self.file).suffix not in KINDS:
            raise InputError(f"channel.file must end in {' or '.join(KINDS)}, got {self.file!r}")

    @classmethod
    def example(cls, folder: Path) -> "Trace":
        """A trace of 50 rounds and 10 clients that repeats, written to `folder`: Rayleigh fading at
        100 dB loss.
        """
        gain = 1e-10 * np.random.default_rng(0).standard_exponential((50, 10))
        file = folder / "trace.npz"
        np.savez(file, gain=gain)
        return cls(file=str(file), repeat=True)

    def sample(self, scenario: Scenario, rng: Streams) -> ChannelState:
        """What was recorded in the round, the file's first in round 0; `InputError` when there is
        nothing.
        """
        rows = self._rows(scenario)
        if rng.round >= len(rows) and not self.repeat:
            raise InputError(
                f"channel.file {self.file}: holds {len(rows)} rounds, got round {rng.round + 1}: "
                f"set channel.repeat = true to start over"
            )
        gain, mean = rows[rng.round % len(rows)], rows.mean(axis=0)

        def quantile(outage: float) -> Array:
            return np.quantile(rows, outage, axis=0, method="inverted_cdf")

        return self.csi.state(
            gain, rng, mean=mean, quantile=quantile, path_gain=mean, block_gain=lambda block: gain
        )

    def mean_gain(self, scenario: Scenario, rng: Streams) -> Array:
        """Mean over the rounds of the trace; (K,)."""
        return self._rows(scenario).mean(axis=0)

    def _rows(self, scenario: Scenario) -> Array:
        """Gains (rounds, K) of the scenario's clients."""
        if not self.file:
            raise InputError(
                f"channel.file must name a recorded trace ({' or '.join(KINDS)}), got ''"
            )
        rows = read(self.file)
        if rows.shape[1] < scenario.clients:
            raise InputError(
                f"channel.file {self.file}: must hold at least {scenario.clients} clients (scenario.clients), "
                f"got {rows.shape[1]}"
            )
        return rows[:, : scenario.clients]
