"""Groups of channels, which the file of a model declares so that the model can shrink."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Group:
    """`width` channels of a model, each of which can be left out with everything that belongs to
    it.

    A channel is a row (axis 0) of every tensor of the modules `rows`: the layer that makes it,
    weight and bias, and its batch norm, weight, bias, running mean and variance. It is a column
    (axis 1) of the weight of the layers `columns` that read it; several successive ones where an
    image was flattened, as many as the shapes say.
    """

    name: str
    width: int
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def group_widths(groups: Iterable[Group], widths: Mapping[str, int] | None) -> dict[str, int]:
    """Channels of every group in a model built with `widths`; a group that is not named has all of
    its channels.
    """
    full = {group.name: group.width for group in groups}
    for name, width in (widths or {}).items():
        if name not in full:
            raise InputError(
                f"widths must name groups of the model ({', '.join(full) or 'it has none'}), got {name!r}"
            )
        if not 1 <= width <= full[name]:
            raise InputError(f"widths.{name} must be within 1 and {full[name]}, got {width}")
    return full | dict(widths or {})
