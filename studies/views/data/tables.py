"""The tables of data sets and of a partition."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from studies.report.terminal import terminal
from studies.views.data.partition import PartitionView


def print_datasets(rows: list[dict[str, Any]], data_root: Path | None) -> None:
    """Print one row per data set, and where to get the missing ones."""
    table = Table(
        "data set", "train", "test", "shape", "classes", "where", box=SIMPLE_HEAD, padding=(0, 1)
    )
    for row in rows:
        shape = "x".join(map(str, row["shape"] or "-"))
        sizes = [f"{row[part]:,}" if row[part] else "-" for part in ("train", "test")]
        classes = {None: "-", 1: "a number"}.get(row["classes"], str(row["classes"]))
        where = "embedded" if row["embedded"] else ", ".join(row["found"]) or "-"
        table.add_row(row["name"], *sizes, shape, classes, where)
    console = terminal()
    console.print(table)
    console.print(
        f"folder: {data_root or 'none; give --data-root or set WIRELESSFL_DATA'}", soft_wrap=True
    )
    for row in rows:
        if not row["found"] and not row["embedded"]:
            console.print(
                f"{row['name']}: {row['origin'] or 'from outside'}", soft_wrap=True, highlight=False
            )


def print_partition(view: PartitionView) -> None:
    """Print samples and labels of each client, and their range over clients."""
    columns = [
        "client",
        "samples",
        "test samples",
        *(["labels held", "top label", "top share"] if view.labelled else []),
    ]
    table = Table(
        *columns,
        title=f"{view.dataset}, {view.partition}, seed {view.seed}",
        box=SIMPLE_HEAD,
        padding=0,
    )
    for column in table.columns[1:]:
        column.justify = "right"
    rows = view.rows()
    for row in rows:
        cells = [str(row[name]) for name in ("client", "samples", "test_samples")]
        if view.labelled:
            cells += [str(row["labels_held"]), str(row["top_label"]), f"{row['top_share']:.0%}"]
        table.add_row(*cells)
    console = terminal()
    console.print(table)
    sizes = view.samples
    line = (
        f"{len(sizes)} clients, {sizes.sum()} samples: "
        f"{sizes.min()} to {sizes.max()}, median {np.median(sizes):g}"
    )
    if view.labelled:
        line += f"; mean top share {np.mean([row['top_share'] for row in rows]):.0%}"
    console.print(line, soft_wrap=True)
    if view.provenance:
        console.print(f"data: {view.provenance}", soft_wrap=True)
