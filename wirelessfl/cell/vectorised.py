"""Many rounds at once in closed form, for cells without losses and waiting."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.cell.closed_form import busy_s, energy_j, phases
from wirelessfl.errors import InputError
from wirelessfl.values import ON_TIME, Array, ChannelState, Demand, Scenario

_AT_ONCE = 32_768  # client-rounds whose arrays stay in a core's cache


@dataclass(frozen=True, kw_only=True, eq=False)
class FastTimes:
    """Time and energy of many rounds; the fields have the meaning of those of `RoundTiming`.

    Attributes:
        download_s: Time of the download in s; (..., K).
        compute_s: Time of the computation in s; (..., K).
        upload_s: Time of the upload in s; (..., K).
        finish_s: Moment in s at which the client finishes; (..., K).
        delivered: True where the client finishes within the deadline; (..., K).
        energy_j: Energy of computation and transmission in J; (..., K).
        round_s: Moment in s at which the server can go on; (...,).
    """

    download_s: Array
    compute_s: Array
    upload_s: Array
    finish_s: Array
    delivered: NDArray[np.bool_]
    energy_j: Array
    round_s: Array


@dataclass(frozen=True, eq=False)
class _Shares:
    """Bandwidth and kept fractions of some rounds.

    Attributes:
        bandwidth_fraction: Fraction of the band; (..., K).
        kept_fraction: Kept fraction of the prunable part; (..., K).
        cpu_hz: CPU frequency in Hz: that of the scenario.
    """

    bandwidth_fraction: Array
    kept_fraction: Array
    cpu_hz: Array | None = None


def beyond_formula(scenario: Scenario) -> str | None:
    """Feature of the cell that the closed form does not cover.

    Args:
        scenario: Cell and clients.

    Returns:
        The first such feature as "field must be ..., got ..."; None when all are covered.
    """
    fields = {
        "packet_error": (scenario.link.packet_error, ("none",)),
        "bands": (scenario.medium.bands, ("static",)),
        "coherence_s": (scenario.medium.coherence_s, (None,)),
        "dropout_probability": (scenario.medium.dropout_probability, (0,)),
        "cpu": (scenario.processor.cpu, ("fixed", "dvfs")),
        "deadline_policy": (scenario.deadline_policy, ("wait", "drop")),
    }
    for name, (value, allowed) in fields.items():
        if value not in allowed:
            wanted = "left out" if allowed == (None,) else " or ".join(map(str, allowed))
            return f"scenario.{name} must be {wanted}, got {value}"
    return None


def round_times(
    scenario: Scenario,
    gain: ArrayLike,
    demand: Demand,
    bandwidth_fraction: ArrayLike,
    pruning_ratio: ArrayLike,
    *,
    path_gain: ArrayLike | None = None,
    participants: int | None = None,
) -> FastTimes:
    """Many rounds of `cell.simulate` at once, without a trace: max_k T_k, [WFL] eq. (16)-(18).

    Equal to the simulation by events to 1e-12.

    Args:
        scenario: Cell and clients.
        gain: Actual linear power gain; (..., K).
        demand: Weight updates and bits of every round; (K,).
        bandwidth_fraction: Fractions of the band; broadcast against `gain`.
        pruning_ratio: Pruning ratios; broadcast against `gain`.
        path_gain: Gain that open-loop power control follows; broadcast against `gain`, which it is
            unless given.
        participants: Number of clients among which power control divides the band; all K unless
            given.

    Returns:
        Time and energy; (..., K).

    Raises:
        InputError: The cell has packet errors, a shared band, coherence blocks, dropouts, a CPU
            that is not fixed or `late-next-round`, which have to be simulated, or shapes do not
            fit.
    """
    needs_events = beyond_formula(scenario)
    # A scaled frequency follows from the plan, which is not an argument.
    if scenario.processor.cpu != "fixed":
        needs_events = f"scenario.cpu must be fixed, got {scenario.processor.cpu}"
    if needs_events:
        raise InputError(
            f"{needs_events}: such rounds have to be simulated one by one, "
            "with wirelessfl.cell.simulate"
        )
    arrays = [np.asarray(a, dtype=np.float64) for a in (gain, bandwidth_fraction, pruning_ratio)]
    arrays.append(arrays[0] if path_gain is None else np.asarray(path_gain, dtype=np.float64))
    clients = scenario.clients
    try:
        shape = np.broadcast_shapes((clients,), *(array.shape for array in arrays))
    except ValueError:
        shape = (0,)
    if shape[-1] != clients:
        got = ", ".join(str(array.shape) for array in arrays[:3])
        raise InputError(
            f"gain, bandwidth_fraction, pruning_ratio must fit (..., {clients}), got {got}"
        )
    rows = [np.broadcast_to(array, shape).reshape(-1, clients) for array in arrays]
    per_client = np.empty((5, *rows[0].shape))
    round_s = np.empty(len(rows[0]))
    step = max(_AT_ONCE // clients, 1)
    for start in range(0, len(round_s), step):
        part = slice(start, start + step)
        round_s[part] = _fill(
            scenario, demand, [row[part] for row in rows], participants, per_client[:, part]
        )
    download_s, compute_s, upload_s, finish_s, energy_j = per_client.reshape(5, *shape)
    return FastTimes(
        download_s=download_s,
        compute_s=compute_s,
        upload_s=upload_s,
        finish_s=finish_s,
        delivered=finish_s <= scenario.deadline_s * ON_TIME,
        energy_j=energy_j,
        round_s=round_s.reshape(shape[:-1]),
    )


def _fill(
    scenario: Scenario, demand: Demand, rows: list[Array], participants: int | None, out: Array
) -> Array:
    """Write download, compute, upload, finish and energy of some rounds to `out` (5, R, K).

    The result is the end of each round; (R,).
    """
    gain, band, ratio, path_gain = rows
    channel = ChannelState(
        gain=gain, believed_gain=gain, path_gain=path_gain, participants=participants
    )
    planned = phases(scenario, channel, demand, _Shares(band, 1.0 - ratio))
    out[0] = planned.download_s
    out[2] = planned.upload_s
    np.add(planned.fixed_s, planned.prunable_s, out=out[1])
    np.add(planned.download_s + planned.fixed_s + planned.prunable_s, planned.upload_s, out=out[3])
    round_s: Array = out[3].max(axis=-1)
    if scenario.deadline_policy == "drop":
        round_s = np.where(round_s <= scenario.deadline_s * ON_TIME, round_s, scenario.deadline_s)
    cpu_s, transmit_s = busy_s(out[0], out[1], out[2], out[3], round_s[:, None])
    out[4] = energy_j(scenario, channel, scenario.per_client("cpu_hz"), cpu_s, transmit_s)
    return round_s
