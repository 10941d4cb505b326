"""Contract of every channel model, built-in or external."""

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.contracts import check_channel, check_settings, check_signatures, example

from wirelessfl import plugins
from wirelessfl.protocols import ChannelModel
from wirelessfl.values import ChannelState


@pytest.mark.parametrize("name", plugins.names("channels"))
def test_channel_keeps_the_contract(name, tmp_path):
    cls = plugins.load("channels", name)
    assert plugins.name_of(cls) == name
    check_settings(cls)
    check_signatures(cls, ChannelModel)
    if hasattr(cls, "needs"):  # an optional extra
        pytest.importorskip(cls.needs)
    check_channel(example(cls, tmp_path))


def test_channel_from_outside_is_listed_and_keeps_the_contract(monkeypatch):
    plugin_folder.use(monkeypatch)
    assert "two-state" in plugins.names("channels")
    cls = plugins.load("channels", "two-state")
    check_settings(cls)
    check_signatures(cls, ChannelModel)
    check_channel(cls())


class Broken:
    """A channel that breaks one clause of the contract; every clause is kept without a fault."""

    def __init__(self, fault="", clients_interact=False):
        self.fault = fault
        self.calls = 0
        self.clients_interact = clients_interact

    def sample(self, scenario, rng):
        self.calls += 1
        gain = self.draw(scenario, rng, "g")
        gain = {
            "shape": gain[:, None],
            "sign": -gain,
            "history": gain * self.calls,
            "company": gain * scenario.clients,
            "mean": gain + 0.1,
        }.get(self.fault, gain)
        believed = -gain if self.fault == "believed" else gain
        path_gain = np.zeros_like(gain) if self.fault == "path" else gain
        return ChannelState(
            gain=gain,
            believed_gain=believed,
            path_gain=path_gain,
            block_gain=self.blocks(scenario, rng),
        )

    def blocks(self, scenario, rng):
        calls = []

        def block_gain(block):
            calls.append(block)
            gain = self.draw(
                scenario, rng, "g" if block == 0 and self.fault != "block 0" else f"g{block}"
            )
            return gain * (len(calls) if self.fault == "impure block" and block else 1)

        return block_gain

    def draw(self, scenario, rng, stream):
        return np.array(
            [rng.generator(stream, client).random() + 0.1 for client in range(scenario.clients)]
        )

    def mean_gain(self, scenario, rng):
        return np.full(scenario.clients, 0.6)


FAULTS = [
    "shape",
    "sign",
    "believed",
    "path",
    "history",
    "company",
    "block 0",
    "impure block",
    "mean",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_contract_catches(fault):
    check_channel(Broken())
    with pytest.raises(AssertionError):
        check_channel(Broken(fault))


def test_clients_that_interact_may_depend_on_company_and_on_nothing_else():
    class Neighbours(Broken):
        """All gains are larger with more clients."""

        def draw(self, scenario, rng, stream):
            return super().draw(scenario, rng, stream) * scenario.clients

        def mean_gain(self, scenario, rng):
            return super().mean_gain(scenario, rng) * scenario.clients

    check_channel(Neighbours(clients_interact=True))
    with pytest.raises(AssertionError):
        check_channel(Neighbours(clients_interact=False))
    with pytest.raises(AssertionError):
        check_channel(Neighbours("history", clients_interact=True))


def test_contract_catches_a_missing_or_differently_called_method():
    class NoMean:
        def sample(self, scenario, rng): ...

    class OtherName:
        def sample(self, scenario, streams): ...

        def mean_gain(self, scenario, rng): ...

    for cls in (NoMean, OtherName):
        with pytest.raises(AssertionError):
            check_signatures(cls, ChannelModel)
