"""Band of a round's uplink: transmitting clients, their fractions and rates, end of uploads."""

from collections.abc import Callable

import numpy as np
import simpy
from numpy.typing import NDArray

from wirelessfl.cell.closed_form import packet_loss, sending_rate_bps
from wirelessfl.cell.packets import Packets
from wirelessfl.values import Array, ChannelState, Scenario

LAST_BLOCK = 10_000  # coherence block whose gain stays, so that every round ends


class Band:
    """Uplink of one round as a fluid: bits leave at a rate that is constant between two events.

    An event is the start or end of an upload or the start of a coherence block. Between two events
    nothing has to be computed: the bits of a client are counted when its own rate, fraction or loss
    changes, and one alarm is set for the next moment at which an upload or a packet ends or the
    gain changes. A lost packet changes no rate, and at fixed noise power a rate is that of the
    whole band times the fraction: links are evaluated once per gain, not once per event. The gain
    of coherence block b = `channel.block_gain(b)` holds in [b, b + 1) `coherence_s` from the start
    of the round on; that of block 10 000 stays. A rate of 0 that no event will change raises no
    alarm: such an upload never ends.

    Args:
        env: SimPy environment of the round.
        scenario: Cell and clients.
        channel: Channel of the round.
        bandwidth_fraction: Allocated fractions of the band; (K,).
        packets: Packets of each client, for links with packet errors; None for links without.
        note: Function that records an event of a client in the trace.

    Attributes:
        air_s: Seconds of transmission of each client, counted up to the last `settle`; (K,).
        band_s: The same, times the client's fraction of the band; (K,).
    """

    def __init__(
        self,
        env: simpy.Environment,
        scenario: Scenario,
        channel: ChannelState,
        bandwidth_fraction: Array,
        packets: list[Packets] | None,
        note: Callable[[int, str], None],
    ) -> None:
        self._env = env
        self._scenario = scenario
        self._channel = channel
        self._weight = bandwidth_fraction
        self._conserving = scenario.medium.bands == "work-conserving"
        self._packets = packets
        self._note = note
        self._coherence_s = scenario.medium.coherence_s if channel.block_gain is not None else None
        self._gain = channel.gain
        self._block = -1
        self._border_s = np.inf if self._coherence_s is None else 0.0
        clients = scenario.clients
        self._sending: NDArray[np.bool_] = np.zeros(clients, dtype=np.bool_)
        self._through: list[simpy.Event | None] = [None] * clients
        self._fraction = np.zeros(clients)
        self._rate = np.zeros(clients)
        self._loss = np.zeros(clients)
        self._since_s = np.zeros(clients)  # moment up to which a client's bits are counted
        self._run_bits = np.zeros(clients)  # bits from the start of a run of packets to its end
        self._left_bits = np.zeros(clients)  # bits of the run still to send
        self._ends_s = np.full(clients, np.inf)
        self._alarm: simpy.Event | None = None
        self._whole = np.ones(clients)
        self._whole_rates = self._planned = self._loss, self._loss
        self._evaluate()
        self.air_s = np.zeros(clients)
        self.band_s = np.zeros(clients)

    def reaches(self, client: int) -> bool:
        """True where the client can obtain a fraction of the band in this round.

        Args:
            client: Number of the client.

        Returns:
            False for a client without a fraction of a static band.
        """
        return self._conserving or bool(self._weight[client] > 0)

    def send(self, client: int, bits: float) -> simpy.Event:
        """Start an upload.

        Args:
            client: Number of the client.
            bits: Size of the upload in bits.

        Returns:
            Event at the end of the upload: True when the bits have arrived, False when the client
            gave up.
        """
        through = self._env.event()
        if self._packets is not None:
            self._packets[client].begin(bits)
        self._through[client] = through
        self._sending[client] = True
        self._since_s[client] = self._env.now
        self._run_bits[client] = self._left_bits[client] = bits
        self._refresh(started=client)
        return through

    def leave(self, client: int) -> None:
        """Remove a client from the band; the rest of its upload is not sent.

        Args:
            client: Number of the client.
        """
        if self._sending[client]:
            self.settle()
            self._remove(client)
            self._refresh()

    def settle(self) -> None:
        """Count all bits and seconds of transmission up to now."""
        self._count_off(np.flatnonzero(self._sending))

    def open_bits(self, client: int) -> float:
        """Bits of the client's upload that have not arrived; valid after `settle`.

        Args:
            client: Number of the client.

        Returns:
            Bits; a packet in transit counts in full.
        """
        left_bits = float(self._left_bits[client])
        if self._packets is None:
            return left_bits
        return self._packets[client].open_bits(float(self._run_bits[client]) - left_bits)

    def _refresh(self, started: int | None = None) -> None:
        """Update fraction, rate and loss of all transmitting clients, and set the alarm."""
        if self._follow_gain():
            self._evaluate()
        fraction, rate, loss = self._given()
        new_loss = self._sending & (loss != self._loss)
        # Bits are counted at the old rate before a new one holds.
        changed = self._sending & ((rate != self._rate) | (fraction != self._fraction)) | new_loss
        if started is not None:
            changed[started] = new_loss[started] = True
        clients = np.flatnonzero(changed)
        self._count_off(clients)
        self._fraction = fraction
        self._rate = rate
        self._loss = loss
        if self._packets is not None:
            for client in np.flatnonzero(new_loss):
                self._aim(int(client))
        left_bits, bps = self._left_bits[clients], rate[clients]
        seconds = np.where(left_bits > 0, np.inf, 0.0)
        np.divide(left_bits, bps, out=seconds, where=bps > 0)
        self._ends_s[clients] = self._since_s[clients] + seconds
        self._set_alarm()

    def _evaluate(self) -> None:
        """Evaluate the link at the current gain: over the whole band and at the plan's fractions.

        Only a noise density makes the efficiency depend on the fraction.
        """
        if self._scenario.noise_density_w_per_hz is None:
            self._whole_rates = self._at(self._whole)
        self._planned = self._rates(self._weight)

    def _given(self) -> tuple[Array, Array, Array]:
        """Current fractions, rates and losses.

        More band may carry less where it takes the SNR below a row of a table, or into packet
        errors: a client then uses its allocated fraction only.
        """
        fraction = self._fractions()
        if not self._conserving:
            return fraction, *self._planned
        given = (fraction, *self._rates(fraction))
        link = self._scenario.link
        if self._scenario.noise_density_w_per_hz is None or link.plans_shannon:
            return given
        own = (self._weight, *self._planned)
        worse = given[1] * (1.0 - given[2]) < own[1] * (1.0 - own[2])
        fraction, rate, loss = (np.where(worse, *both) for both in zip(own, given, strict=True))
        return fraction, rate, loss

    def _rates(self, fraction: Array) -> tuple[Array, Array]:
        """Rate and loss of each client at its fraction of the band."""
        if self._scenario.noise_density_w_per_hz is not None:
            return self._at(fraction)
        rate, loss = self._whole_rates
        return fraction * rate, loss

    def _at(self, fraction: Array) -> tuple[Array, Array]:
        rate = sending_rate_bps(self._scenario, self._channel, self._gain, fraction)
        if self._packets is None:
            return rate, self._loss
        return rate, packet_loss(self._scenario, self._channel, self._gain, fraction)

    def _fractions(self) -> Array:
        """Current fractions of the band.

        The allocated ones under `static`; under `work-conserving` the band is divided among the
        transmitting clients.
        """
        if not self._conserving:
            return self._weight
        weight = np.where(self._sending, self._weight, 0.0)
        if weight.sum() == 0.0:
            weight = self._sending.astype(np.float64)
        fraction: Array = weight / max(weight.sum(), np.finfo(np.float64).tiny)
        return fraction

    def _follow_gain(self) -> bool:
        """Advance to the current coherence block; True when it is a new one."""
        if self._env.now < self._border_s:
            return False
        assert self._coherence_s is not None
        assert self._channel.block_gain is not None
        block = max(int(self._env.now / self._coherence_s), self._block + 1)
        if (block + 1) * self._coherence_s <= self._env.now:  # the quotient was rounded down
            block += 1
        self._block = min(block, LAST_BLOCK)
        self._border_s = (block + 1) * self._coherence_s if block < LAST_BLOCK else np.inf
        self._gain = self._channel.block_gain(self._block)
        return True

    def _count_off(self, clients: NDArray[np.intp]) -> None:
        """Count bits and seconds of some transmitting clients up to now, at their old rates."""
        rate = self._rate[clients]
        transmit_s = np.where(rate > 0, self._env.now - self._since_s[clients], 0.0)
        self._left_bits[clients] = np.maximum(self._left_bits[clients] - transmit_s * rate, 0.0)
        self.air_s[clients] += transmit_s
        self.band_s[clients] += transmit_s * self._fraction[clients]
        self._since_s[clients] = self._env.now

    def _aim(self, client: int) -> None:
        """Compute the bits to the client's next loss, from within the packet in transit."""
        assert self._packets is not None
        packets = self._packets[client]
        sent_bits = packets.pass_by(self._run_bits[client] - self._left_bits[client])
        self._run_bits[client] = packets.run_bits(float(self._loss[client]))
        self._left_bits[client] = max(self._run_bits[client] - sent_bits, 0.0)

    def _set_alarm(self) -> None:
        next_s = float(self._ends_s.min())
        if self._border_s < next_s and self._sending.any():
            next_s = self._border_s
        self._alarm = None
        if next_s < np.inf:
            self._alarm = self._env.timeout(next_s - self._env.now)
            self._alarm.callbacks.append(self._wake)

    def _wake(self, alarm: simpy.Event) -> None:
        if alarm is not self._alarm:  # an outdated alarm: a later event has set another one
            return
        ended = np.flatnonzero(self._sending & (self._ends_s <= self._env.now))
        self._count_off(ended)
        left = [self._end_run(int(client)) for client in ended]
        if any(left) or self._env.now >= self._border_s:
            self._refresh()
        else:
            self._set_alarm()

    def _end_run(self, client: int) -> bool:
        """End a client's run of packets; True if its upload has ended too."""
        outcome = "uploaded" if self._packets is None else self._packets[client].end_run()
        if outcome in ("block lost", "under way"):
            if outcome == "block lost":
                self._note(client, outcome)
            self._run_bits[client] = self._left_bits[client] = 0.0
            self._aim(client)
            self._ends_s[client] = self._env.now + self._left_bits[client] / self._rate[client]
            return False
        through = self._through[client]
        self._remove(client)
        assert through is not None
        through.succeed(outcome == "uploaded")
        return True

    def _remove(self, client: int) -> None:
        self._sending[client] = False
        self._through[client] = None
        self._ends_s[client] = np.inf
