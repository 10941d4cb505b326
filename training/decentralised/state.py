"""What decentralised training carries from round to round, and its form on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import check_shapes

AgentValues = Mapping[str, NDArray[Any]]  # what one agent holds, by name
AllAgentValues = Mapping[str, NDArray[Any]]  # what all hold, (K, ...)

_BITS = "__bits"


@dataclass(frozen=True, eq=False)
class PeerState:
    """Everything a decentralised run carries from round to round, by the names that its method
    gives; never edited.

    `rows` are the agents' own numbers, (K, ...) each; `common` what is one and the same for all
    agents, kept once. `heard` has what an agent's neighbours last had from it, (K, ...) each, for
    methods that remember it: a message reaches all neighbours or none, so there is one row a
    sender. `late` are the messages still on their way, by sender.
    """

    seed: int
    round: int
    rows: AllAgentValues
    common: AllAgentValues = field(default_factory=dict)
    heard: AllAgentValues = field(default_factory=dict)
    late: Mapping[int, AgentValues] = field(default_factory=dict)

    def own(self, agent: int) -> AgentValues:
        """What one agent holds."""
        return {name: rows[agent] for name, rows in self.rows.items()}

    def pack(self) -> dict[str, NDArray[Any]]:
        """The state as plain arrays; masks as bits."""
        on_the_way = sorted(self.late)
        messages = [self.late[agent] for agent in on_the_way]
        names = sorted(messages[0]) if messages else []
        late = {f"late_{name}": np.stack([message[name] for message in messages]) for name in names}
        return _pack_bits(
            {**self._always(), "late_agents": np.array(on_the_way, dtype=np.int64), **late}
        )

    @classmethod
    def unpack(cls, packed: Mapping[str, NDArray[Any]], first: "PeerState") -> "PeerState":
        """The state that `pack` gave, of the shapes of `first`; `InputError` for arrays of others."""
        arrays = _unpack_bits(packed)
        check_shapes(arrays, {name: array.shape for name, array in first._always().items()})
        late = {
            name.removeprefix("late_"): array
            for name, array in arrays.items()
            if name.startswith("late_")
        }
        agents = late.pop("agents", np.zeros(0, dtype=np.int64)).tolist()
        return cls(
            seed=int(arrays["seed"]),
            round=int(arrays["round"]),
            rows={name: arrays[f"own_{name}"] for name in first.rows},
            common={name: arrays[f"common_{name}"] for name in first.common},
            heard={name: arrays[f"heard_{name}"] for name in first.heard},
            late={
                agent: {name: rows[i] for name, rows in late.items()}
                for i, agent in enumerate(agents)
            },
        )

    def _always(self) -> dict[str, NDArray[Any]]:
        """The arrays that every state of a run has, of the same shapes; messages under way are none
        of them.
        """
        kinds = (("own", self.rows), ("common", self.common), ("heard", self.heard))
        return {
            "seed": np.asarray(self.seed, dtype=np.int64),
            "round": np.asarray(self.round, dtype=np.int64),
            **{f"{kind}_{name}": array for kind, named in kinds for name, array in named.items()},
        }


def _pack_bits(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    packed: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if array.dtype == np.bool_ and array.ndim:
            packed[name] = np.packbits(array, axis=-1)
            packed[name + _BITS] = np.asarray(array.shape[-1], dtype=np.int64)
        else:
            packed[name] = array
    return packed


def _unpack_bits(packed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    arrays = {name: array for name, array in packed.items() if not name.endswith(_BITS)}
    for name, bits in packed.items():
        whole = name.removesuffix(_BITS)
        if whole != name and whole in arrays:
            arrays[whole] = np.unpackbits(arrays[whole], axis=-1, count=int(bits)).view(np.bool_)
    return arrays
