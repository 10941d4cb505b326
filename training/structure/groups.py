"""Groups of channels, declared by a model's file so that the model can be made narrower."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Group:
    """Channels of a model, each of which can be removed with all weights that belong to it.

    A channel is a row (axis 0) of every tensor of the modules `rows`: the layer that computes it,
    weight and bias, and its batch norm, weight, bias, running mean and variance. It is a column
    (axis 1) of the weight of the layers `columns` that read it; several successive columns where an
    image was flattened, as many as the shapes say.

    Attributes:
        name: Name of the group.
        width: Number of channels.
        rows: Names of the modules with one row for each channel.
        columns: Names of the layers with columns for each channel.

    Example:
        >>> Group(name="conv1", width=8, rows=("conv1",), columns=("conv2",)).width
        8
    """

    name: str
    width: int
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def group_widths(groups: Iterable[Group], widths: Mapping[str, int] | None) -> dict[str, int]:
    """Channels of every group of a model.

    Args:
        groups: The groups that the model declares.
        widths: Channels by group; a group that is not named has all of its channels.

    Returns:
        Channels of every group, in the order of `groups`.

    Raises:
        InputError: A group does not exist, or its width is not within 1 and the declared one.
    """
    full = {group.name: group.width for group in groups}
    for name, width in (widths or {}).items():
        if name not in full:
            raise InputError(
                f"widths must name groups of the model ({', '.join(full) or 'it has none'}), "
                f"got {name!r}"
            )
        if not 1 <= width <= full[name]:
            raise InputError(f"widths.{name} must be within 1 and {full[name]}, got {width}")
    return full | dict(widths or {})
