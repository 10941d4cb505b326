"""State of the page and its form in the URL: a scenario and changes to some of its fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, urlencode

from studies.page.controls import FIELDS, applies
from wirelessfl import plugins
from wirelessfl.config.axis import Axis
from wirelessfl.config.fields import hint_at
from wirelessfl.config.scenario_file import SELECTORS, Tables, from_tables
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.experiment import Experiment

SCENARIO = "scenario"
COMPARE = "compare"
MOST_CHARACTERS = 2000  # of a query
MOST_CLIENTS = 1000  # whose round takes less than a second
SELECTING = tuple(f"{section}.{key}" for section, (key, _) in SELECTORS.items())


@dataclass(frozen=True)
class PageState:
    """A scenario, the changes to its fields, and a second method.

    Attributes:
        scenario: Name of the scenario.
        base: Its sections.
        changes: `section.field` -> value as text, such as `25ms`.
        compare: Allocator to compare with; empty: none.
    """

    scenario: str
    base: Tables = field(repr=False)
    changes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    compare: str = ""

    @classmethod
    def parse(cls, query: str, scenarios: Mapping[str, Tables]) -> "PageState":
        """The state of a URL.

        Args:
            query: The part of the URL after `?`.
            scenarios: Sections of the known scenarios by name; the first is the default.

        Returns:
            The state.

        Raises:
            InputError: A parameter is unknown, given twice or invalid.
        """
        given = _pairs(query)
        name = given.pop(SCENARIO, next(iter(scenarios)))
        check_choice(f"URL parameter {SCENARIO}", name, scenarios)
        compare = given.pop(COMPARE, "")
        if compare:
            check_choice(f"URL parameter {COMPARE}", compare, plugins.names("allocators"))
        for key in given:
            if key not in FIELDS:
                raise InputError(f"URL parameter {key!r} is not known{hint_at(key, FIELDS)}")
        base = scenarios[name]
        changes = {key: text for key, text in given.items() if key in SELECTING}
        selected = _merged(base, changes)
        changes |= {
            key: text
            for key, text in given.items()
            if key not in SELECTING and applies(key, selected)
        }
        return cls(name, base, MappingProxyType(changes), compare)

    @property
    def query(self) -> str:
        """The part of the URL after `?`, with changes in the order of the page."""
        ordered = {name: self.changes[name] for name in FIELDS if name in self.changes}
        compared = {COMPARE: self.compare} if self.compare else {}
        return urlencode({SCENARIO: self.scenario, **ordered, **compared}, quote_via=quote)

    @cached_property
    def tables(self) -> Tables:
        """Sections of the scenario with its changes.

        Raises:
            InputError: A change is invalid, or there are more clients than the page shows.
        """
        tables = _merged(self.base, self.changes)
        clients = tables.get("scenario", {}).get("clients", 1)
        if isinstance(clients, int):
            check_number("scenario.clients on the page", clients, at_most=MOST_CLIENTS)
        return tables

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment of these sections."""
        return from_tables(self.tables)

    @property
    def methods(self) -> tuple[str, ...]:
        """Allocators that the page shows: that of the scenario, and the second one."""
        own = str(self.tables.get("allocation", {}).get("method", "exact"))
        return tuple(dict.fromkeys([own, *([self.compare] if self.compare else [])]))


def _pairs(query: str) -> dict[str, str]:
    if len(query) > MOST_CHARACTERS:
        raise InputError(
            f"the URL's parameters must have at most {MOST_CHARACTERS} characters, got {len(query)}"
        )
    found: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in found:
            raise InputError(f"URL parameter {key!r} must be given once, got it twice")
        if not value and key != COMPARE:
            raise InputError(f"URL parameter {key!r} must have a value, got none")
        found[key] = value
    return found


def _merged(base: Tables, changes: Mapping[str, str]) -> Tables:
    tables = base
    for name, text in changes.items():
        axis = Axis.of(name, text)
        if len(axis.values) != 1:
            raise InputError(f"{name} must be one value, got {text!r}")
        tables = axis.applied(tables, axis.values[0])
    return tables
