"""The tables of data sets and of a partition."""

from pathlib import Path
from typing import Any

import numpy as np

from studies.report.terminal import print_table, print_text, terminal
from studies.views.data.partition import PartitionView


def print_datasets(rows: list[dict[str, Any]], data_root: Path | None) -> None:
    """Print one row per data set, and where to get the missing ones."""
    printed = []
    for row in rows:
        shape = "x".join(map(str, row["shape"] or "-"))
        sizes = [f"{row[part]:,}" if row[part] else "-" for part in ("train", "test")]
        classes = {None: "-", 1: "a number"}.get(row["classes"], str(row["classes"]))
        where = "embedded" if row["embedded"] else ", ".join(row["found"]) or "-"
        printed.append([row["name"], *sizes, shape, classes, where])
    headings = ("data set", "train", "test", "shape", "classes", "where")
    print_table(headings, printed, left=("where",))
    console = terminal()
    console.print(
        f"folder: {data_root or 'none; give --data-root or set WIRELESSFL_DATA'}", soft_wrap=True
    )
    for row in rows:
        if not row["found"] and not row["embedded"]:
            print_text(f"{row['name']}: {row['origin'] or 'from outside'}")


def print_partition(view: PartitionView) -> None:
    """Print samples and labels of each client, and their range over clients."""
    columns = [
        "client",
        "samples",
        "test samples",
        *(["labels held", "top label", "top share"] if view.labelled else []),
    ]
    rows = view.rows()
    printed = []
    for row in rows:
        cells = [str(row[name]) for name in ("client", "samples", "test_samples")]
        if view.labelled:
            cells += [str(row["labels_held"]), str(row["top_label"]), f"{row['top_share']:.0%}"]
        printed.append(cells)
    print_table(columns, printed, title=f"{view.dataset}, {view.partition}, seed {view.seed}")
    sizes = view.samples
    line = (
        f"{len(sizes)} clients, {sizes.sum()} samples: "
        f"{sizes.min()} to {sizes.max()}, median {np.median(sizes):g}"
    )
    if view.labelled:
        line += f"; mean top share {np.mean([row['top_share'] for row in rows]):.0%}"
    print_text(line)
    if view.provenance:
        print_text(f"data: {view.provenance}")
