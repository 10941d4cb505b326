"""What the pictures of a run say about clients of which only some take part in a round."""

import numpy as np
from helpers.studies import made_up_record
from matplotlib.figure import Figure

from studies.report import run_figures
from wirelessfl.config import from_tables, to_toml
from wirelessfl.records import RunFolder


def test_a_box_is_that_of_one_client_whoever_took_part(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path / "run", to_toml(from_tables({"scenario": {"clients": 50}})))
    for number, clients in enumerate(([7, 40], [3, 40], [3, 7]), start=1):
        record = made_up_record(number, 2)
        ratios = [client / 100 for client in clients]
        folder.append(type(record)(**{**record.as_dict(), "clients": clients, "pruning_ratio": ratios}))
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    run_figures.draw_run(folder)
    axes = drawn[-1].axes[1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["3", "7", "40"]
    medians = [
        line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1 and line.get_color() == "C1"
    ]
    np.testing.assert_allclose(medians, [0.03, 0.07, 0.4])
