"""Check that the packages of the distribution are not shadowed by a user's own modules.

`training`, `optimizers` and `studies` are common words: a folder `training/` beside a user's script
comes first on the import path and would be imported in place of the package.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

SIBLINGS = ("channel_models", "optimizers", "training", "studies")


def shadowed() -> str | None:
    """One line that names the module that hides one of our packages, with both paths.

    Returns:
        The line, or None when Python finds all packages of the distribution.
    """
    ours = Path(__file__).resolve().parents[1]
    for name in SIBLINGS:
        expected = ours / name / "__init__.py"
        try:
            spec = find_spec(name)
        except ValueError:  # a module of that name without a specification
            continue
        found = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if found is not None and found != expected and expected.exists():
            return (
                f"{found} hides the package {name!r} of wirelessfl, {expected}: "
                "rename it, or start Python from another folder"
            )
    return None


def check_not_shadowed() -> None:
    """Refuse to import the package when another module hides one of its siblings.

    The command line is exempt here: it reports the same line itself, without a traceback.

    Raises:
        ImportError: A module elsewhere on the import path comes before ours.
    """
    line = shadowed()
    if line is not None and not _is_command():
        raise ImportError(line)


def _is_command() -> bool:
    """True if the interpreter was started as `wirelessfl` or `python -m wirelessfl`."""
    as_module = any(
        pair == ("-m", "wirelessfl") for pair in zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    )
    return as_module or Path(sys.argv[0] if sys.argv else "").stem == "wirelessfl"
