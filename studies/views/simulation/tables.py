"""Tables of a simulation for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from studies.report.terminal import terminal
from studies.views.simulation.simulation import PERCENTILES

MOST_CLIENTS = 20  # for more clients the distribution over all is more informative than a table


def print_simulation(found: Mapping[str, Any]) -> None:
    """Print latencies, rates and energy, and every client if there are few.

    Args:
        found: The result of `summary`.
    """
    console = terminal()
    console.print(_latency(found))
    console.print(_quantities(found))
    console.print(_interval(found), soft_wrap=True)
    if found["clients"] <= MOST_CLIENTS:
        console.print(_clients(found["per_client"]))


def _latency(found: Mapping[str, Any]) -> Table:
    """Latencies as planned by the server and as simulated, over all clients and rounds."""
    columns = ("latency ms", "mean", *(f"{percent} %" for percent in PERCENTILES), "max")
    here = found["participants"]
    clients = found["clients"]
    present = f"{clients} clients" if here == clients else f"{here} of {clients} clients"
    table = _table(columns, f"{found['rounds']} rounds of {present}, {_deadline(found)}")
    for name, label in (("planned_s", "believed"), ("latency_s", "actual")):
        table.add_row(label, *(_ms(value) for value in found[name].values()))
    return table


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


def _quantities(found: Mapping[str, Any]) -> Table:
    table = Table("quantity", "value", box=SIMPLE_HEAD, padding=0)
    low, high = found["miss_rate_interval"]
    rows = {
        "client-rounds that missed": (
            f"{found['miss_rate']:.2%} (95 % interval {low:.2%} to {high:.2%})"
        ),
        "lost clients per round": f"{found['lost_per_round']:.2f}",
        "late updates that joined, per round": f"{found['late_joined_per_round']:.2f}",
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
    for quantity, value in rows.items():
        table.add_row(quantity, value)
    return table


def _clients(clients: list[dict[str, Any]]) -> Table:
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
    table = _table(
        columns, "per client: mean latency in ms, its 95 % quantile and maximum; energy per round"
    )
    for client in clients:
        latency = client["latency_s"]
        table.add_row(
            str(client["client"]),
            _ms(client["planned_s"]["mean"], 2),
            *(_ms(latency[name], 2) for name in ("mean", "percentile_95", "max")),
            f"{100 * client['miss_rate']:.1f}",
            str(client["lost"]),
            str(client["retransmissions"]),
            f"{100 * client['mean_pruning_ratio']:.1f}",
            f"{1e3 * client['energy_per_round_j']:.2f}",
        )
    return table


def _table(columns: tuple[str, ...], title: str) -> Table:
    table = Table(*columns, title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _ms(seconds: float | None, digits: int = 3) -> str:
    return "none" if seconds is None else f"{1e3 * seconds:.{digits}f}"
