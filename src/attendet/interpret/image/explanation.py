"""A network and images → what its attention looks at, and what it changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from attendet.errors import AttendetError, DataError
from attendet.interpret.capture import AttentionPass, attention_sites, capture_attention
from attendet.interpret.finite import require_finite, require_finite_visit
from attendet.interpret.image.answer import Answer, Thresholds, class_number, classes_in, detections_in, is_scores
from attendet.interpret.image.cam import Activation, activation, shapes
from attendet.interpret.image.input_image import ImageLike, Picture, for_classifier, for_detector, of_tensor, read
from attendet.interpret.image.question import Question, check
from attendet.interpret.image.site_view import SiteView, make_site_view
from attendet.interpret.image.target import target_of
from attendet.models.detector import Detector
from attendet.surgery import disabled
from attendet.utils.modules import evaluation_mode, unwrapped
from attendet.weights.io import opening

USUAL_SIZES = {True: 640, False: 224}


@dataclass(frozen=True)
class Explanation:
    """What a network's attention does with an image.

    Attributes:
        picture: The image, and the tensor that the network got.
        sites: Each attention module's part, in the order in which they run.
        answer: What the network says.
        without: What it says with the attention at these sites disabled.
        activation: Class activation maps of the chosen detection or class; None where there is none.
        notes: What a reader has to know, in sentences.
    """

    picture: Picture
    sites: tuple[SiteView, ...]
    answer: Answer
    without: Answer
    activation: Activation | None
    notes: tuple[str, ...]


def explain(
    model: nn.Module | str | os.PathLike[str],
    images: ImageLike | Tensor | Sequence[ImageLike | Tensor],
    *,
    out: str | os.PathLike[str] | None = None,
    site: str = "*",
    class_name: str | int | None = None,
    detection: int = 1,
    confidence: float = 0.25,
    iou: float = 0.45,
    names: Sequence[str] = (),
    imgsz: int | None = None,
) -> list[Explanation]:
    """Show what the attention of a network looks at in images, and what it changes.

    For each attention module: the weights it multiplied the features by, over the image and by channel, and the
    features before and after. What the network says with and without its attention; LayerCAM and Grad-CAM++ of one
    detection or class. All in coordinates of the images.

    Each image costs three passes. The network is left as it was: hooks, training flags and gradients. One that was
    compiled or distributed is explained by its plain twin.

    Args:
        model: A network with attention, attached or built in: a detector of ours, a classifier whose output is
            (N, classes), or any other that takes (N, C, H, W), of which only the attention is shown; or a file of a
            detector's weights, or the folder of a run.
        images: Paths, arrays (H, W, 3) of red, green, blue in 0-255, Pillow images, or one of these. Detectors get
            them letterboxed, in 0-1; others as torchvision's classifiers do: the center, 7/8 of the shorter side,
            normalized as ImageNet. For anything else tensors (N, C, H, W) or (C, H, W), which are taken as they are.
        out: A folder for figures, page and numbers, as `attendet explain` writes them; it must not exist.
        site: Which attention modules, by their paths, with `*` and `?` as in names of files.
        class_name: Name or number of the class to explain; by default that of the best detection, or the best class.
        detection: Which detection (of that class), the most confident being 1.
        confidence: Least confidence of detections, in 0-1.
        iou: Boxes of one class that overlap a better one by more are dropped, in 0-1.
        names: The classes' names, by number; a file of weights has its own.
        imgsz: Longer side in pixels for detectors, that of training or 640 by default; side for others, 224.

    Returns:
        One for each image. They hold the images: for very many, use `explanations`, which yields one after the other.

    Raises:
        OptionError: If there is no attention in the network, or an option has no such value.
        UnknownNameError: If no attention matches `site`, or there is no such class.
        DataError: If an image cannot be read.
        WeightsError: If the weights cannot be read, or the network gives what is not finite.
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
    question = Question(
        site=site,
        class_name=class_name,
        detection=detection,
        thresholds=Thresholds(float(confidence), float(iou)),
        names=tuple(names),
        imgsz=imgsz,
    )
    network, question = opened(model, question)
    if out is None:
        return list(explanations(network, images, question))
    # Drawing takes a second to import.
    from attendet.interpret.image.writer import write_explanations  # noqa: PLC0415

    kept: list[Explanation] = []
    write_explanations(
        _kept(explanations(network, images, question), kept),
        Path(out),
        network,
        question,
        "" if isinstance(model, nn.Module) else os.fspath(model),
    )
    return kept


def opened(model: nn.Module | str | os.PathLike[str], question: Question) -> tuple[nn.Module, Question]:
    """Return the network, opened where a file is named, and the question with what the file says about itself."""
    if isinstance(model, nn.Module):
        return model, question
    weights = opening.open(model)
    names, size = question.names or weights.names, question.imgsz or weights.imgsz
    return weights.detector, replace(question, names=names, imgsz=size)


def explanations(
    model: nn.Module,
    images: ImageLike | Tensor | Iterable[ImageLike | Tensor],
    question: Question | None = None,
    skip: Callable[[AttendetError], None] | None = None,
) -> Iterator[Explanation]:
    """Yield an explanation of one image after the other, so that memory is bounded.

    Args:
        model: As in `explain`, no file.
        images: As in `explain`; they are read one at a time.
        question: What is asked.
        skip: Told of images that cannot be read, which are left out; if None they raise.

    Raises:
        OptionError: As `explain`.
        UnknownNameError: As `explain`.
        DataError: As `explain`.
        WeightsError: If the network gives what is not finite.
    """
    question = question or Question()
    check(question)
    # Asked once before any image is read, and again by every pass.
    with unwrapped(model) as network:
        attention_sites(network, question.site)
        reference = next(iter(network.parameters()), torch.zeros(()))
        prepare = _preparation(network, question)
        if isinstance(network, Detector) and question.class_name is not None:
            class_number(question.class_name, question.names, network.num_classes)
    for number, image in enumerate(_each(images), start=1):
        try:
            picture = prepare(number, image)
        except DataError as error:
            if skip is None:
                raise
            skip(error)
            continue
        tensor = picture.tensor.to(reference.device, reference.dtype)
        with unwrapped(model) as network, evaluation_mode(network):
            explanation = _explained(network, replace(picture, tensor=tensor), question)
        yield explanation


def _explained(model: nn.Module, picture: Picture, question: Question) -> Explanation:
    views: list[SiteView] = []

    def take(visit: AttentionPass) -> None:
        require_finite_visit(visit)
        views.append(make_site_view(visit))

    with torch.no_grad():
        with shapes(model) as seen, capture_attention(model, take, question.site) as chosen:
            output = model(picture.tensor)
        for each in output if isinstance(output, tuple) else (output,):
            if isinstance(each, Tensor):
                require_finite(each, "the network's output")
        with ExitStack() as off:
            for module in chosen.values():
                off.enter_context(disabled(module))
            without = model(picture.tensor)
    answer, answer_without = _answer(model, output, picture, question), _answer(model, without, picture, question)
    found, note = target_of(model, output, answer, seen, question)
    shown = activation(model, picture.tensor, found) if found else None
    notes = [note] if note else []
    if found and not shown:
        notes.append(f"{found.words} does not depend on the features of {found.layer}: no CAM.")
    notes += [f"{path} did not run in this pass." for path in chosen if not any(_is_at(each, path) for each in views)]
    kept = replace(picture, tensor=picture.tensor.cpu())
    return Explanation(kept, tuple(views), answer, answer_without, shown, tuple(notes))


def _answer(model: nn.Module, output: object, picture: Picture, question: Question) -> Answer:
    if isinstance(model, Detector) and isinstance(output, tuple):
        names = question.names or tuple(str(number) for number in range(model.num_classes))
        return detections_in(model, output, picture, names, question.thresholds)
    if isinstance(output, Tensor) and is_scores(model, output):
        return classes_in(output, question.names)
    return Answer()


def _preparation(model: nn.Module, question: Question) -> Callable[[int, ImageLike | Tensor], Picture]:
    """Return what makes a picture of the n-th image."""
    is_detector = isinstance(model, Detector)
    size = question.imgsz or USUAL_SIZES[is_detector]
    stride = int(max(model.strides)) if isinstance(model, Detector) else 1

    def prepare(number: int, image: ImageLike | Tensor) -> Picture:
        if isinstance(image, Tensor):
            height, width = image.shape[2:]
            if height % stride or width % stride:
                raise DataError(
                    f"image {number} is a tensor of {height} x {width} pixels",
                    remedy=f"give this detector multiples of {stride}, or an array or a path to be letterboxed",
                )
            return of_tensor(f"image {number}", image)
        name, pixels = read(image, number)
        return for_detector(name, pixels, size, stride) if is_detector else for_classifier(name, pixels, size)

    return prepare


def _each(images: ImageLike | Tensor | Iterable[ImageLike | Tensor]) -> Iterator[ImageLike | Tensor]:
    if isinstance(images, Tensor):
        if images.ndim not in (3, 4) or 0 in images.shape or not images.is_floating_point():
            raise DataError(
                f"the images are {images.dtype} of the shape {tuple(images.shape)}",
                remedy="give a floating-point tensor (N, C, H, W), as the network takes it",
            )
        yield from images.reshape(-1, *images.shape[-3:]).split(1)
    elif isinstance(images, str | os.PathLike | np.ndarray | Image.Image):
        yield images
    else:
        for image in images:
            yield from _each(image) if isinstance(image, Tensor) else (image,)


def _is_at(each: SiteView, path: str) -> bool:
    return each.path.split("#")[0] == path


def _kept(each: Iterable[Explanation], kept: list[Explanation]) -> Iterator[Explanation]:
    for explanation in each:
        kept.append(explanation)
        yield explanation
