"""Settings of a study beyond its scale."""

import pytest

from studies.papers.wfl import wfl_fig5, wfl_table1
from studies.study.study import Setting
from wirelessfl.config.scenario_file import experiment_hash
from wirelessfl.errors import InputError


def test_changes_reach_every_experiment_and_name_its_results():
    setting = Setting(learning_rate=0.1, changes=("run.device=cuda:0", "scenario.bandwidth_hz=1e7"))
    changed = setting.experiments(wfl_fig5)
    plain = wfl_fig5.experiments("small")
    assert changed.keys() == plain.keys()
    for seeds in changed.values():
        for experiment in seeds:
            assert (experiment.run.device, experiment.scenario.bandwidth_hz) == ("cuda:0", 1e7)
            assert experiment.algorithm.learning_rate == 0.1
    names = {
        experiment_hash(seed)
        for found in (changed, plain)
        for seeds in found.values()
        for seed in seeds
    }
    assert len(names) == 2 * sum(len(seeds) for seeds in plain.values())
    assert setting.options == (
        "--scale small --learning-rate 0.1 --set run.device=cuda:0 --set scenario.bandwidth_hz=1e7"
    )
    folder = setting.folder_name("wfl-fig5")
    assert folder == "wfl-fig5-small-learning-rate-0.1-run.device=cuda-0-scenario.bandwidth_hz=1e7"
    assert Setting().folder_name("wfl-fig5") == "wfl-fig5-small"
    assert Setting().options == "--scale small"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("run.seed=3", "--set run.seed must be left out, a study has its seeds, got 3"),
        ("device=cuda", "--set must be section.field=value, got 'device=cuda'"),
    ],
)
def test_what_is_no_change_of_a_study_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        Setting(changes=(changes,))


def test_a_field_that_the_experiments_do_not_have_is_one_line():
    with pytest.raises(
        InputError, match=r"scenario.bandwith_hz is not a field of .scenario. .did you mean"
    ):
        Setting(changes=("scenario.bandwith_hz=1",)).experiments(wfl_table1)
    with pytest.raises(InputError, match=r"--learning-rate 0\.1 has no effect"):
        Setting(learning_rate=0.1).experiments(wfl_table1)
