"""The public functions and the commands of attendet that read inputs."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import attendet
from attendet.cli.main import run
from attendet.data.download.archive import extract
from attendet.data.images import read_image, read_image_info
from attendet.errors import AttendetError
from attendet.models.lint.checker import check_model_file
from attendet.models.summary import summarize
from attendet.prediction.input_frames import read_frames
from attendet.prediction.sources import expand_sources
from attendet.study.design.design_file import read_design
from attendet.study.searching.search_design import read_search
from attendet.training.config import build_config
from attendet.training.hyperparameters import read_hyperparameters
from attendet.training.run_folder import RunFolder, read_results, read_run
from attendet.weights import read_checkpoint
from tests.fuzz.kinds import Read

_MAX_OUTPUT = 200_000


class CommandError(Exception):
    """A command that ended in another way than it promises, or printed control characters."""


def open_weights(path: Path) -> None:
    """Read a weights file, and build its detector."""
    read_checkpoint(path)
    attendet.open(path)


def check_model(path: Path) -> None:
    """Check a model file, and build its network without memory."""
    check_model_file(path)
    summarize(path, imgsz=64)


def read_data(path: Path) -> None:
    """Read all splits of a data set."""
    attendet.data.open(path).read_all(workers=1, cache=False)


def read_listed(path: Path) -> None:
    """Read a data set whose images a text file lists, as training does."""
    read_data(path.with_name("data.yaml"))


def check_data(path: Path) -> None:
    """Report the numbers and problems of a data set."""
    attendet.data.check(path, imgsz=64, workers=1, cache=False)


def read_hyp(path: Path) -> None:
    """Read hyperparameters, and check their values."""
    settings = read_hyperparameters(path).settings
    build_config({"data.path": "data.yaml", "model.cfg": "yolov5n", **settings})


def read_study_design(path: Path) -> None:
    """Read the design of a study or of a search."""
    read = read_search if b"search" in path.read_bytes() else read_design
    read(path)


def read_picture(path: Path) -> None:
    """Decode an image, and read its properties."""
    read_image_info(path)
    read_image(path)


def read_media(path: Path) -> None:
    """Read all images and frames that `attendet predict PATH` would read."""
    skipped: list[AttendetError] = []
    for _ in read_frames(expand_sources([str(path)], skipped.append), skipped.append):
        pass
    if skipped:
        raise skipped[0]


def list_sources(path: Path) -> None:
    """List the files that `attendet predict PATH` would read, without opening them."""
    skipped: list[AttendetError] = []
    list(expand_sources([str(path)], skipped.append))
    if skipped:
        raise skipped[0]


def unpack(path: Path) -> None:
    """Unpack an archive of images and labels."""
    extract(path, path.parent, {"images/*.jpg": "images", "labels/*.txt": "labels"}, max_bytes=1_000_000)


def read_run_folder(path: Path) -> None:
    """Read the record and the results of a run."""
    folder = RunFolder(path)
    read_results(folder.results)
    read_run(folder)


def command(*arguments: str) -> Read:
    """Return a reader that runs the `attendet` command on the path, in this process.

    Args:
        arguments: The arguments before the path.
    """

    def read(path: Path) -> None:
        out = io.StringIO()
        before = sys.argv
        sys.argv = ["attendet", *arguments, str(path)]
        code: object = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                run()
        except SystemExit as stop:
            code = stop.code
        finally:
            sys.argv = before
        _check_output(out.getvalue(), code)

    return read


def _check_output(text: str, code: object) -> None:
    unprintable = {letter for letter in text if not letter.isprintable() and letter not in "\n\t"}
    if unprintable:
        raise CommandError(f"printed {unprintable!r}")
    if len(text) > _MAX_OUTPUT:
        raise CommandError(f"printed {len(text):,} characters")
    if code not in (0, 1, 2, None):
        raise CommandError(f"exit code {code}: {text[-300:]}")
    if code == 2:
        raise AttendetError(text[:2000])
