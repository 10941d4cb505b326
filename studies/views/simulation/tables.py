"""Tables of a simulation for the terminal."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from studies.report.terminal import print_table, print_text
from studies.views.simulation.simulation import PERCENTILES, Simulation

MOST_CLIENTS = 20  # for more clients the distribution over all is more informative than a table


def print_simulation(found: Mapping[str, Any]) -> None:
    """Print latencies, rates and energy, and every client if there are few.

    Args:
        found: The result of `summary`.
    """
    _print_latency(found)
    _print_quantities(found)
    print_text(_interval(found))
    if found["clients"] <= MOST_CLIENTS:
        _print_clients(found["per_client"])


def long_table(found: Simulation) -> dict[str, list[Any]]:
    """The rounds as columns, with a row per round and client; NaN for null.

    Args:
        found: The simulation.

    Returns:
        Columns of equal length.
    """
    rounds, clients = found.columns["clients"].shape
    names = ("planned_s", "latency_s", "pruning_ratio", "energy_j")
    counts = ("delivered", "earlier", "lost", "retransmissions")
    table: dict[str, list[Any]] = {
        "round": np.repeat(np.arange(1, rounds + 1), clients).tolist(),
        "client": found.columns["clients"].astype(int).ravel().tolist(),
    }
    table |= {name: found.columns[name].ravel().tolist() for name in names}
    return table | {name: found.columns[name].astype(int).ravel().tolist() for name in counts}


def _print_latency(found: Mapping[str, Any]) -> None:
    """Latencies as planned by the server and as simulated, over all clients and rounds."""
    columns = ("latency ms", "mean", *(f"{percent} %" for percent in PERCENTILES), "max")
    here = found["participants"]
    clients = found["clients"]
    present = f"{clients} clients" if here == clients else f"{here} of {clients} clients"
    rows = [
        [label, *(_ms(value) for value in found[name].values())]
        for name, label in (("planned_s", "believed"), ("latency_s", "actual"))
    ]
    print_table(columns, rows, title=f"{found['rounds']} rounds of {present}, {_deadline(found)}")


def _deadline(found: Mapping[str, Any]) -> str:
    return f"deadline {1e3 * found['deadline_s']:g} ms, policy {found['deadline_policy']}"


def _interval(found: Mapping[str, Any]) -> str:
    """The source of the spread in the interval of the miss rate."""
    rounds = found["rounds"]
    repeats = found["period_rounds"]
    worth = f"95 % interval over {rounds} rounds, worth {found['effective_rounds']:.0f} independent"
    if repeats is not None and repeats < rounds:
        worth += f": the channel starts over after {repeats}"
    return worth + (
        "; positions and all else that the channel draws once a run are those of one drop"
        if found["one_drop"]
        else ""
    )


def _print_quantities(found: Mapping[str, Any]) -> None:
    low, high = found["miss_rate_interval"]
    rows = {
        "client-rounds that missed": (
            f"{found['miss_rate']:.2%} (95 % interval {low:.2%} to {high:.2%})"
        ),
        "lost clients per round": f"{found['lost_per_round']:.2f}",
        "late updates joined per round": f"{found['late_joined_per_round']:.2f}",
        "retransmissions per round": f"{found['retransmissions_per_round']:.2f}",
        "band in use": f"{found['band_utilisation']:.1%}",
        "mean pruning ratio": f"{found['mean_pruning_ratio']:.3f}",
        "energy per round": f"{found['energy_per_round_j']:.4g} J",
        "energy per client and round": (
            f"{found['energy_per_round_j'] / found['participants']:.4g} J"
        ),
        "mean round": f"{1e3 * found['mean_round_s']:.3f} ms",
        "simulated time": f"{found['clock_s']:.3f} s",
    }
    print_table(("quantity", "value"), list(rows.items()), left=("value",))


def _print_clients(clients: list[dict[str, Any]]) -> None:
    columns = (
        "client",
        "planned",
        "actual",
        "95 %",
        "max",
        "missed %",
        "lost",
        "resent",
        "pruned %",
        "mJ",
    )
    rows = [
        [
            str(client["client"]),
            _ms(client["planned_s"]["mean"], 2),
            *(_ms(client["latency_s"][name], 2) for name in ("mean", "percentile_95", "max")),
            f"{100 * client['miss_rate']:.1f}",
            str(client["lost"]),
            str(client["retransmissions"]),
            f"{100 * client['mean_pruning_ratio']:.1f}",
            f"{1e3 * client['energy_per_round_j']:.2f}",
        ]
        for client in clients
    ]
    title = "per client: mean latency in ms, its 95 % quantile and maximum; energy per round"
    print_table(columns, rows, title=title)


def _ms(seconds: float | None, digits: int = 3) -> str:
    return "none" if seconds is None else f"{1e3 * seconds:.{digits}f}"
