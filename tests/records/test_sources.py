"""A user's own code behind a result: noted when it is trained, compared when it is shown."""

import pytest

import dlexp
from dlexp.records.sources import changed_sources, own_sources

NETWORK = """
from torch import nn


class Mine(nn.Linear):
    def __init__(self, *, input_dim, output_dim, generator):
        super().__init__(input_dim, output_dim)
        nn.init.zeros_(self.weight)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return the file of a module of one's own, beside the results."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine_of_this_test.py"
    path.write_text(NETWORK)
    return path


def test_only_own_files_are_noted(module):
    config = {
        "model": {"_target_": "mine_of_this_test.Mine"},
        "data": {"generator": {"_target_": "dlexp.data.generators.linear_teacher"}},
        "optimizer": {"_target_": "torch.optim.RMSprop", "name": "mine_of_this_test.NotATarget"},
        "training": {"loss": "mse"},
        "callbacks": {"a": {"_target_": "nowhere.Callback", "function": "math.sqrt"}},
    }
    assert list(own_sources(config)) == ["mine_of_this_test"]
    assert changed_sources(config, own_sources(config)) == []
    stored = own_sources(config)
    module.write_text(NETWORK + "# changed")
    assert changed_sources(config, stored) == ["mine_of_this_test"]
    module.unlink()
    assert changed_sources(config, stored) == []


def test_a_changed_network_is_told_of_until_it_is_trained_anew(module):
    settings = ("model=own", "model._target_=mine_of_this_test.Mine", "seed=0,1", "trainer.max_steps=2")
    sentence = "mine_of_this_test has changed since 2 of 2 runs were trained; rerun=true trains them anew."
    first = dlexp.sweep(*settings)
    assert first.results.notices == []
    module.write_text(NETWORK + "# changed")
    assert dlexp.sweep(*settings).results.notices == [sentence]
    assert dlexp.sweep(*settings, "rerun=true").results.notices == []
