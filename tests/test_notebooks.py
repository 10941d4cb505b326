"""The notebooks of the documentation: executed, short, and shown with their outputs."""

import json
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from safetensors.torch import load_file

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_LINES = 40


def code_cells(path: Path) -> list[dict[str, Any]]:
    """The cells with code of a notebook."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def executed(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of a notebook after all of its cells have run in this process."""
    module = ModuleType(f"notebook_{path.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for cell in code_cells(path):
        exec(compile(source(cell), path.name, "exec"), vars(module))
    return vars(module)


def scalars(file: Path) -> dict[str, list[int]]:
    """Steps of each scalar in an event file: records with length, check, data and check."""
    from tensorboardX.proto.event_pb2 import Event

    data = file.read_bytes()
    found: dict[str, list[int]] = {}
    place = 0
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        event = Event.FromString(data[place + 12 : place + 12 + length])
        place += length + 16
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_has_its_outputs(path):
    cells = code_cells(path)
    lines = [line for cell in cells for line in source(cell).splitlines() if line.strip()]
    assert len(lines) < MOST_LINES
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"display_data", "execute_result"}
    assert any("image/png" in output["data"] for output in outputs)


def test_own_plugins_train_stop_track_and_come_out(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    names = executed(FOLDER / "own_plugins.ipynb", monkeypatch)
    run = names["run"]
    assert len(run) < 200
    assert run.final_accuracy >= 0.97
    assert run.stopped.endswith("has reached run.stop_at_accuracy = 0.97")
    assert "0.weight" in load_file("client-0.safetensors")
    (file,) = (tmp_path / "logs").iterdir()
    found = scalars(file)
    assert found["loss"] == list(range(1, len(run) + 1))
    assert found["accuracy"] == list(range(2, len(run) + 1, 2))
