"""State of decentralised training, and its form on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import check_shapes
from training.state import read_only_arrays

AgentValues = Mapping[str, NDArray[Any]]  # arrays of one agent, by name
AllAgentValues = Mapping[str, NDArray[Any]]  # arrays of all agents, (K, ...), by name

_BITS = "__bits"


@dataclass(frozen=True, eq=False)
class PeerState:
    """Arrays of all agents under the names that their method chooses; all of them read-only.

    Attributes:
        seed: Seed of the run.
        round: Rounds done.
        rows: Arrays of the agents, (K, ...).
        common: Arrays that are the same for all agents, stored once.
        last_received: Last message that the neighbours received from each agent, (K, ...), for
            methods that store it; a message is multicast, so there is one row for each sender.
        late: Messages in transit, by sender.
    """

    seed: int
    round: int
    rows: AllAgentValues
    common: AllAgentValues = field(default_factory=dict)
    last_received: AllAgentValues = field(default_factory=dict)
    late: Mapping[int, AgentValues] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("rows", "common", "last_received"):
            object.__setattr__(self, name, read_only_arrays(getattr(self, name)))
        late = {agent: read_only_arrays(message) for agent, message in self.late.items()}
        object.__setattr__(self, "late", late)

    def own(self, agent: int) -> AgentValues:
        """Copies of the arrays of one agent.

        Args:
            agent: Index of the agent.

        Returns:
            Its row of each of `rows`.
        """
        return {name: rows[agent].copy() for name, rows in self.rows.items()}

    def pack(self) -> dict[str, NDArray[Any]]:
        """The state as plain arrays; masks as bits."""
        in_transit = sorted(self.late)
        messages = [self.late[agent] for agent in in_transit]
        names = sorted(messages[0]) if messages else []
        late = {f"late_{name}": np.stack([message[name] for message in messages]) for name in names}
        senders = np.array(in_transit, dtype=np.int64)
        return _pack_bits({**self._permanent(), "late_agents": senders, **late})

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> "PeerState":
        """A packed state of the same shapes as this one, with any messages in transit.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The state that was packed.

        Raises:
            InputError: If the arrays are those of another model or number of agents.
        """
        unpacked = _unpack_bits(arrays)
        check_shapes(unpacked, {name: array.shape for name, array in self._permanent().items()})
        late = {
            name.removeprefix("late_"): array
            for name, array in unpacked.items()
            if name.startswith("late_")
        }
        senders = late.pop("agents", np.zeros(0, dtype=np.int64)).tolist()
        return PeerState(
            seed=int(unpacked["seed"]),
            round=int(unpacked["round"]),
            rows={name: unpacked[f"own_{name}"] for name in self.rows},
            common={name: unpacked[f"common_{name}"] for name in self.common},
            last_received={name: unpacked[f"heard_{name}"] for name in self.last_received},
            late={
                agent: {name: rows[i] for name, rows in late.items()}
                for i, agent in enumerate(senders)
            },
        )

    def _permanent(self) -> dict[str, NDArray[Any]]:
        """The arrays of every state of a run, of constant shapes: all but messages in transit.

        The prefixes are those of existing checkpoints.
        """
        kinds = (("own", self.rows), ("common", self.common), ("heard", self.last_received))
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
        array_name = name.removesuffix(_BITS)
        if array_name != name and array_name in arrays:
            bytes_ = arrays[array_name]
            arrays[array_name] = np.unpackbits(bytes_, axis=-1, count=int(bits)).view(np.bool_)
    return arrays
