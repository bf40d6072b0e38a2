"""Explanations as files: figures, one page, the numbers, and a manifest."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from attendet.errors import DataError
from attendet.interpret.image.answer import Answer
from attendet.interpret.image.explanation import Explanation
from attendet.interpret.image.figure import figure_of
from attendet.interpret.image.html import ExplanationPage
from attendet.interpret.image.question import Question
from attendet.interpret.image.site_view import SiteView
from attendet.models.detector import Detector
from attendet.utils.io import cannot_write, new_run_folder, refuse_existing, write_atomically, write_json
from attendet.utils.plotting import save_figure
from attendet.utils.provenance import versions

PROGRAMS = ("torch", "torchvision", "torchcam", "numpy", "matplotlib")
PAGE, MANIFEST = "index.html", "manifest.json"


def write_explanations(
    explanations: Iterable[Explanation], folder: Path, model: nn.Module, question: Question, weights: str = ""
) -> int:
    """Write explanations into a new folder, one at a time; of those before, memory holds the manifest's numbers alone.

    For each image `NAME.png`, `NAME.svg` and `NAME.npz`, whose arrays are, for each attention module,
    `PATH/spatial` (H, W), `PATH/channels` (C,), `PATH/before` and `PATH/after` (H, W); `cam/METHOD` (H, W); `extent`,
    the x1, y1, x2, y2 in pixels of the image that each map divides evenly; and `boxes`, `confidences` and `classes` of
    detections, `without/boxes` and so on. Also `index.html`, and `manifest.json` with all numbers that are no arrays.

    Args:
        explanations: What is written.
        folder: Where; it must not exist.
        model: The network.
        question: What was asked.
        weights: Where the network came from, for the manifest.

    Returns:
        How many images there were.

    Raises:
        OutputError: If the folder exists or cannot be written.
        DataError: If there is not a single image. Whatever is raised, no folder is left.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        refuse_existing(folder)
        raise
    except OSError as error:
        raise cannot_write(folder, error) from error
    with _whole_or_not(folder):
        return _write(explanations, folder, model, question, weights)


def write_run(
    explanations: Iterable[Explanation],
    project: Path,
    name: str,
    model: nn.Module,
    question: Question,
    weights: str = "",
) -> tuple[Path, int]:
    """Write into `project/name`, or `name2` and so on where that exists; return the folder, too."""
    folder = new_run_folder(project, name)
    with _whole_or_not(folder):
        return folder, _write(explanations, folder, model, question, weights)


def _write(
    explanations: Iterable[Explanation], folder: Path, model: nn.Module, question: Question, weights: str
) -> int:
    # torch's own version also says for which devices it was built.
    made_with = {**versions(PROGRAMS), "torch": str(torch.__version__)}
    classes = model.num_classes if isinstance(model, Detector) else 0
    of = weights or type(model).__name__
    entries = []
    with write_atomically(folder / PAGE) as temporary, temporary.open("w", encoding="utf-8") as file:
        page = ExplanationPage(file, f"What the attention of {of} looks at", _about(question, model), made_with)
        for number, explanation in enumerate(explanations, start=1):
            name = _file_name(explanation.picture.name, number)
            figure = figure_of(explanation, classes)
            save_figure(figure, folder / f"{name}.png")
            save_figure(figure, folder / f"{name}.svg")
            with write_atomically(folder / f"{name}.npz") as numbers:
                np.savez_compressed(numbers, **_arrays(explanation))
            page.add(explanation, (folder / f"{name}.png").read_bytes())
            entries.append({"files": [f"{name}.{kind}" for kind in ("png", "svg", "npz")], **_entry(explanation)})
        if not entries:
            raise DataError("there is no image to explain", remedy="name at least one that can be read")
        page.close()
    manifest = {
        "versions": made_with,
        "model": type(model).__name__,
        "weights": weights or None,
        "question": asdict(question),
        "images": entries,
    }
    write_json(folder / MANIFEST, manifest, indent=1)
    return len(entries)


@contextmanager
def _whole_or_not(folder: Path) -> Iterator[None]:
    """Take a folder that we have made away again if the block fails."""
    try:
        yield
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise cannot_write(folder, error) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _about(question: Question, model: nn.Module) -> str:
    sites = "all attention modules" if question.site == "*" else f"attention modules that match {question.site}"
    least = f"; detections of confidence {question.thresholds.confidence:g} or more"
    return f"{sites[0].upper()}{sites[1:]}{least if isinstance(model, Detector) else ''}."


def _file_name(name: str, number: int) -> str:
    """Return a name that every file system takes, and no other image has.

    Example:
        >>> _file_name("photos/my cat?.jpg", 7)
        '007-my_cat_'
    """
    return f"{number:03d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', Path(name).stem)[:80]}"


def _arrays(explanation: Explanation) -> dict[str, Any]:
    arrays: dict[str, Any] = {"extent": np.array(explanation.picture.extent)}
    for site in explanation.sites:
        maps = {"spatial": site.spatial, "channels": site.channels, "before": site.before, "after": site.after}
        arrays |= {f"{site.path}/{name}": values for name, values in maps.items() if values is not None}
    if explanation.activation is not None:
        arrays |= {f"cam/{method}": values for method, values in explanation.activation.maps.items()}
    for answer, prefix in ((explanation.answer, ""), (explanation.without, "without/")):
        found = answer.detections
        if found is not None:
            arrays |= {f"{prefix}boxes": found.xyxy, f"{prefix}confidences": found.confidence}
            arrays[f"{prefix}classes"] = found.class_id
    return arrays


def _entry(explanation: Explanation) -> dict[str, Any]:
    height, width = explanation.picture.pixels.shape[:2]
    shown = explanation.activation
    return {
        "image": explanation.picture.name,
        "width": width,
        "height": height,
        "extent": explanation.picture.extent,
        "with_attention": _answer(explanation.answer),
        "without_attention": _answer(explanation.without),
        "cam": None if shown is None else {"of": shown.words, "layer": shown.layer, "methods": list(shown.maps)},
        "sites": [_site(site) for site in explanation.sites],
        "notes": explanation.notes,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    if answer.detections is None:
        return {"classes": [{"class": each.name, "probability": each.probability} for each in answer.classes]}
    found = answer.detections
    names, sure = found.data["class_name"], found.confidence if found.confidence is not None else np.ones(len(found))
    rows = zip(map(str, names), sure.tolist(), found.xyxy.tolist(), strict=True)
    return {"detections": [{"class": name, "confidence": each, "xyxy": box} for name, each, box in rows]}


def _site(site: SiteView) -> dict[str, Any]:
    return {
        "path": site.path,
        "module": site.kind,
        "shape": site.shape,
        "join": site.join,
        "entropy": site.entropy,
        "spread": site.spread,
        "saturated": site.saturated,
        "features_before": float(site.before.mean()),
        "features_after": float(site.after.mean()),
        "parts": [asdict(part) for part in site.parts],
    }
