"""Entry point of the command line: `wirelessfl` and `python -m wirelessfl`."""

import sys
from importlib import import_module

from wirelessfl._shadowing import shadowed
from wirelessfl.border.interrupt import stoppable


def main() -> None:
    """Run the command line, whose package lies above this one and is imported by name."""
    line = shadowed()
    if line is not None:
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    with stoppable():
        import_module("studies.cli").main()


if __name__ == "__main__":
    main()
