"""Files of the page: the allocation as CSV, the scenario as TOML, pictures as PNG and SVG."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from studies.page.answer import PageAnswer
from studies.page.front import front
from studies.page.state import PageState
from studies.report.output import columns_text, render
from studies.report.style import figure_style
from wirelessfl.config.scenario_file import to_toml
from wirelessfl.errors import check_choice

PICTURES = ("allocation", "timeline", "front")
DOTS_PER_INCH = 200


@dataclass(frozen=True)
class File:
    """A file that the browser saves.

    Attributes:
        name: Its name.
        kind: Its media type.
        content: Its content.
    """

    name: str
    kind: str
    content: bytes


def file_of(state: PageState, name: str) -> File:
    """A file of a state.

    Args:
        state: The state.
        name: `allocation.csv`, `scenario.toml`, or a name of `PICTURES` with `.png` or `.svg`.

    Returns:
        The file, as the command line writes it.

    Raises:
        InputError: There is no such file, or the state is invalid.
    """
    tables = {"allocation.csv": _csv, "scenario.toml": _toml}
    pictures = [f"{one}.{suffix}" for one in PICTURES for suffix in ("png", "svg")]
    check_choice("file", name, (*tables, *pictures))
    if name in tables:
        return File(name, "text/plain; charset=utf-8", tables[name](state).encode())
    stem, _, suffix = name.partition(".")
    kind = {"png": "image/png", "svg": "image/svg+xml"}[suffix]
    dates = {"svg": {"Date": None}}  # the same bytes every time
    with figure_style(None):
        drawn = render(
            FIGURES[stem](state), format=suffix, dpi=DOTS_PER_INCH, metadata=dates.get(suffix)
        )
    return File(f"{state.scenario}-{name}", kind, drawn)


def _csv(state: PageState) -> str:
    """One row for each method and client, in SI units."""
    columns: dict[str, list[Any]] = {}
    answer = PageAnswer.of(state)
    for method, scheme in answer.schemes.items():
        allocation = scheme.planned.allocation
        timing = answer.cells[method].timing
        rows: Mapping[str, Any] = {
            "method": [method] * scheme.clients.size,
            "client": scheme.clients.tolist(),
            "gain": scheme.planned.channel.gain[scheme.clients].tolist(),
            "bandwidth_fraction": allocation.bandwidth_fraction.tolist(),
            "pruning_ratio": allocation.pruning_ratio.tolist(),
            "planned_s": allocation.latency_s.tolist(),
            "latency_s": timing.finish_s[scheme.clients].tolist(),
            "delivered": timing.delivered[scheme.clients].tolist(),
            "status": allocation.status.tolist(),
        }
        for name, values in rows.items():
            columns.setdefault(name, []).extend(values)
    return columns_text(columns)


def _toml(state: PageState) -> str:
    return to_toml(state.experiment)


def _allocation(state: PageState) -> Any:
    from studies.views.allocation.figures import draw_schemes

    return draw_schemes(PageAnswer.of(state).schemes, state.scenario)


def _timeline(state: PageState) -> Any:
    from studies.views.simulation.simulation import simulate
    from studies.views.simulation.timeline_figures import draw_timeline

    experiment = state.experiment
    one = replace(experiment, run=replace(experiment.run, rounds=1))
    return draw_timeline(simulate(one, seen=1), state.scenario)


def _front(state: PageState) -> Any:
    from studies.views.whatif.figures import draw_what_if

    found = front(state)
    title = f"{state.scenario}, {', '.join(found.methods)}, {found.draws} channel draws"
    return draw_what_if(found.result, {}, title, found.axes)


FIGURES: Mapping[str, Callable[[PageState], Any]] = {
    "allocation": _allocation,
    "timeline": _timeline,
    "front": _front,
}
