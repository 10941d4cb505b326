"""The server of the page: static files, answers as JSON, downloads; no state of its own.

Addresses: `/` and `/runs` are the two tabs; `/answer`, `/repairs`, `/front`, `/file/NAME` and
`/runs/answer` take the same query and give parts of them. Requests whose Host names another server,
or that another page has sent, are refused, so that no other web site can read an answer.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib import resources
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from studies.page import parts
from studies.page.answer import PageAnswer
from studies.page.controls import controls
from studies.page.front import Front, at_deadline, front
from studies.page.pictures.allocation import allocation_picture
from studies.page.pictures.drop import drop_picture
from studies.page.pictures.front import front_picture
from studies.page.pictures.timeline import timeline_picture
from studies.page.state import PageState
from wirelessfl import plugins
from wirelessfl.config.scenario_file import Tables, from_tables
from wirelessfl.errors import InputError
from wirelessfl.records import strict_json
from wirelessfl.text import one_line

TABS = ("/", "/runs")  # which links of other pages may open
SITES = ("same-origin", "none")  # of requests for all else: this page, or the user
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
STATIC = {
    "page.css": "text/css",
    "common.js": "text/javascript",
    "page.js": "text/javascript",
    "runs.js": "text/javascript",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*",  # notebooks
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
WIDTH = (240, 1600)  # of a picture in px: least and largest
FRONTS = 64  # that stay in memory


@dataclass(frozen=True, eq=False)
class Served:
    """Scenarios and run folders that a server shows.

    Attributes:
        scenarios: Sections by name; the first is the one to start with.
        runs: Folder below which run folders are looked for.
        address: Host and port of the server.
    """

    scenarios: Mapping[str, Tables]
    runs: Path
    address: tuple[str, int]


def application(served: Served) -> Starlette:
    """The page as an ASGI application.

    Args:
        served: What it shows.

    Returns:
        The application.
    """
    pages = _Pages(served)
    routes = [
        Route("/", partial(_static, name="page.html", kind="text/html")),
        Route("/runs", partial(_static, name="runs.html", kind="text/html")),
        Route("/answer", _json(pages.answer)),
        Route("/repairs", _json(pages.repairs)),
        Route("/front", _json(pages.front)),
        Route("/runs/answer", _json(pages.runs)),
        Route("/file/{name}", pages.file),
        *(
            Route(f"/{name}", partial(_static, name=name, kind=kind))
            for name, kind in STATIC.items()
        ),
    ]
    guard = Middleware(BaseHTTPMiddleware, dispatch=partial(_guarded, address=served.address))
    return Starlette(routes=routes, middleware=[guard])


Next = Callable[[Request], Awaitable[Response]]


async def _guarded(request: Request, call_next: Next, *, address: tuple[str, int]) -> Response:
    """Refuse requests for another server and from another page."""
    host, port = address
    hosts = {f"{name}:{port}" for name in (*LOOPBACK, host)}
    origins = {f"http://{one}" for one in hosts}
    asked = request.headers.get("host", "")
    if asked not in hosts:
        return PlainTextResponse(f"Host must be {host}:{port}\n", 421)
    origin = request.headers.get("origin")
    if origin is not None and origin not in origins:
        return PlainTextResponse("Origin must be this page\n", 403)
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in SITES and request.url.path not in TABS:
        return PlainTextResponse("the request must come from this page\n", 403)
    answer = await call_next(request)
    answer.headers.update(HEADERS)
    return answer


def _static(request: Request, *, name: str, kind: str) -> Response:
    content = resources.files("studies.page").joinpath("static", name).read_bytes()
    return Response(content, media_type=f"{kind}; charset=utf-8")


def _json(answer: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers in JSON; invalid input is a line in it."""

    async def endpoint(request: Request) -> Response:
        try:
            found = await run_in_threadpool(answer, request)
        except InputError as error:
            found = {"error": one_line(str(error))}
        return Response(strict_json.dumps(found), media_type="application/json")

    return endpoint


class _Pages:
    """Answers to the requests of the page, one round and one front at a time."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._round = Lock()
        self._drops = Lock()
        self._fronts = itertools.count()
        self._newest = 0
        self._front = lru_cache(FRONTS)(self._front_of)
        self._base = cache(lambda name: from_tables(served.scenarios[name]))

    def answer(self, request: Request) -> dict[str, Any]:
        """All of the first round."""
        width = _width(request)
        with self._round:
            state = self._state(request)
            answer = PageAnswer.of(state)
            return {
                "query": state.query,
                "scenario": state.scenario,
                "scenarios": list(self._served.scenarios),
                "compare": state.compare,
                "methods": plugins.names("allocators"),
                "controls": [
                    one.as_dict() for one in controls(self._base(state.scenario), state.experiment)
                ],
                "parts": {
                    "outcome": parts.outcome(answer),
                    "prices": parts.prices(answer),
                    "reasons": parts.reasons(answer),
                    "repairs": "",
                    "clients": parts.clients(answer),
                    "allocation": allocation_picture(answer, width),
                    "timeline": timeline_picture(answer, width),
                    "drop": drop_picture(answer, width),
                    "legend": parts.method_legend(answer),
                    "phases": parts.phase_legend(answer),
                    "statuses": parts.status_legend(answer),
                },
            }

    def repairs(self, request: Request) -> dict[str, Any]:
        """The least repairs of a round with infeasible clients, found by bisection."""
        with self._round:
            return {"parts": {"repairs": parts.repairs(PageAnswer.of(self._state(request)))}}

    def front(self, request: Request) -> dict[str, Any]:
        """The front, which takes longer and does not depend on the deadline."""
        state = self._state(request)
        number = self._newest = next(self._fronts)
        with self._drops:
            if number != self._newest:  # nearly always of a state that the page has left
                return {"again": True}
            found = self._front(_without_deadline(state))
            here = at_deadline(state)
        picture = front_picture(found, state.experiment.scenario.deadline_s, _width(request))
        return {"parts": {"front": picture, "front-note": parts.front_note(found, here)}}

    def _front_of(self, query: str) -> Front:
        return front(PageState.parse(query, self._served.scenarios))

    def runs(self, request: Request) -> dict[str, Any]:
        """The list of run folders, and the chosen ones."""
        from studies.page import runs

        root = self._served.runs
        names = runs.listed(root) if root.is_dir() else []
        chosen = runs.chosen(request.url.query, names)
        shown = [runs.shown_run(root, name) for name in chosen]
        return {
            "root": str(root),
            "names": names,
            "chosen": chosen,
            "live": any(not run.complete for run in shown),
            "parts": {"table": runs.table(shown), **runs.pictures(shown, _width(request))},
        }

    async def file(self, request: Request) -> Response:
        """A file to save."""
        from studies.page.files import file_of

        try:
            file = await run_in_threadpool(
                lambda: file_of(self._state(request), request.path_params["name"])
            )
        except InputError as error:
            return PlainTextResponse(one_line(str(error)) + "\n", 400)
        saved = {"Content-Disposition": f'attachment; filename="{file.name}"'}
        return Response(file.content, media_type=file.kind, headers=saved)

    def _state(self, request: Request) -> PageState:
        pairs = [
            pair for pair in request.url.query.split("&") if pair and not pair.startswith("width=")
        ]
        return PageState.parse("&".join(pairs), self._served.scenarios)


def _without_deadline(state: PageState) -> str:
    kept = {name: text for name, text in state.changes.items() if name != "scenario.deadline_s"}
    return PageState(state.scenario, state.base, kept, state.compare).query


def _width(request: Request) -> float:
    given = request.query_params.get("width", "640")
    low, high = WIDTH
    return float(min(max(int(given), low), high)) if given.isdigit() else 640.0
