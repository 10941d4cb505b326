"""Mod of a Flower ClientApp that prunes each reply to the ratio of its round."""

from collections.abc import Callable
from typing import Any

import numpy as np

from training.flower.vectors import flat, shaped
from training.sparsity.counts import prune_count
from training.sparsity.packing import pack_mask
from training.sparsity.top_k import keep_most_important
from wirelessfl.border.extras import needs_extra

RATIO = "pruning-ratio"  # key of the configuration that a round sends
MASK = "mask"  # name of the record with the kept weights, one bit for each


def pruning_mod(message: Any, context: Any, call_next: Callable[[Any, Any], Any]) -> Any:
    """Keep the weights of a reply that training has changed most, and say which.

    The importance of a weight is |u' - u|, its change by the local training, as in [WFL] eq. (6).
    The mask travels as packed bits, values as arrays: no message holds a pickle.

    Args:
        message: A message from the server; other messages than those of training pass.
        context: Context of the client.
        call_next: The app, or the next mod.

    Returns:
        The reply, with pruned weights 0 and a record of the mask.
    """
    with needs_extra("flower", "pruning_mod"):
        from flwr.app import Array, ArrayRecord, ConfigRecord
    ratio = [
        float(str(record[RATIO]))
        for record in message.content.values()
        if isinstance(record, ConfigRecord) and RATIO in record
    ]
    before = _arrays(message.content)
    reply = call_next(message, context)
    if not ratio or reply.has_error():
        return reply
    name, record = next(
        (name, one) for name, one in reply.content.items() if isinstance(one, ArrayRecord)
    )
    after = record.to_numpy_ndarrays()
    vector = flat(after)
    change = np.abs(vector - flat(before))
    mask = keep_most_important(change, prune_count(ratio[0], vector.size))
    pruned = shaped(np.where(mask, vector, np.float32(0)), after)
    reply.content[name] = ArrayRecord(
        {key: Array(one) for key, one in zip(record, pruned, strict=True)}
    )
    bits = np.frombuffer(pack_mask(mask), dtype=np.uint8)
    reply.content[MASK] = ArrayRecord({"bits": Array(bits)})
    return reply


def _arrays(content: Any) -> list[Any]:
    """The arrays of the first record that holds some."""
    from flwr.app import ArrayRecord

    found = [one for one in content.values() if isinstance(one, ArrayRecord)]
    return found[0].to_numpy_ndarrays() if found else []
