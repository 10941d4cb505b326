"""Pictures of the pages of concepts, drawn from the product's own numbers.

python docs/make_pictures.py      writes docs/pictures/*.png
"""

import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path).resolve() != Path(__file__).parent]

import matplotlib.pyplot as plt
import numpy as np

import wirelessfl as wfl

HERE = Path(__file__).parent / "pictures"
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.6"  # Okabe and Ito
LOOK = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 110,
}


def save(figure, name):
    figure.savefig(HERE / f"{name}.png", metadata={"Software": None})
    plt.close(figure)


def phases(axes, problem, band, ratio, title):
    """Fixed work, prunable work and upload of each client under an allocation."""
    kept = 1.0 - ratio
    fixed, work = problem.fixed_s, kept * problem.prunable_s
    upload = np.zeros_like(band)
    np.divide(kept * problem.upload_bits, band * problem.rate_bps, out=upload, where=band > 0)
    clients, start = np.arange(band.size), np.zeros(band.size)
    parts = (
        ("work that pruning does not shorten", fixed, GREY),
        ("work on kept weights", work, BLUE),
        ("upload of kept weights", upload, ORANGE),
    )
    for label, seconds, colour in parts:
        axes.barh(clients, 1e3 * seconds, left=1e3 * start, color=colour, label=label)
        start = start + seconds
    deadline_ms = 1e3 * float(np.max(problem.deadline_s))
    axes.axvline(deadline_ms, color="black", linestyle="--", linewidth=1, label="deadline")
    axes.set(xlabel="ms from the start of the round", ylabel="client", title=title)
    axes.set_yticks(clients)
    axes.grid(visible=False, axis="y")


def deadline():
    """One round without and with pruning."""
    tables = {"scenario": {"deadline_s": 0.025, "bandwidth_hz": 3e6, "clients": 8}}
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 2.9), sharey=True, sharex=True)
    whole = wfl.allocate({**tables, "allocation": {"method": "min-latency"}})
    pruned = wfl.allocate({**tables, "allocation": {"method": "exact"}})
    for axes, found, title in (
        (left, whole, "whole models: every client is late"),
        (right, pruned, "pruned to the deadline"),
    ):
        phases(axes, found.problem, found.bandwidth_fraction, found.pruning_ratio, title)
    right.set_ylabel("")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    save(figure, "deadline")


def band_and_ratio():
    """Band against ratio of each client, best and equal bands."""
    tables = {"scenario": {"clients": 8, "bandwidth_hz": 3e6}}
    figure, (band, ratio) = plt.subplots(1, 2, figsize=(8.2, 2.7))
    for place, (method, colour) in enumerate((("exact", BLUE), ("equal", ORANGE))):
        found = wfl.allocate({**tables, "allocation": {"method": method}})
        clients = np.arange(found.pruning_ratio.size) + 0.4 * (place - 0.5)
        kept = found.kept_fraction.sum()
        label = f"{method}: {kept:.2f} models kept in all"
        band.bar(clients, 100 * found.bandwidth_fraction, 0.4, color=colour, label=label)
        ratio.bar(clients, 100 * found.pruning_ratio, 0.4, color=colour)
    band.set(xlabel="client", ylabel="share of the band (%)")
    ratio.set(xlabel="client", ylabel="pruning ratio (%)", ylim=(0, 100))
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    save(figure, "band-and-ratio")


def masks():
    """Weights of a trained layer, their magnitudes' threshold and the mask at ratio 0.6."""
    run = wfl.run("digits", rounds=10)
    weights = run.model(0).state_dict()
    name = max((n for n in weights if weights[n].ndim == 2), key=lambda n: weights[n].numel())
    layer = weights[name].numpy()[:24, :48]
    largest = np.abs(layer) >= np.quantile(np.abs(layer), 0.6)
    figure, panels = plt.subplots(1, 3, figsize=(8.2, 1.9))
    limit = float(np.abs(layer).max())
    shown = (
        (layer, "weights of a layer", "RdBu", (-limit, limit)),
        (largest, "mask at ratio 0.6", "Greys", (0, 1)),
        (np.where(largest, layer, 0), "what is trained and sent", "RdBu", (-limit, limit)),
    )
    for axes, (image, title, colours, limits) in zip(panels, shown, strict=True):
        axes.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
        axes.set(title=title, xticks=[], yticks=[])
        axes.grid(visible=False)
    save(figure, "mask")


def prices():
    """Models kept over the bandwidth, and the price as the slope of the curve."""
    tables = {"scenario": {"clients": 10}}
    bands = np.linspace(1e6, 8e6, 29)
    kept = [
        wfl.allocate({"scenario": {**tables["scenario"], "bandwidth_hz": float(b)}}).kept_fraction
        for b in bands
    ]
    total = np.array([values.sum() for values in kept])
    here = 3e6
    at = wfl.allocate({"scenario": {**tables["scenario"], "bandwidth_hz": here}})
    slope = float(at.bandwidth_price) / here
    figure, axes = plt.subplots(figsize=(4.6, 2.9))
    axes.plot(bands / 1e6, total, color=BLUE)
    near = np.array([1.5e6, 5e6])
    kept_here = at.kept_fraction.sum()
    axes.plot(near / 1e6, kept_here + slope * (near - here), color=ORANGE, linewidth=1.5)
    axes.plot([here / 1e6], [kept_here], "o", color=ORANGE)
    axes.annotate(
        f"slope = price:\n{1e6 * slope:.2f} models per MHz",
        (here / 1e6, kept_here),
        (3.6, kept_here - 1.6),
        color=ORANGE,
    )
    axes.set(xlabel="bandwidth (MHz)", ylabel="models kept, of 10", ylim=(0, 10))
    save(figure, "price")


def infeasibility():
    """Clients by status over the deadline."""
    spread = {"clients": 20, "cpu_hz": np.geomspace(1e8, 3e9, 20).tolist(), "bandwidth_hz": 1e7}
    deadlines = np.linspace(0.003, 0.07, 68)
    states = ("infeasible", "starved", "capped", "active", "unpruned")
    counts = []
    for seconds in deadlines:
        tables = {
            "scenario": {**spread, "deadline_s": float(seconds)},
            "allocation": {"max_pruning_ratio": 0.9},
        }
        try:
            status = wfl.allocate(tables).status.tolist()
        except wfl.InputError:
            status = ["infeasible"] * 20
        counts.append([status.count(state) for state in states])
    figure, axes = plt.subplots(figsize=(5.6, 2.9))
    colours = ("0.25", ORANGE, "#E69F00", BLUE, GREEN)
    axes.stackplot(1e3 * deadlines, np.array(counts).T, labels=states, colors=colours)
    axes.set(xlabel="deadline (ms)", ylabel="clients", ylim=(0, 20), xlim=(3, 70))
    axes.set_yticks(range(0, 21, 4))
    figure.legend(loc="outside right upper", fontsize=8)
    save(figure, "infeasible")


def planned_and_actual():
    """Planned and actual latency under a truth that the plan knows and one that it does not."""
    figure, panels = plt.subplots(1, 2, figsize=(8.2, 2.9), sharey=True)
    for axes, csi, title in zip(
        panels, ("perfect", "mean"), ("the gain is known", "only its mean is known"), strict=True
    ):
        run = wfl.simulate(
            {"channel": {"model": "rayleigh", "csi": csi}, "scenario": {"clients": 10}}, rounds=60
        )
        latency = 1e3 * run.series("latency_s").ravel()
        axes.hist(np.clip(latency, 0, 60), bins=np.arange(0, 61, 1.5), color=BLUE)
        axes.axvline(25, color="black", linestyle="--", linewidth=1)
        late = np.mean(latency > 25 * (1 + 1e-9))
        axes.set(xlabel="actual latency (ms)", title=f"{title}: {100 * late:.0f} % late")
    panels[0].set_ylabel("client-rounds")
    save(figure, "planned-and-actual")


def randomness():
    """Kept models of many rounds, for several seeds: positions stay, fading is new."""
    figure, axes = plt.subplots(figsize=(5.6, 2.9))
    for place, seed in enumerate(range(8)):
        run = wfl.simulate("physical", rounds=40, seed=seed)
        kept = (1 - run.series("pruning_ratio")).mean(axis=1)
        spread = np.random.default_rng(0).uniform(-0.18, 0.18, kept.size)
        axes.plot(place + spread, kept, ".", color=BLUE, alpha=0.5)
        axes.plot([place - 0.3, place + 0.3], [kept.mean()] * 2, color=ORANGE)
    axes.set(xlabel="seed (a drop of the clients)", ylabel="mean kept fraction of a round")
    axes.set_xticks(range(8))
    save(figure, "randomness")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    with plt.rc_context(LOOK):
        for draw in (
            deadline,
            band_and_ratio,
            masks,
            prices,
            infeasibility,
            planned_and_actual,
            randomness,
        ):
            draw()
