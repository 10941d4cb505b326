"""Results of the training benchmark: rows, targets, table, figure, JSON."""

import csv
import json
import math
from dataclasses import asdict, dataclass, fields

import matplotlib.pyplot as plt
import torch

from training.structure.layout import Layout
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from wirelessfl import plugins
from wirelessfl.records import strict_json

PEAK_FLOPS = {
    "H200": {"float32": 67e12, "bfloat16": 989e12},
    "H100": {"float32": 67e12, "bfloat16": 989e12},
}
MOST_GAP = 1e-2  # of losses, relative; the same work gives less
OVERHEAD_S = 0.15
SERVER_S = 0.15  # CPU time of [CA-HFP]'s server in a round
TOP_K_S = 0.025
COMPACT = {("cnn", "50%"): 3.3, ("vgg16", "50%"): 3.3, ("resnet20", "50%"): 1.3}
COMPACT |= {("cnn", "75%"): 6.0, ("vgg16", "75%"): 10.0, ("resnet20", "75%"): 1.5}
SPEEDUP = {
    "cnn": 1.4,
    "cnn, 10 x 128, batch 32": 1.5,
    "resnet20": 1.4,
    "mlp": 3.0,
    "logistic": 15.0,
}
AGENTS_SPEEDUP = 1.6
CUDA_SPEEDUP = {"cnn": 5.0, "mlp": 20.0, "logistic": 20.0}
CUDA_ROUND_S = {"vgg16": 1.0, "resnet32": 0.6}  # 300 rounds in 5 and in 3 minutes


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """One row of the table: medians of one method's seconds (of a round, a step, a call).

    Ratios are the first method's seconds of the same work over this one's: above 1 is faster.
    `loss_gap` is the largest relative difference of its losses to the first method's.
    """

    part: str
    work: str
    method: str
    wall_s: float = math.nan
    cpu_s: float = math.nan
    repeats: int = 0
    wall_ratio: float = math.nan
    cpu_ratio: float = math.nan
    loss_gap: float | None = None
    note: str = ""

    @classmethod
    def read(cls, line):
        """Read a row from the table on disk."""
        kinds = {field.name: field.type for field in fields(cls)}
        made = {
            name: value if kinds[name] is str else float(value or "nan")
            for name, value in line.items()
        }
        return cls(
            **(
                made
                | {
                    "repeats": int(made["repeats"]),
                    "loss_gap": made["loss_gap"] if line["loss_gap"] else None,
                }
            )
        )

    @property
    def model(self):
        return self.work.partition(",")[0]


@dataclass(frozen=True)
class Target:
    """A target and the measured value, by wall clock and, where meaningful, by CPU time."""

    name: str
    target: str
    wall: float
    cpu: float | None
    met: bool

    def __str__(self):
        cpu = "" if self.cpu is None else f" ({self.cpu:.3g} by CPU time)"
        state = "met   " if self.met else "MISSED"
        return f"{state}  {self.name}: {self.wall:.3g}{cpu}, target {self.target}"


def targets(rows, device):
    """The targets that the rows decide, by wall clock, or by CPU time for a single thread."""
    found = []
    there = [row for row in rows if row.repeats]
    works = dict.fromkeys(row.work for row in there if row.part == "rounds")
    for work in works:
        found += _round_targets(
            [row for row in there if row.part == "rounds" and row.work == work], device
        )
    for row in there:
        if row.part == "overhead" and row.method.startswith("ours") and ", 100 x" in row.work:
            found.append(
                Target(
                    "empty round, 100 clients, s",
                    f"<= {OVERHEAD_S}",
                    row.wall_s,
                    row.cpu_s,
                    row.wall_s <= OVERHEAD_S,
                )
            )
        if row.part == "server" and row.method == "ours":
            name = f"server of a round, {row.work}, s"
            found.append(
                Target(name, f"<= {SERVER_S}", row.wall_s, row.cpu_s, bool(row.cpu_s <= SERVER_S))
            )
        if row.part == "masks" and row.method.startswith("compact"):
            least = COMPACT.get((row.model, row.method.partition(" ")[2]))
            if least:
                name = f"{row.model} {row.method}, times dense"
                found.append(
                    Target(
                        name, f">= {least}", row.wall_ratio, row.cpu_ratio, row.cpu_ratio >= least
                    )
                )
        if row.part == "agents" and row.method == "ours, loop":
            found.append(
                Target(
                    f"{row.work}: times the naive loop",
                    f">= {AGENTS_SPEEDUP}",
                    row.wall_ratio,
                    row.cpu_ratio,
                    row.cpu_ratio >= AGENTS_SPEEDUP,
                )
            )
        if row.part == "topk" and row.method == "ours":
            name = f"exact top-k, {row.work}, s"
            found.append(
                Target(name, f"<= {TOP_K_S}", row.wall_s, row.cpu_s, row.wall_s <= TOP_K_S)
            )
    return found


def _round_targets(rows, device):
    """Our fastest executor against the fastest of each kind of others."""
    found = []
    model = rows[0].model
    work = rows[0].work
    least = SPEEDUP if device == "cpu" else CUDA_SPEEDUP if ", 50 x" in work else {}
    single = [row for row in rows if not _in_processes(row)]
    rivals = {  # by as many processes
        "the naive loop": ("naive, tensors", rows),
        "Flower": ("Flower", rows),
        "pfl in one process": ("pfl", single),
        "the best plain loop in one process": ("best", single),
    }
    for name, (start, compared) in rivals.items():
        wanted = least.get(work, least.get(model)) if start.startswith("naive") else 1.0
        wall, cpu = (_best(compared, start, key, "ours", key) for key in ("wall_s", "cpu_s"))
        if wanted and not math.isnan(wall):
            found.append(
                Target(f"{work}: times {name}", f">= {wanted:g}", wall, cpu, wall >= wanted)
            )
    if model in CUDA_ROUND_S and device != "cpu":
        best = min((row.wall_s for row in rows if "bfloat16" in row.method), default=math.nan)
        found.append(
            Target(
                f"{work}: bfloat16 round, s",
                f"<= {CUDA_ROUND_S[model]}",
                best,
                None,
                best <= CUDA_ROUND_S[model],
            )
        )
    return found


def _in_processes(row):
    """True for ours in several processes."""
    return row.method.startswith("ours") and ("workers" in row.method or "processes" in row.method)


def _best(rows, start, key, other, other_key):
    """The least value of the others relative to ours."""
    theirs = [getattr(row, key) for row in rows if row.method.startswith(start)]
    mine = [getattr(row, other_key) for row in rows if row.method.startswith(other)]
    return min(theirs) / min(mine) if theirs and mine else math.nan


def peak_note(work, row):
    """TFLOP of a round, and the fraction of the device's peak that was reached."""
    if not row.repeats:
        return row.note
    model = plugins.load("models", work.model)()
    structure = Structure.of(model, Layout.of(model))
    flops = structure.flops(SubModel.first(structure.widths)) * work.clients * work.samples
    device = torch.cuda.get_device_name()
    kind = "bfloat16" if "bfloat16" in row.method else "float32"
    peak = next((peaks[kind] for name, peaks in PEAK_FLOPS.items() if name in device), None)
    share = (
        ""
        if peak is None
        else f", floor {flops / peak:.3g} s, {flops / peak / row.wall_s:.1%} of the peak"
    )
    return f"{flops / 1e12:.3g} TFLOP a round{share}"


def show(row):
    """One line on the terminal."""
    if not row.repeats:
        print(f"{row.part:9}{row.work:44}{row.method:30}{row.note}", flush=True)
        return
    gap = "" if row.loss_gap is None else f"  loss gap {row.loss_gap:.0e}"
    wrong = "  DIFFERENT WORK" if (row.loss_gap or 0.0) > MOST_GAP else ""
    times = (
        f"{row.wall_s:10.4f} s wall {row.cpu_s:10.4f} s CPU "
        f"{row.wall_ratio:8.2f}x {row.cpu_ratio:8.2f}x CPU"
    )
    print(
        f"{row.part:9}{row.work:44}{row.method:30}{times}{gap}{wrong}  {row.note}".rstrip(),
        flush=True,
    )


def merge(rows, about, out):
    """Add rows and their circumstances to those of other parts and works by earlier runs."""
    table = out / "training.csv"
    described = out / "training.json"
    parts = set(about)
    again = {(row.part, row.work) for row in rows}
    older = []
    earlier = {}
    if table.exists() and described.exists():
        with table.open(newline="") as file:
            lines = csv.DictReader(line for line in file if not line.startswith("#"))
            older = [
                row
                for row in map(TrainingRow.read, lines)
                if row.part not in parts and (row.part, row.work) not in again
            ]
        earlier = {
            part: known
            for part, known in json.loads(described.read_text())["parts"].items()
            if part not in parts
        }
    return older + rows, earlier | about


def write(rows, about, found, out):
    """Table, figure and JSON."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "training.csv").open("w", newline="") as file:
        for part, known in about.items():
            file.write(
                f"# {part}: {'; '.join(f'{name} {value}' for name, value in known.items())}\n"
            )
        file.writelines(f"# {target}\n" for target in found)
        lines = csv.DictWriter(file, [field.name for field in fields(TrainingRow)])
        lines.writeheader()
        lines.writerows(
            {name: _short(value) for name, value in asdict(row).items()} for row in rows
        )
    described = {"parts": about, "targets": [asdict(target) for target in found]}
    (out / "training.json").write_text(strict_json.dumps(described) + "\n")
    draw(rows, out)
    return described


def _short(value):
    return (
        ""
        if value is None or value != value
        else f"{value:.6g}"
        if isinstance(value, float)
        else value
    )


def draw(rows, out):
    """Speed-ups over the first loop, empty rounds, and speed-ups by pruning ratio."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
    there = [row for row in rows if row.repeats]
    trained = [row for row in there if row.part == "rounds"]
    works = list(dict.fromkeys(r.work for r in trained))
    methods = list(dict.fromkeys(r.method for r in trained))
    for number, method in enumerate(methods):
        points = [
            (works.index(row.work), row.wall_ratio) for row in trained if row.method == method
        ]
        axes[0].plot(
            *zip(*points, strict=True),
            "os^Dv*Ph<>"[number % 10],
            color=f"C{number % 10}",
            label=method,
        )
    axes[0].axhline(1, color="0.7", linewidth=0.8)
    axes[0].set(
        yscale="log",
        ylabel=f"times {methods[0] if methods else ''}, wall clock",
        xticks=range(len(works)),
    )
    axes[0].set_xticklabels([work.replace(", ", "\n") for work in works], fontsize=7)
    empty = [row for row in there if row.part == "overhead"]
    for number, method in enumerate(dict.fromkeys(row.method for row in empty)):
        points = [
            (int(r.work.split(", ")[1].split(" ")[0]), r.wall_s)
            for r in empty
            if r.method == method
        ]
        axes[1].plot(*zip(*points, strict=True), "-" + "os^Dv*"[number % 6], label=method)
    axes[1].set(xscale="log", yscale="log", xlabel="clients", ylabel="seconds of an empty round")
    _sparse(axes[2], [row for row in there if row.part == "masks" and row.method != "dense"])
    for panel in axes:
        panel.grid(alpha=0.3)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=7)
    figure.savefig(out / "training.png", dpi=150)
    plt.close(figure)


def _sparse(panel, rows):
    for number, model in enumerate(dict.fromkeys(row.model for row in rows)):
        for kind, style in (("compact", "-o"), ("masked", ":s")):
            line = [r for r in rows if r.model == model and r.method.startswith(kind)]
            ratios = [float(row.method.split(" ")[1].rstrip("%")) / 100 for row in line]
            label = f"{model}, {kind}"
            panel.plot(
                ratios,
                [row.cpu_ratio for row in line],
                style,
                color=f"C{number}",
                markersize=4,
                label=label,
            )
    panel.axhline(1, color="0.7", linewidth=0.8)
    panel.set(
        yscale="log",
        xlabel="pruning ratio of channels or weights",
        ylabel="times dense, CPU time of a step",
    )
