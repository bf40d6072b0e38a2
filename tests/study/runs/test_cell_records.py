"""The record of a run, collected from its folder."""

import numpy as np
import pytest

from attendet.errors import DataError
from attendet.study.design.grid import Cell
from attendet.study.records import CellRecord
from attendet.study.reporting.run_scores import last_epochs
from attendet.study.runs.cell_records import cell_record
from attendet.training.run_folder import RunFolder, RunRecord, write_results
from attendet.utils.records import write_record
from tests.helpers.synthetic_studies import record
from tests.helpers.typed_access import not_none


def test_a_run_becomes_a_record(tmp_path):
    folder = RunFolder(tmp_path / "run")
    metrics = not_none(record(Cell("a", 0, 1.0, "k"), 0.4, np.random.default_rng(0)).best).model_dump()
    run = RunRecord(
        command=("train",),
        configuration={},
        recipe={},
        model={"parameters": 7, "gflops": 0.5},
        names=("RBC", "WBC", "Platelets"),
        data={"train": {"images": 9}, "val": {"images": 4}},
        versions={"torch": "2"},
        git=None,
        device="CPU",
        seconds={"training": 3.0},
        epochs=2,
        best_epoch=2,
        metrics={**metrics, "confusion": [[1]], "images": 4, "objects": 9},
        finished=True,
        initialization={"model.0.conv": "w"},
        order="o",
    )
    columns = ("metrics/precision", "metrics/recall", "metrics/mAP_0.5", "metrics/mAP_0.5:0.95")
    unmeasured = {"epoch": 1, **dict.fromkeys(columns, float("nan"))}
    write_results(folder, [unmeasured, {"epoch": 2, **dict.fromkeys(columns, 0.5), "metrics/mAP_0.5:0.95": 0.25}])
    write_record(folder.record, run)
    cell = Cell("a", 0, 1.0, "k")
    found = cell_record(cell, folder)
    assert found.history["metrics/mAP_0.5"] == [None, 0.5]
    assert last_epochs(found, "map50_95", 3) == 0.25
    assert (found.parameters, found.images) == (7, {"train": 9, "val": 4})
    assert (found.order, found.initialization) == ("o", {"model.0.conv": "w"})
    assert CellRecord.model_validate_json(found.model_dump_json()) == found
    write_record(folder.record, run.model_copy(update={"finished": False}))
    with pytest.raises(DataError, match="the run is not finished"):
        cell_record(cell, folder)
    write_record(folder.record, run.model_copy(update={"metrics": {"map50": 1}}))
    with pytest.raises(DataError, match="not the record of a training run: 'map50_95'"):
        cell_record(cell, folder)
    write_record(folder.record, run)
    folder.results.write_text("epoch\nx\n", encoding="utf-8")
    with pytest.raises(DataError, match="every row of the results must have a number in each column"):
        cell_record(cell, folder)
