"""Tables of one run, for the terminal."""

import json
import tomllib
from pathlib import Path
from typing import Any

from rich.table import Table

from studies.report.one_run.fairness import Fairness
from studies.report.scores import score_label
from studies.report.terminal import terminal
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.text import printable

MOST_ROWS = 20  # clients of a round, so that the summary above them stays visible


def print_run(path: Path, deadline_s: float) -> None:
    """The summary of a complete run and its last round, client by client."""
    folder = RunFolder.open(path)
    summary = json.loads(folder.summary_file.read_text())
    console = terminal()
    training = tomllib.loads(folder.experiment_file.read_text()).get("training", {})
    console.print(_summary_table(summary, deadline_s, score_label(training), _spread(folder)))
    last = folder.last_record()
    assert last is not None  # of a complete run
    console.print(_round_table(last))
    if (more := len(last["clients"]) - MOST_ROWS) > 0:
        console.print(f"{more} more clients: {folder.rounds_file}", soft_wrap=True)
    console.print(f"run folder: {printable(str(path))}", soft_wrap=True)
    for plot in sorted(folder.plots.glob("*.png")):
        console.print(f"plot:       {printable(str(plot))}", soft_wrap=True)


def _spread(folder: RunFolder) -> dict[str, str]:
    """Rows on the spread of the last evaluation over the clients, where it is recorded."""
    rows = folder.rows("accuracy")
    if not rows:
        return {}
    last = Fairness.of(rows[-1]["accuracy"])
    return {
        "worst 10 % of clients / deviation": (
            f"{last.worst_tenth:.2%} / {last.standard_deviation:.2%}"
        )
    }


def _summary_table(
    summary: dict[str, Any], deadline_s: float, score: str, spread: dict[str, str]
) -> Table:
    table = Table("quantity", "value", title=f"{summary['rounds']} rounds")
    ends = {name: summary[name] for name in ("stopped", "interrupted") if name in summary}
    rows = {
        **ends,
        f"{score}, last / best": _pair(summary["final_accuracy"], summary["best_accuracy"]),
        **spread,
        "training loss, last round": _number(summary["final_loss"]),
        "simulated time": f"{summary['clock_s']:.3f} s",
        "mean round": f"{1e3 * summary['mean_round_s']:.3f} ms",
        "longest latency / deadline": (
            f"{1e3 * summary['max_latency_s']:.3f} / {1e3 * deadline_s:.3f} ms"
        ),
        "late clients per round": f"{summary['late_per_round']:.2f}",
        **_misses(summary),
        "mean pruning ratio": f"{summary['mean_pruning_ratio']:.3f}",
        "starved clients per round": f"{summary['starved_per_round']:.2f}",
        "uplink": f"{summary['uplink_bits'] / 1e6:.2f} Mbit",
        "downlink": f"{summary['downlink_bits'] / 1e6:.2f} Mbit",
        "training": f"{summary['flops'] / 1e9:.2f} GFLOP",
        "energy": "none" if summary["energy_j"] is None else f"{summary['energy_j']:.2f} J",
    }
    for quantity, value in rows.items():
        table.add_row(quantity, value)
    return table


def _misses(summary: dict[str, Any]) -> dict[str, str]:
    """Rows that are shown only if the value is above 0: misses, losses, retransmissions."""
    rows = {
        "deadline misses": (summary["miss_rate"], f"{summary['miss_rate']:.2%} of client-rounds"),
        "lost clients per round": (summary["lost_per_round"], f"{summary['lost_per_round']:.2f}"),
        "retransmissions": (summary["retransmissions"], str(summary["retransmissions"])),
    }
    return {quantity: text for quantity, (value, text) in rows.items() if value > 0}


def _round_table(record: dict[str, Any]) -> Table:
    columns = ("client", "band %", "pruned %", "latency ms", "in time", "upload kbit")
    table = Table(*columns, title=f"round {record['round']}")
    for column in table.columns[1:]:
        column.justify = "right"
    for client, fraction in enumerate(record["bandwidth_fraction"][:MOST_ROWS]):
        table.add_row(
            str(record["clients"][client]),
            f"{100 * fraction:.2f}",
            f"{100 * record['pruning_ratio'][client]:.2f}",
            _latency(record["latency_s"][client]),
            "yes" if record["delivered"][client] else "no",
            f"{record['uplink_bits'][client] / 1e3:.1f}",
        )
    return table


def _latency(seconds: float | None) -> str:
    return "lost" if seconds is None else f"{1e3 * seconds:.3f}"


def _pair(last: float | None, best: float | None) -> str:
    return "none" if last is None or best is None else f"{last:.2%} / {best:.2%}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
