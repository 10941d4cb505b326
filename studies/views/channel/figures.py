"""The figure of a channel model: path loss, positions, fading, and the distribution of gains."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.report.curves import COLOURS, LINES
from studies.report.isolated import points
from studies.report.output import new_figure
from studies.views.channel.channel import PERCENTILES, ChannelView, in_db
from wirelessfl.units import db_to_linear
from wirelessfl.values import Array

SHOWN = 4  # number of clients whose fading is drawn
SHOWN_ROUNDS = 60
SIGHT = {True: ("line of sight", COLOURS[2], "o"), False: ("no line of sight", COLOURS[1], "s")}


def draw_channel(view: ChannelView) -> Any:
    """Draw four panels.

    Where a model has no distances or positions, its clients are drawn by number.

    Args:
        view: The sampled channel.

    Returns:
        A matplotlib figure.
    """
    figure = new_figure(10.0, 8.0)
    figure.get_layout_engine().set(wspace=0.06, hspace=0.04)
    loss, positions, fading, spread = figure.subplots(2, 2).flat
    shown = _shown(view)
    _draw_loss(loss, view)
    _draw_positions(positions, view, shown)
    _draw_fading(fading, view, shown)
    _draw_spread(spread, view, shown)
    for axes in (loss, positions, fading, spread):
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    scenario = view.scenario
    about = (
        f"{scenario.clients} clients, {scenario.bandwidth_hz / 1e6:g} MHz, "
        f"{len(view.gain)} rounds, seed {view.seed}"
    )
    figure.suptitle(f"{view.name}: {about}", fontsize="medium")
    return figure


def _shown(view: ChannelView) -> NDArray[np.int64]:
    """A few clients from the best to the worst mean gain."""
    order = np.argsort(-view.mean_gain[0], kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))
    chosen: NDArray[np.int64] = order[places]
    return chosen


def _draw_loss(axes: Any, view: ChannelView) -> None:
    """Path loss of the clients and of the model over distance on the left, SNR on the right."""
    _draw_points(
        axes, view, np.arange(view.scenario.clients) if view.distance_m is None else view.distance_m
    )
    axes.set(ylabel="path loss (dB)", title="Path loss (solid, clients: points) and SNR (dashed)")
    if view.distance_m is None:
        axes.set(xlabel="client", title="Path loss")
        return
    to = "farthest neighbour" if view.adjacency is not None else "base station"
    axes.set(xlabel=f"distance to the {to} (m)")
    axes.xaxis.get_major_locator().set_params(nbins=7)
    nearest, farthest = 0.9 * view.distance_m.min(), 1.1 * view.distance_m.max()
    distance_m = np.geomspace(nearest, farthest, 200)
    curves = view.loss_curves_db(distance_m)
    right = axes.twinx()
    right.set_ylabel("SNR at the mean gain (dB)")
    over_path = float(np.median(view.mean_gain[0] / view.path_gain))  # gain of the antennas
    for number, (name, loss_db) in enumerate(curves.items()):
        colour = _curve_colour(name, number)
        axes.plot(distance_m, loss_db, color=colour, label=name)
        right.plot(
            distance_m,
            _snr_db(view, db_to_linear(-loss_db), over_path),
            color=colour,
            linestyle="--",
        )
    if not curves:
        right.plot(view.distance_m, view.snr_db, "x", color="0.4")
        axes.set_title("Path loss (points) and SNR (crosses)")
    _legend(axes)


def _draw_points(axes: Any, view: ChannelView, place: NDArray[Any]) -> None:
    """The path loss of each client, by line of sight where the model knows it."""
    if view.line_of_sight is None:
        axes.plot(place, view.path_loss_db, "o", color="0.25", markersize=4, label="clients")
        return
    for sight, (_, colour, marker) in SIGHT.items():
        these = view.line_of_sight == sight
        if these.any():
            axes.plot(
                place[these],
                view.path_loss_db[these],
                marker,
                color=colour,
                markersize=4,
                label="_client",
            )


def _curve_colour(name: str, number: int) -> str:
    by_name = {label: colour for label, colour, _ in SIGHT.values()}
    return by_name.get(name, COLOURS[number % len(COLOURS)])


def _snr_db(view: ChannelView, path_gain: Array, over_path: float) -> Array:
    """SNR over the band of an average client at a path gain; (n,)."""
    per_client = np.repeat(path_gain[:, None], view.scenario.clients, axis=1)
    mean: Array = view.snr_db_at(over_path * per_client, per_client).mean(axis=1)
    return mean


def _draw_positions(axes: Any, view: ChannelView, shown: NDArray[np.int64]) -> None:
    """A map of the clients around the base station; without positions, SNR and its spread."""
    if view.position_m is None:
        _draw_snr(axes, view)
        return
    x, y = view.position_m.T
    if view.adjacency is None:
        axes.plot(0, 0, "^", color="black", markersize=9, label="base station")
    else:
        for one, other in np.argwhere(np.triu(view.adjacency)):
            axes.plot(x[[one, other]], y[[one, other]], color="0.75", linewidth=0.8, zorder=1)
    if view.line_of_sight is None:
        axes.plot(x, y, "o", color=COLOURS[0], markersize=5, label="client")
    else:
        for sight, (label, colour, marker) in SIGHT.items():
            these = view.line_of_sight == sight
            if these.any():
                axes.plot(x[these], y[these], marker, color=colour, markersize=5, label=label)
    for client in shown:
        axes.annotate(
            str(client),
            (x[client], y[client]),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize="small",
        )
    axes.set(
        xlabel="x (m)",
        ylabel="y (m)",
        title="Positions of the clients in the first round",
        aspect="equal",
    )
    axes.set_adjustable("datalim")
    _legend(axes)


def _draw_snr(axes: Any, view: ChannelView) -> None:
    low, middle, high = np.percentile(view.fading_db, PERCENTILES, axis=0) + view.snr_db
    axes.errorbar(
        np.arange(view.scenario.clients),
        middle,
        yerr=[middle - low, high - middle],
        fmt="o",
        color=COLOURS[0],
        markersize=4,
        capsize=3,
    )
    axes.set(
        xlabel="client",
        ylabel="SNR over the band (dB)",
        title="SNR: median, 5 % and 95 % of the rounds",
    )


def _draw_fading(axes: Any, view: ChannelView, shown: NDArray[np.int64]) -> None:
    first = view.fading_db[:SHOWN_ROUNDS]
    rounds = np.arange(1, len(first) + 1)
    for number, client in enumerate(shown):
        look = {"color": COLOURS[number], "linestyle": LINES[number], "linewidth": 1.1}
        gain_db = first[:, client]
        axes.plot(rounds, gain_db, label=f"client {client}", **look, **points(gain_db))
    axes.set(
        xlabel="round",
        ylabel="gain over mean gain (dB)",
        title="Fading: gain over the mean gain of its round",
    )
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -1.0), max(high, 1.0))
    _legend(axes)


def _draw_spread(axes: Any, view: ChannelView, shown: NDArray[np.int64]) -> None:
    """Empirical distribution of the gain over all rounds."""
    gain_db = in_db(view.gain)
    axes.ecdf(gain_db.ravel(), color="black", linewidth=1.6, label="all clients")
    for number, client in enumerate(shown):
        look = {"color": COLOURS[number], "linestyle": LINES[number], "linewidth": 1.1}
        axes.ecdf(gain_db[:, client], label=f"client {client}", **look)
    axes.set(
        xlabel="gain (dB)",
        ylabel="fraction of rounds below",
        title="Gain over all rounds",
        ylim=(0, 1),
    )
    axes.xaxis.get_major_locator().set_params(nbins=7)
    _legend(axes)


def _legend(axes: Any) -> None:
    """A legend in one line below the panel."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        look = {"fontsize": "small", "frameon": False, "columnspacing": 1.0, "handlelength": 1.6}
        axes.legend(
            handles,
            labels,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.13),
            ncols=len(labels),
            **look,
        )
