"""Tables of one run or of one round's allocation, for the terminal."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from wirelessfl.records import RunFolder
from wirelessfl.units import linear_to_db


def print_run(path: Path, deadline_s: float) -> None:
    """The summary of a complete run and its last round, client by client."""
    folder = RunFolder.open(path)
    summary = json.loads(folder.summary_file.read_text())
    console = Console()
    console.print(_summary_table(summary, deadline_s))
    console.print(_round_table(folder.records()[-1]))
    console.print(f"run folder: {path}", soft_wrap=True)
    for plot in sorted(folder.plots.glob("*.png")):
        console.print(f"plot:       {plot}", soft_wrap=True)


def _summary_table(summary: dict[str, Any], deadline_s: float) -> Table:
    table = Table("quantity", "value", title=f"{summary['rounds']} rounds")
    rows = {
        "accuracy, last / best": _pair(summary["final_accuracy"], summary["best_accuracy"]),
        "training loss, last round": _number(summary["final_loss"]),
        "simulated time": f"{summary['clock_s']:.3f} s",
        "mean round": f"{1e3 * summary['mean_round_s']:.3f} ms",
        "longest latency / deadline": f"{1e3 * summary['max_latency_s']:.3f} / {1e3 * deadline_s:.3f} ms",
        "late clients per round": f"{summary['late_per_round']:.2f}",
        "mean pruning ratio": f"{summary['mean_pruning_ratio']:.3f}",
        "starved clients per round": f"{summary['starved_per_round']:.2f}",
        "uplink": f"{summary['uplink_bits'] / 1e6:.2f} Mbit",
        "downlink": f"{summary['downlink_bits'] / 1e6:.2f} Mbit",
        "training": f"{summary['flops'] / 1e9:.2f} GFLOP",
        "energy": f"{summary['energy_j']:.2f} J",
    }
    for quantity, value in rows.items():
        table.add_row(quantity, value)
    return table


def _round_table(record: dict[str, Any]) -> Table:
    columns = ("client", "band %", "pruned %", "latency ms", "in time", "upload kbit")
    table = Table(*columns, title=f"round {record['round']}")
    for column in table.columns[1:]:
        column.justify = "right"
    for client, fraction in enumerate(record["bandwidth_fraction"]):
        table.add_row(
            str(client),
            f"{100 * fraction:.2f}",
            f"{100 * record['pruning_ratio'][client]:.2f}",
            f"{1e3 * record['latency_s'][client]:.3f}",
            "yes" if record["delivered"][client] else "no",
            f"{record['uplink_bits'][client] / 1e3:.1f}",
        )
    return table


def _pair(last: float | None, best: float | None) -> str:
    return "none" if last is None or best is None else f"{last:.2%} / {best:.2%}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def print_allocation(allocation: Any, certificate: Any, channel: Any, deadline_s: float) -> None:
    """One round's allocation, client by client, then prices and certificate."""
    console = Console()
    columns = ("client", "gain dB", "band %", "pruned %", "latency ms", "status")
    table = Table(*columns, title=f"allocation for a deadline of {1e3 * deadline_s:g} ms")
    for column in table.columns[1:5]:
        column.justify = "right"
    late_s = deadline_s * (1.0 + 1e-9)
    for client, status in enumerate(allocation.status):
        latency_s = allocation.latency_s[client]
        table.add_row(
            str(client),
            f"{float(linear_to_db(channel.gain[client])):.1f}",
            f"{100 * allocation.bandwidth_fraction[client]:.2f}",
            f"{100 * allocation.pruning_ratio[client]:.2f}",
            f"{1e3 * latency_s:.3f}" + (" late" if latency_s > late_s else ""),
            str(status),
        )
    console.print(table)
    console.print(f"mean pruning ratio {allocation.pruning_ratio.mean():.4f}")
    console.print(
        f"prices: {float(allocation.bandwidth_price):.4g} clients' models per band, "
        f"{float(allocation.deadline_price) / 1e3:.4g} per millisecond of deadline",
        soft_wrap=True,
    )
    console.print(
        f"certificate: primal residual {float(certificate.primal_residual):.1e}, "
        f"stationarity {float(certificate.stationarity):.1e}, "
        f"complementarity {float(certificate.complementarity):.1e}, duality gap {float(certificate.duality_gap):.1e}",
        soft_wrap=True,
    )
    if allocation.reason:
        console.print(f"infeasible: {allocation.reason}", soft_wrap=True)
