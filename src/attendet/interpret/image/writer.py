"""The files of explanations: figures, an HTML page, arrays, and a manifest."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from attendet.errors import DataError
from attendet.interpret.image.explanation import Explanation
from attendet.interpret.image.explanation_page import ExplanationPage
from attendet.interpret.image.request import ExplanationRequest
from attendet.models.detector import Detector
from attendet.runtimes.exported_file import ExportedFile
from attendet.utils.io import cannot_write, new_run_folder, refuse_existing, write_atomically, write_json
from attendet.utils.plotting import save_figure
from attendet.utils.provenance import versions
from attendet.utils.text import plural

PAGE, MANIFEST = "index.html", "manifest.json"
"""Names of the page and of the manifest."""

_PACKAGES = ("torch", "torchvision", "torchcam", "numpy", "matplotlib")


def write_explanations(
    explanations: Iterable[Explanation],
    folder: Path,
    model: nn.Module | ExportedFile,
    request: ExplanationRequest,
    weights: str = "",
) -> int:
    """Write explanations into a new folder, one at a time.

    Of the explanations that are written, only the numbers for the manifest stay in memory. The files are:

    - for each image, its figure as `NAME.png` and `NAME.svg`, and its arrays as `NAME.npz`: for each attention module
      `PATH/spatial` (H, W), `PATH/channels` (C,), `PATH/before`, and `PATH/after` (H, W); `cam/METHOD` (H, W);
      `extent`, the x1, y1, x2, y2 in pixels of the image that each map divides evenly; `boxes`, `confidences`, and
      `classes` of the detections, and the same under `without/`
    - `index.html`, a page with all images
    - `manifest.json`, with the request and all numbers that are not arrays

    Args:
        explanations: The explanations.
        folder: The folder; it must not exist.
        model: The network, or the exported file.
        request: The options of the explanations.
        weights: Path of the network's weights, for the manifest.

    Returns:
        The number of images.

    Raises:
        OutputError: If the folder exists or cannot be written.
        DataError: If `explanations` is empty. The folder is removed after every exception except the next.
        KeyboardInterrupt: On Ctrl-C, after the page and the manifest of the images so far are written.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        refuse_existing(folder)
        raise
    except OSError as error:
        raise cannot_write(folder, error) from error
    with _removed_on_error(folder):
        written, interrupt = _write(explanations, folder, model, request, weights)
    if interrupt is not None:
        raise interrupt
    return written


def write_run(
    explanations: Iterable[Explanation],
    project: Path,
    name: str,
    model: nn.Module | ExportedFile,
    request: ExplanationRequest,
    weights: str = "",
) -> tuple[Path, int]:
    """Write explanations into `project/name`, or `project/name2` and so on if it exists.

    Args:
        explanations: The explanations.
        project: The folder of all runs.
        name: Name of the run.
        model: The network, or the exported file.
        request: The options of the explanations.
        weights: Path of the network's weights, for the manifest.

    Returns:
        The folder, and the number of images.

    Raises:
        OutputError: If the folder cannot be written.
        DataError: If `explanations` is empty. The folder is removed after every exception except the next.
        KeyboardInterrupt: On Ctrl-C, after the page and the manifest of the images so far are written.
    """
    folder = new_run_folder(project, name)
    with _removed_on_error(folder):
        written, interrupt = _write(explanations, folder, model, request, weights)
    if interrupt is not None:
        raise interrupt
    return folder, written


def _write(
    explanations: Iterable[Explanation],
    folder: Path,
    model: nn.Module | ExportedFile,
    request: ExplanationRequest,
    weights: str,
) -> tuple[int, KeyboardInterrupt | None]:
    """Write explanations until the last one or an interruption; return their number, and the interruption."""
    # torch's own version also tells for which devices it was built.
    made_with = {**versions(_PACKAGES), "torch": str(torch.__version__)}
    title = f"What the attention of {weights or type(model).__name__} looks at"
    entries: list[dict[str, Any]] = []
    interrupt = None
    with write_atomically(folder / PAGE) as temporary, temporary.open("w", encoding="utf-8") as file:
        page = ExplanationPage(file, title, _about(request, model), made_with)
        end = file.tell()
        try:
            for number, explanation in enumerate(explanations, start=1):
                entries.append(_write_explanation(explanation, folder, number, page))
                end = file.tell()
        except KeyboardInterrupt as error:
            if not entries:
                raise
            error.add_note(f"explained {plural(len(entries), 'image')}: {folder}")
            interrupt = error
            # The image whose explanation was being written.
            file.seek(end)
            file.truncate()
            for path in folder.glob(f"{len(entries) + 1:03d}-*"):
                path.unlink()
        if not entries:
            raise DataError("no image could be explained", remedy="name at least one image that can be read")
        page.close()
    manifest = {
        "versions": made_with,
        "model": type(model).__name__,
        "weights": weights or None,
        "request": request.to_dict(),
        "images": entries,
    }
    write_json(folder / MANIFEST, manifest, indent=1)
    return len(entries), interrupt


def _write_explanation(explanation: Explanation, folder: Path, number: int, page: ExplanationPage) -> dict[str, Any]:
    """Write the files of an explanation, add it to the page, and return its entry of the manifest."""
    name = _file_name(explanation.image.name, number)
    figure = explanation.figure()
    save_figure(figure, folder / f"{name}.png")
    save_figure(figure, folder / f"{name}.svg")
    with write_atomically(folder / f"{name}.npz") as arrays:
        np.savez_compressed(arrays, **_arrays(explanation))
    page.add(explanation, (folder / f"{name}.png").read_bytes())
    return {"files": [f"{name}.{suffix}" for suffix in ("png", "svg", "npz")], **explanation.to_dict()}


@contextmanager
def _removed_on_error(folder: Path) -> Iterator[None]:
    """Remove a folder that this module created if the block raises an exception."""
    try:
        yield
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise cannot_write(folder, error) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _about(request: ExplanationRequest, model: nn.Module | ExportedFile) -> str:
    sites = "All attention modules" if request.site == "*" else f"Attention modules that match {request.site}"
    confidence = f"; detections of confidence {request.confidence:g} or more"
    return f"{sites}{confidence if isinstance(model, Detector | ExportedFile) else ''}."


def _file_name(name: str, number: int) -> str:
    """Return a file name that every file system allows and no other image has.

    Example:
        >>> _file_name("photos/my cat?.jpg", 7)
        '007-my_cat_'
    """
    return f"{number:03d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', Path(name).stem)[:80]}"


def _arrays(explanation: Explanation) -> dict[str, Any]:
    arrays: dict[str, Any] = {"extent": np.array(explanation.image.extent)}
    for site in explanation.sites:
        arrays |= {f"{site.path}/{name}": values for name, values in site.arrays().items()}
    if explanation.activation is not None:
        arrays |= {f"cam/{method}": values for method, values in explanation.activation.maps.items()}
    for output, prefix in ((explanation.with_attention, ""), (explanation.without_attention, "without/")):
        detections = output.detections
        if detections is not None:
            arrays |= {f"{prefix}boxes": detections.xyxy, f"{prefix}confidences": detections.confidence}
            arrays[f"{prefix}classes"] = detections.class_id
    return arrays
