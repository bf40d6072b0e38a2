"""The functions that explain images: where attention looks, and how it changes the output."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from attendet.data.images import ImageLike
from attendet.detection.class_names import class_index
from attendet.errors import AttendetError, DataError
from attendet.interpret.capture import (
    AttentionPass,
    attention_sites,
    capture_attention,
    require_finite,
    require_finite_features,
)
from attendet.interpret.image.activation_target import find_target
from attendet.interpret.image.class_activation import compute_class_activation, record_feature_shapes
from attendet.interpret.image.explanation import Explanation
from attendet.interpret.image.file_explainer import file_explanations
from attendet.interpret.image.input_image import (
    InputImage,
    center_cropped_image,
    image_of_tensor,
    letterboxed_image,
    read_pixels,
)
from attendet.interpret.image.network_output import read_output
from attendet.interpret.image.request import ExplanationRequest
from attendet.interpret.image.site_explanation import SiteExplanation, explain_site
from attendet.models.detector import Detector
from attendet.runtimes.exported_file import ExportedFile
from attendet.runtimes.runtime_files import is_exported, open_detector_file
from attendet.surgery import disabled
from attendet.utils.devices import resolve_device
from attendet.utils.modules import evaluation_mode, unwrapped
from attendet.weights.io import opening

DETECTOR_IMGSZ, CLASSIFIER_IMGSZ = 640, 224
"""Default image sizes in pixels."""


def explain(
    model: nn.Module | str | os.PathLike[str],
    images: ImageLike | Tensor | Sequence[ImageLike | Tensor],
    *,
    out: str | os.PathLike[str] | None = None,
    site: str = "*",
    class_name: str | int | None = None,
    detection: int = 1,
    confidence: float = 0.25,
    iou: float | None = None,
    names: Sequence[str] = (),
    imgsz: int | None = None,
) -> list[Explanation]:
    """Explain where the attention of a network looks in images, and how it changes the output.

    An explanation has, for each attention module, the weights that multiply the features, over positions and over
    channels, and the features before and after. It also has the output of the network with and without its attention,
    and LayerCAM and Grad-CAM++ of one detection or class. All maps are in the coordinates of the image.

    Each image takes three forward passes. The network is not changed: neither its hooks, nor its training flags, nor
    its gradients. A network that is compiled or wrapped for distributed training is explained without its wrapper.

    Args:
        model: A network with attention, attached or built in: a `Detector`, a classifier that returns logits
            (N, num_classes), or any other network that takes (N, C, H, W), whose attention alone is explained. Or the
            weights of a detector: a run's folder, a `.safetensors` file, a YOLOv5 `.pt` checkpoint, or a file that was
            exported with `gates`. Explanations from such a file have neither class activation maps nor the output
            without attention.
        images: Paths, arrays (H, W, 3) of red, green, blue in 0-255, Pillow images, or one of these. Detectors take
            them letterboxed, with values in 0-1; other networks as torchvision's classifiers do: the center, 7/8 of the
            shorter side, normalized. Tensors (N, C, H, W) or (C, H, W) are passed to the network unchanged.
        out: Folder for figures, page, and numbers, as `attendet explain` writes them; it must not exist (default:
            nothing is written).
        site: Pattern of the paths of the attention modules, with the wildcards `*` and `?`.
        class_name: Name or index of the class to explain (default: that of the best detection, or the best class).
        detection: Number of the detection (of that class) to explain; 1 is the most confident.
        confidence: Smallest score of a detection, 0-1.
        iou: IoU threshold of non-maximum suppression, 0-1 (default: that of the model).
        names: Class names, in the order of their indices (default: those in the weights file).
        imgsz: Longer side in pixels for detectors (default: that of training, or 640); side for other networks
            (default: 224).

    Returns:
        One explanation per image. They hold the images in memory: for many images, use `explanations`, which yields
        them one at a time.

    Raises:
        OptionError: If the network has no attention, or an option is invalid.
        UnknownNameError: If no attention module matches `site`, or `class_name` is unknown.
        DataError: If an image cannot be read.
        WeightsError: If the weights cannot be read, or the network computes values that are not finite.
        OutputError: If `out` exists, or cannot be written.

    Example:
        >>> import attendet
        >>> from torchvision.models import resnet18
        >>> model = resnet18()
        >>> _ = attendet.attach(model, "cbam", "stage:3-4")
        >>> (explanation,) = attendet.explain(model, torch.rand(1, 3, 64, 96))
        >>> [(site.path, site.spatial.shape, site.join) for site in explanation.sites]
        [('layer3.attention', (4, 6), 'product'), ('layer4.attention', (2, 3), 'product')]
    """
    request = ExplanationRequest(
        site=site,
        class_name=class_name,
        detection=detection,
        confidence=confidence,
        iou=iou,
        names=tuple(names),
        imgsz=imgsz,
    )
    network, request = open_network(model, request, "cpu")
    explained = explanations(network, images, request)
    if out is None:
        return list(explained)
    # The writer imports matplotlib, which takes a second.
    from attendet.interpret.image.writer import write_explanations  # noqa: PLC0415

    collected: list[Explanation] = []
    weights = "" if isinstance(model, nn.Module) else os.fspath(model)
    write_explanations(_collect(explained, collected), Path(out), network, request, weights)
    return collected


def open_network(
    model: nn.Module | str | os.PathLike[str], request: ExplanationRequest, device: str = "auto"
) -> tuple[nn.Module | ExportedFile, ExplanationRequest]:
    """Return the network of weights on a device, and the request with their class names and image size as defaults.

    A network is returned as it is, with the request.

    Raises:
        WeightsError: If the weights cannot be read.
        OptionError: If the device does not exist, or a package that an exported file needs is not installed.
    """
    if isinstance(model, nn.Module):
        return model, request
    if is_exported(model):
        return open_detector_file(Path(model), device), request
    opened = opening.open(model)
    names, imgsz = request.names or opened.names, request.imgsz or opened.imgsz
    request = replace(request, names=names, imgsz=imgsz, bit_depth=opened.bit_depth)
    return opened.detector.to(resolve_device(device)), request


def explanations(
    model: nn.Module | ExportedFile,
    images: ImageLike | Tensor | Iterable[ImageLike | Tensor],
    request: ExplanationRequest | None = None,
    on_skip: Callable[[AttendetError], None] | None = None,
) -> Iterator[Explanation]:
    """Yield the explanations of images one at a time.

    Args:
        model: A network, as in `explain`, or an exported file.
        images: Images, as in `explain`; they are read one at a time.
        request: Options of the explanations.
        on_skip: Called with the error of each image that cannot be read; the image is skipped (default: the error is
            raised).

    Raises:
        OptionError: If the network has no attention, or an option is invalid.
        UnknownNameError: If no attention module matches, or the class is unknown.
        DataError: If an image cannot be read.
        WeightsError: If the network computes values that are not finite.
    """
    request = request or ExplanationRequest()
    if isinstance(model, ExportedFile):
        yield from file_explanations(model, _single_images(images), request, on_skip)
        return
    # Errors in the request are raised before an image is read.
    with unwrapped(model) as network:
        attention_sites(network, request.site)
        reference = next(iter(network.parameters()), torch.zeros(()))
        prepare = _preparation(network, request)
        if isinstance(network, Detector) and request.class_name is not None:
            class_index(request.class_name, request.names, network.num_classes)
    for number, each in enumerate(_single_images(images), start=1):
        try:
            image = prepare(number, each)
        except DataError as error:
            if on_skip is None:
                raise
            on_skip(error)
            continue
        tensor = image.tensor.to(reference.device, reference.dtype)
        with unwrapped(model) as network, evaluation_mode(network):
            explanation = _explain_image(network, replace(image, tensor=tensor), request)
        yield explanation


def _explain_image(model: nn.Module, image: InputImage, request: ExplanationRequest) -> Explanation:
    sites: list[SiteExplanation] = []

    def receive(call: AttentionPass) -> None:
        require_finite_features(call)
        sites.append(explain_site(call))

    with torch.no_grad():
        with record_feature_shapes(model) as shapes, capture_attention(model, receive, request.site) as modules:
            raw_output = model(image.tensor)
        for each in raw_output if isinstance(raw_output, tuple) else (raw_output,):
            if isinstance(each, Tensor):
                require_finite(each, "the outputs of the network")
        with ExitStack() as stack:
            for module in modules.values():
                stack.enter_context(disabled(module))
            raw_without = model(image.tensor)
    output, output_without = (read_output(model, raw, image, request) for raw in (raw_output, raw_without))
    target, note = find_target(model, raw_output, output, shapes, image.tensor.shape[2:], request)
    activation = compute_class_activation(model, image.tensor, target) if target else None
    notes = [note] if note else []
    if target and not activation:
        notes.append(f"No class activation map: {target.label} does not depend on the features of {target.layer}.")
    have_run = {site.path.split("#")[0] for site in sites}
    notes += [f"{path} did not run in this forward pass." for path in modules if path not in have_run]
    on_cpu = replace(image, tensor=image.tensor.cpu())
    return Explanation(on_cpu, tuple(sites), output, output_without, activation, tuple(notes))


def _preparation(model: nn.Module, request: ExplanationRequest) -> Callable[[int, ImageLike | Tensor], InputImage]:
    """Return the function that prepares an image, given its number from 1, for the network."""
    is_detector = isinstance(model, Detector)
    imgsz = request.imgsz or (DETECTOR_IMGSZ if is_detector else CLASSIFIER_IMGSZ)
    stride = int(max(model.strides)) if isinstance(model, Detector) else 1

    def prepare(number: int, image: ImageLike | Tensor) -> InputImage:
        if isinstance(image, Tensor):
            height, width = image.shape[2:]
            if height % stride or width % stride:
                raise DataError(
                    f"image {number}: the sides of a tensor must be multiples of {stride}, got {height}x{width}",
                    remedy="pass an array or a path, which is letterboxed",
                )
            return image_of_tensor(f"image {number}", image)
        name, pixels = read_pixels(image, number, request.bit_depth)
        if is_detector:
            return letterboxed_image(name, pixels, imgsz, stride)
        return center_cropped_image(name, pixels, imgsz)

    return prepare


def _single_images(images: ImageLike | Tensor | Iterable[ImageLike | Tensor]) -> Iterator[ImageLike | Tensor]:
    """Yield images one by one; tensors as (1, C, H, W)."""
    if isinstance(images, Tensor):
        if images.ndim not in (3, 4) or 0 in images.shape or not images.is_floating_point():
            shape = tuple(images.shape)
            raise DataError(f"a tensor of images must be floating-point (N, C, H, W), got {images.dtype} of {shape}")
        yield from images.reshape(-1, *images.shape[-3:]).split(1)
    elif isinstance(images, str | os.PathLike | np.ndarray | Image.Image):
        yield images
    else:
        for image in images:
            yield from _single_images(image) if isinstance(image, Tensor) else (image,)


def _collect(explained: Iterable[Explanation], collected: list[Explanation]) -> Iterator[Explanation]:
    """Yield explanations, and append each to a list."""
    for explanation in explained:
        collected.append(explanation)
        yield explanation
