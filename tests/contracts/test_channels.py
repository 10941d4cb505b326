import numpy as np
import pytest
from helpers import plugin_folder
from helpers.contracts import check_channel, check_settings, check_signatures

from wirelessfl import plugins
from wirelessfl.protocols import ChannelModel
from wirelessfl.values import ChannelState


@pytest.mark.parametrize("name", plugins.names("channels"))
def test_channel_keeps_the_contract(name):
    cls = plugins.load("channels", name)
    assert plugins.name_of(cls) == name
    check_settings(cls)
    check_signatures(cls, ChannelModel)
    check_channel(cls())


def test_channel_from_outside_is_listed_and_keeps_the_contract(monkeypatch):
    plugin_folder.use(monkeypatch)
    assert "two-state" in plugins.names("channels")
    cls = plugins.load("channels", "two-state")
    check_settings(cls)
    check_signatures(cls, ChannelModel)
    check_channel(cls())


class Broken:
    """A channel that breaks one clause of the contract."""

    def __init__(self, fault):
        self.fault, self.calls = fault, 0

    def sample(self, scenario, rng):
        self.calls += 1
        gain = np.array([rng.generator("g", client).random() + 0.1 for client in range(scenario.clients)])
        gain = {
            "shape": gain[:, None],
            "sign": -gain,
            "history": gain * self.calls,
            "company": gain * scenario.clients,
            "mean": gain + 0.1,
        }[self.fault]
        return ChannelState.known(gain)

    def mean_gain(self, scenario, rng):
        return np.full(scenario.clients, 0.6)


@pytest.mark.parametrize("fault", ["shape", "sign", "history", "company", "mean"])
def test_contract_catches(fault):
    with pytest.raises(AssertionError):
        check_channel(Broken(fault))


def test_contract_catches_a_missing_or_differently_called_method():
    class NoMean:
        def sample(self, scenario, rng): ...

    class OtherName:
        def sample(self, scenario, streams): ...

        def mean_gain(self, scenario, rng): ...

    for cls in (NoMean, OtherName):
        with pytest.raises(AssertionError):
            check_signatures(cls, ChannelModel)
