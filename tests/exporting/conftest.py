"""A detector with CBAM that was trained to find rectangles, and its exported files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attendet.api.exporting import export
from attendet.exporting import Exported
from attendet.training.run_folder import RunFolder
from tests.helpers.small_training import MODEL_WITH_CBAM, skip_plots, train_to_find


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    patch = pytest.MonkeyPatch()
    skip_plots(patch)
    with torch.random.fork_rng():
        run = train_to_find(tmp_path_factory.mktemp("export"), MODEL_WITH_CBAM, images=16)
    patch.undo()
    return run


@pytest.fixture(scope="session")
def data(run: RunFolder) -> Path:
    return run.path.parents[1] / "wide" / "data.yaml"


@pytest.fixture(scope="session")
def exported(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Exported]:
    """Return a function that exports the run, once for each set of options."""
    known: dict[str, Exported] = {}

    def get(file_format: str = "onnx", **options: Any) -> Exported:
        key = f"{file_format} {options}"
        if key not in known:
            known[key] = export(run.path, file_format, out=tmp_path_factory.mktemp("files"), **options)
        return known[key]

    return get
