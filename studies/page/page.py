"""The page as an object: started in the background, shown in a notebook, or served until Ctrl-C."""

import socket
import threading
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from studies.page.state import PageState
from studies.presets import preset_files, scenario_tables
from wirelessfl.config.scenario_file import Tables, from_tables
from wirelessfl.errors import InputError

PORT = 8350
HEIGHT = 900  # of the frame in a notebook, in px
ANY = ("", "0.0.0.0", "::")  # addresses that no browser can name


class Page:
    """A page that a server in this process shows.

    Args:
        scenarios: Sections by name; the first is the one to start with.
        runs: Folder below which run folders are looked for.
        host: Address to listen on.
        port: Its port; 0: any that is free.

    Raises:
        InputError: The extra is not installed, the first scenario is invalid, or the port is taken.
    """

    def __init__(
        self,
        scenarios: Mapping[str, Tables],
        runs: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        try:
            import uvicorn

            from studies.page.server import Served, application
        except ImportError:
            raise InputError('the page needs an extra: pip install "wirelessfl[page]"') from None
        first = next(iter(scenarios))
        state = PageState(first, scenarios[first])
        from_tables(state.tables)
        if host in ANY:
            raise InputError(f"--host must be an address that a browser can name, got {host!r}")
        self._socket = _listening(host, port)
        address = (host, int(self._socket.getsockname()[1]))
        named = f"[{host}]" if ":" in host else host
        self.url = f"http://{named}:{address[1]}/?{state.query}"
        served = Served(scenarios, runs, (named, address[1]))
        config = uvicorn.Config(application(served), log_level="warning", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Serve until Ctrl-C."""
        self._server.run(sockets=[self._socket])

    def start(self) -> "Page":
        """Serve in the background until `close`."""
        self._thread = threading.Thread(target=self.serve, daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop a server in the background."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def __repr__(self) -> str:
        """The address."""
        return f"<page at {self.url}>"

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks."""
        return f'<iframe src="{escape(self.url)}" width="100%" height="{HEIGHT}"></iframe>'


class Scenarios(Mapping[str, Tables]):
    """Sections of scenarios by name: one of the user, and the presets, read when asked for.

    A preset may load the plug-ins that it names, which takes seconds.

    Args:
        name: Name of the first scenario, which stands for a preset of the same name.
        tables: Its sections.
    """

    def __init__(self, name: str, tables: Tables) -> None:
        self._known: dict[str, Tables] = {name: tables}
        self._names = tuple(dict.fromkeys([name, *preset_files()]))

    def __getitem__(self, name: str) -> Tables:
        """The sections of a scenario."""
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = scenario_tables(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """The names, that of the user first."""
        return iter(self._names)

    def __len__(self) -> int:
        """Number of scenarios."""
        return len(self._names)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--host {host} --port {port} cannot be used: {reason}") from None
