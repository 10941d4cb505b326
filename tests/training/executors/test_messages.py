"""Messages over pipes and shared memory."""

import os

import numpy as np
import pytest

from training.executors import _messages
from training.executors._messages import Messages, shared_file

ARRAYS = {
    "small": np.arange(3, dtype=np.int64),
    "none": np.zeros((0, 2)),
    "large": np.linspace(0, 1, 2000),
}


@pytest.fixture
def ends():
    """Makes two ends that talk to each other, with memory in common or without."""
    opened = []

    def make(file):
        there, back = os.pipe(), os.pipe()
        streams = [
            os.fdopen(number, mode)
            for pair in (there, back)
            for number, mode in zip(pair, ("rb", "wb"), strict=True)
        ]
        opened.extend(streams)
        read_there, write_there, read_back, write_back = streams
        return Messages(read_back, write_there, file, first=True), Messages(
            read_there, write_back, file, first=False
        )

    yield make
    for stream in opened:
        stream.close()


def exchange(sender, receiver, message):
    sender.send(message)
    return receiver.receive()


@pytest.mark.parametrize("room", [0, 100, 1000, 1 << 28])
def test_messages_arrive_whole_whatever_fits_into_the_shared_memory(ends, room, monkeypatch):
    monkeypatch.setattr(_messages, "_CAPACITY", room)
    file = shared_file() if room else None
    one, other = ends(file)
    for _ in range(2):
        for sender, receiver in ((one, other), (other, one)):
            got = exchange(sender, receiver, {"text": "a", **ARRAYS})
            assert got.pop("text") == "a"
            assert got.keys() == ARRAYS.keys()
            for name, array in ARRAYS.items():
                assert got[name].dtype == array.dtype
                assert np.array_equal(got[name], array)


def test_what_has_arrived_stays_as_it_is(ends):
    one, other = ends(shared_file())
    first = exchange(one, other, ARRAYS["large"])
    exchange(one, other, ARRAYS["large"] + 1)
    assert np.array_equal(first, ARRAYS["large"])
    first += 1  # it is the receiver's own


def test_arrays_keep_out_of_the_pipe_where_there_is_memory(ends):
    file = shared_file()
    if file is None:
        pytest.skip("no memory in common on this system")
    one, other = ends(file)
    assert (
        exchange(one, other, np.ones(10**6)).sum() == 10**6
    )  # a pipe would have been full and blocked


def test_an_end_that_is_gone_is_the_end(ends):
    one, other = ends(None)
    one._sink.close()
    with pytest.raises(EOFError):
        other.receive()
