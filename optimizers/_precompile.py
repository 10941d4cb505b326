"""Compilation of all compiled code of the allocators ahead of its first use."""

from importlib import import_module

from wirelessfl.allocation.compiled import numba_is_there
from wirelessfl.errors import InputError

MODULES = (
    "wirelessfl.allocation.compiled_ranges",
    "optimizers._waterfilling.few",
    "optimizers._waterfilling.kernels",
    "optimizers._waterfilling.log_psd",
    "optimizers._joint.compiled",
)


def precompile() -> None:
    """Compile the allocators' code and keep it on disk, so that no later call has to.

    The code is kept in the folder of each module, or in `NUMBA_CACHE_DIR`.

    Raises:
        InputError: Numba is not installed.
    """
    if not numba_is_there():
        raise InputError("precompile needs numba (pip install numba), got none")
    for module in MODULES:
        import_module(module)
