"""The page of combinations that train: what the code says, and each one really trained."""

from pathlib import Path

import numpy as np
import pytest
from helpers.synthetic import write_all

from studies.study.reference import support
from studies.study.support import fits, fitting, supports
from wirelessfl import plugins
from wirelessfl.config.fields import known_fields
from wirelessfl.config.scenario_file import from_tables, plugin_class
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "support.md"
K = 2
SHORT = {  # one step for each phase, on few samples of narrow models
    "batch_size": 2,
    "local_steps": 1,
    "personal_steps": 1,
    "shared_steps": 1,
    "probability": 1.0,
    "dense_share": 0.0,
}
IMPORTANCE = ("fedalt", "fedsim", "pruning-only")  # that prune any fraction of narrow models


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as monkeypatch:
        write_all(root, monkeypatch)
        yield root


def test_a_combination_needs_the_parts_of_the_model_or_is_refused():
    assert supports("fedalt", "digits-cnn", "digits").settings == {}
    assert supports("fedalt", "cnn", "mnist").settings == {"personal": "features"}
    assert supports("fedsim", "logistic", "mnist").settings == {"personal": "none"}
    refused = supports("ca-hfp", "logistic", "mnist")
    assert refused.settings is None
    assert "must declare groups of filters" in refused.reason
    assert fits("linear", "blogfeedback").settings == {"partition": "iid"}
    assert fits("linear", "digits").settings is None


@pytest.mark.slow
def test_the_page_is_what_the_code_says():
    """`make reference` writes the page."""
    assert PAGE.read_text(encoding="utf-8") == support()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", plugins.names("algorithms"))
def test_every_combination_trains_or_is_refused_as_the_page_says(algorithm, data_root):
    fields = known_fields(plugin_class("training", algorithm))
    short = {name: value for name, value in SHORT.items() if name in fields}
    for model, datasets in fitting().items():
        answer = supports(algorithm, model, next(iter(datasets)))
        narrow = {"width": 0.1} if getattr(plugins.load("models", model), "groups", ()) else {}
        for dataset in datasets:
            assert supports(algorithm, model, dataset) == answer
            table = {"algorithm": algorithm, "model": model, "dataset": dataset}
            if answer.settings is None:
                with pytest.raises(InputError) as error:
                    from_tables({"training": table}).algorithm.demand(K)
                assert "\n" not in str(error.value)
                continue
            table |= {**short, **narrow, **answer.settings}
            made = from_tables({"training": table}).algorithm
            runtime = Runtime(executor="loop", data_root=data_root)
            trainer = made.trainer(clients=K, seed=0, runtime=runtime)
            before = trainer.init(0)
            packed = trainer.pack(before)
            ratios = np.full(K, 0.3 if algorithm in IMPORTANCE else 0.0)
            after, metrics = trainer.step(before, ratios, Delivery.all(K))
            trainer.close()
            assert metrics.flops.min() > 0, table
            changed = [
                name
                for name, value in trainer.pack(after).items()
                if value.dtype.kind == "f" and not np.array_equal(value, packed.get(name))
            ]
            assert changed, table
