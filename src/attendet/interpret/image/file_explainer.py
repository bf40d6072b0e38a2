"""Explanations from an exported file that returns the maps of its attention: without the network in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray
from supervision import Detections
from torch import Tensor

from attendet.data.images import ImageLike
from attendet.detection.class_names import class_name
from attendet.detection.postprocess import DetectionThresholds
from attendet.errors import AttendetError, DataError, Location, OptionError, WeightsError, unknown_name
from attendet.interpret.capture import GateOutput
from attendet.interpret.image.explanation import Explanation
from attendet.interpret.image.input_image import InputImage, letterboxed_image, read_pixels
from attendet.interpret.image.network_output import NetworkOutput
from attendet.interpret.image.request import ExplanationRequest
from attendet.interpret.image.site_explanation import SiteExplanation, summarize_part
from attendet.runtimes.exported_file import ExportedFile
from attendet.runtimes.file_description import GateSite
from attendet.runtimes.image_size import choose_image_size
from attendet.runtimes.selection import choose_thresholds, select_in_images

_NOTE = "An exported file has neither class activation maps nor an output without attention: explain the weights."


def file_explanations(
    file: ExportedFile,
    images: Iterable[ImageLike | Tensor],
    request: ExplanationRequest,
    on_skip: Callable[[AttendetError], None] | None = None,
) -> Iterator[Explanation]:
    """Yield the explanations of images one at a time, from the outputs of an exported file.

    Args:
        file: A detector that was exported with `gates`.
        images: Images, as in `attendet.explain`; they are read one at a time.
        request: Options of the explanations. A class or a detection cannot be chosen, because class activation maps
            need the network.
        on_skip: Called with the error of each image that cannot be read; the image is skipped (default: the error is
            raised).

    Raises:
        OptionError: If the file has no maps, or an option is invalid.
        UnknownNameError: If no attention module matches.
        DataError: If an image cannot be read.
        WeightsError: If the outputs of the file differ from its description.
    """
    sites = _chosen_sites(file, request.site)
    if request.class_name is not None or request.detection != 1:
        raise OptionError(
            "`class` and `detection` must be left out for an exported file, which has no class activation maps",
            remedy="explain the weights",
        )
    defaults = request.thresholds(file.suppression)
    thresholds = choose_thresholds(file, defaults, confidence=request.confidence, iou=request.iou)
    imgsz = choose_image_size(file, request.imgsz)
    stride = int(max(file.strides))
    for number, each in enumerate(images, start=1):
        try:
            name, pixels = _read_pixels(each, number, file.description.bit_depth or 16)
        except DataError as error:
            if on_skip is None:
                raise
            on_skip(error)
            continue
        image = letterboxed_image(name, pixels, imgsz, stride)
        # A program of torch.export leaves its outputs on the device that computed them.
        outputs = {name: values.cpu() for name, values in file.run(image.tensor).items()}
        found = _detections(file, outputs[file.description.outputs[0]], image, thresholds)
        try:
            explained = tuple(explain_gate_site(site, outputs) for site in sites)
        except (KeyError, ValueError, IndexError, RuntimeError) as error:
            message = "the maps of attention must be outputs of the file, and have the shapes of maps"
            raise WeightsError(message, where=Location(str(file.path)), remedy="export the weights again") from error
        yield Explanation(image, explained, found, NetworkOutput(), None, (_NOTE,))


def explain_gate_site(site: GateSite, outputs: dict[str, Tensor]) -> SiteExplanation:
    """Return maps and numbers of an attention module for the first image, from the outputs of a file.

    Args:
        site: The module, and the names of its outputs.
        outputs: The outputs by name.

    Raises:
        ValueError: If a map has another number of axes than its name requires.
    """
    maps = {name: outputs[output][0].numpy().astype(np.float32) for name, output in site.maps.items()}
    for name, values in maps.items():
        if values.ndim != (1 if name == "channels" else 2):
            raise ValueError(f"the map {name!r} of an image must not have {values.ndim} axes")
    height, width = maps["before"].shape
    parts = [GateOutput(part.name, part.role, outputs[part.output], part.outermost, part.range) for part in site.parts]
    return SiteExplanation(
        path=site.path,
        module=site.module,
        shape=(site.channels, height, width),
        join=site.join,
        spatial=maps.get("spatial"),
        spatial_kind=site.spatial_kind,
        channels=maps.get("channels"),
        channel_kind=site.channel_kind,
        before=maps["before"],
        after=maps["after"],
        parts=tuple(map(summarize_part, parts)),
    )


def _read_pixels(image: ImageLike | Tensor, number: int, bit_depth: int) -> tuple[str, NDArray[np.uint8]]:
    if isinstance(image, Tensor):
        raise DataError(f"image {number} must be a path, an array, or a Pillow image for an exported file")
    return read_pixels(image, number, bit_depth)


def _chosen_sites(file: ExportedFile, pattern: str) -> tuple[GateSite, ...]:
    sites = file.description.gates
    if not sites:
        raise OptionError(
            "the file must return the maps of its attention to be explained, got none",
            where=Location(str(file.path)),
            remedy="export the weights with --gates",
        )
    chosen = tuple(site for site in sites if fnmatchcase(site.path, pattern))
    if not chosen:
        raise unknown_name("attention module", pattern, (site.path for site in sites))
    return chosen


def _detections(
    file: ExportedFile, output: Tensor, image: InputImage, thresholds: DetectionThresholds
) -> NetworkOutput:
    selection = file.description.selection
    (rows,) = select_in_images(output, selection, [image.placement], thresholds)
    values = rows.numpy()
    class_ids = values[:, 5].astype(np.int64)
    names = np.array([class_name(index, file.names) for index in class_ids.tolist()], np.str_)
    detections = Detections(xyxy=values[:, :4], confidence=values[:, 4], class_id=class_ids, data={"class_name": names})
    return NetworkOutput(detections=detections, num_classes=len(file.names))
