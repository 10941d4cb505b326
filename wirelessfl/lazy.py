"""Public names of a package that are imported when they are first used (PEP 562)."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

Homes = Mapping[str, Sequence[str]]  # module -> public names that it defines


def names_in(homes: Homes) -> list[str]:
    """The public names of a package.

    Args:
        homes: Names by module.

    Returns:
        Sorted names.
    """
    return sorted(name for names in homes.values() for name in names)


def on_first_use(package: str, homes: Homes) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package whose import stays fast.

    Args:
        package: Name of the package.
        homes: Names by module.

    Returns:
        Function that imports a name from its home and keeps it in the package.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def imported(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return imported
