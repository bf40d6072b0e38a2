"""Export a network with one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from attendet.api.validation import data_of
from attendet.data.images import read_image
from attendet.data.loading.resizing import ImageSize
from attendet.data.reading.data_source import DataSource
from attendet.data.records import Split
from attendet.errors import DataError, OptionError
from attendet.evaluation.validation import read_split_for_classes
from attendet.exporting import ExportData, Exported, ExportOptions, ExportSubject, SelectionOptions, export_network
from attendet.models import build
from attendet.models.detector import Detector
from attendet.models.yaml.lookup import load_model_file
from attendet.runtimes.file_description import FileDescription
from attendet.runtimes.network_description import describe_detector, describe_network
from attendet.utils.modules import unwrap
from attendet.utils.sampling import evenly_spaced
from attendet.weights.io import opening
from attendet.weights.io.model_card import ModelCard

DEFAULT_FOLDER = Path("runs/export")
_DEFAULT_IMGSZ = 640
_PARITY_IMAGES = 4


def export(
    model: nn.Module | str | os.PathLike[str],
    format: str = "onnx",  # noqa: A002 - the name that users know
    *,
    out: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    names: Sequence[str] = (),
    example: Tensor | None = None,
    imgsz: ImageSize | None = None,
    batch: int | None = None,
    static: bool = False,
    nms: bool = False,
    confidence: float = 0.25,
    iou: float | None = None,
    max_detections: int = 300,
    agnostic: bool = False,
    half: bool = False,
    int8: bool = False,
    gates: bool = False,
    attention: bool = True,
    opset: int = 20,
    tolerance: float | None = None,
    accept: bool = False,
    report: Callable[[str], None] | None = None,
) -> Exported:
    """Write a network as a file for another runtime, and compare the file with torch: `attendet export` as a function.

    Outputs are compared on several canvases and batch sizes; with `data`, the mAP of both is measured. A file that
    differs too much is kept with `.failed` at the end of its name. By default, a file takes any number of images and
    any size.

    Args:
        model: A detector or any other network, with or without attention; or a run's folder, a `.safetensors` file, a
            YOLO `.pt` checkpoint, or a model file. The network is not changed.
        format: `onnx`, `openvino`, `torch` (`.pt2`), `ncnn`, `executorch`, or `tensorrt` (ONNX that TensorRT reads).
        out: Folder of the file (default: that of the weights, or `runs/export`).
        data: A data.yaml, a folder, or a COCO JSON with which mAP is measured, and int8 files are calibrated (default:
            none; for int8 files of a run's folder, the data set of the run).
        names: Class names of a detector that is given as a network (default: numbers).
        example: An input of a network that is not a detector (default: noise with the channels of its first
            convolution and a common size).
        imgsz: Longer side in pixels that images are scaled to; for a static file also height and width (default: that
            of training, or 640).
        batch: Number of images that a static file takes (default: 1).
        static: Whether the file takes one size only, into which every image is letterboxed.
        nms: Whether the file selects detections itself, and returns (N, max_detections, 6).
        confidence: With `nms`: smallest score of a detection, 0-1.
        iou: With `nms`: IoU threshold of non-maximum suppression, 0-1 (default: that of the model, such as 0.45).
        max_detections: With `nms`: number of detections per image.
        agnostic: With `nms`: whether boxes of different classes suppress each other.
        half: Whether the network computes in float16.
        int8: Whether convolutions compute with 8 bits; needs a data set.
        gates: Whether the file also returns the maps of its attention modules.
        attention: Whether attention is kept; otherwise every attention module is left out.
        opset: Version of the ONNX operators.
        tolerance: Largest difference from torch: of scores, of coordinates as a fraction of the longer side of the
            canvas, and of other outputs as a fraction of the largest value (default: 1e-3; in float16 2e-2).
        accept: Whether a file whose mAP is too low is kept under its name.
        report: Called with a sentence before each step that takes seconds.

    Returns:
        The file, its differences from torch, and the description that it contains.

    Raises:
        OptionError: If an option is invalid, a package is missing, or the network cannot be expressed in the format.
        WeightsError: If the weights cannot be read.
        DataError: If the data set cannot be read.
        OutputError: If the file cannot be written.

    Example:
        >>> import attendet, tempfile
        >>> from torchvision.models import resnet18
        >>> model = resnet18(num_classes=10)
        >>> _ = attendet.attach(model, "cbam", "stage:3-4")
        >>> exported = attendet.export(model, "torch", out=tempfile.mkdtemp(), static=True)
        >>> exported.path.name, exported.passes, exported.metadata.outputs
        ('resnet-static.pt2', True, ('output',))
    """
    options = ExportOptions(
        imgsz=imgsz,
        batch=batch,
        static=static,
        selection=SelectionOptions(confidence, iou, max_detections, agnostic) if nms else None,
        precision="int8" if int8 else "float16" if half else "float32",
        gates=gates,
        attention=attention,
        opset=opset,
        tolerance=tolerance,
        accept=accept,
    )
    (exported,) = export_files(
        model, [format], out=out, data=data, names=names, example=example, options=options, report=report
    )
    return exported


def export_files(
    model: nn.Module | str | os.PathLike[str],
    formats: Sequence[str],
    *,
    options: ExportOptions,
    out: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    names: Sequence[str] = (),
    example: Tensor | None = None,
    report: Callable[[str], None] | None = None,
) -> Iterator[Exported]:
    """Write a network in several formats, and yield each file; the arguments are as in `export`."""
    opened = open_subject(model, names, example)
    subject = opened.subject
    is_int8 = options.precision == "int8"
    for_detectors = {"data": data, "nms": options.selection, "imgsz": options.imgsz, "int8": is_int8 or None}
    require_detector(subject.description, for_detectors)
    images = export_data(model, data, subject.description, is_measured=is_int8)
    folder = Path(out) if out is not None else opened.folder
    yield from export_network(subject, formats, folder, options, images, report)


@dataclass(frozen=True)
class OpenedSubject:
    """A network that a user named.

    Attributes:
        subject: The network.
        folder: Folder in which its files are expected.
    """

    subject: ExportSubject
    folder: Path


def open_subject(
    model: nn.Module | str | os.PathLike[str], names: Sequence[str], example: Tensor | None
) -> OpenedSubject:
    """Return the network that a user names, and the folder in which its files are expected."""
    if isinstance(model, nn.Module):
        network = unwrap(model)
        stem = type(network).__name__.lower()
        if isinstance(network, Detector):
            card = ModelCard("", "", "auto", _class_names(names, network.num_classes), _DEFAULT_IMGSZ)
            return OpenedSubject(ExportSubject(network, describe_detector(network, card), stem), DEFAULT_FOLDER)
        return OpenedSubject(ExportSubject(network, describe_network(network), stem, example), DEFAULT_FOLDER)
    if example is not None:
        raise OptionError("`example` must be left out for weights", remedy="give imgsz=…")
    if not os.path.lexists(model) or Path(model).suffix.lower() in (".yaml", ".yml"):
        file = load_model_file(os.fspath(model))
        detector = build(os.fspath(model)).train(False)
        card = ModelCard(file.name, file.text, "auto", _class_names(names, detector.num_classes), _DEFAULT_IMGSZ)
        name = Path(file.name).stem
        return OpenedSubject(ExportSubject(detector, describe_detector(detector, card), name), DEFAULT_FOLDER)
    opened = opening.open(model)
    description = describe_detector(opened.detector, opened.card)
    return OpenedSubject(ExportSubject(opened.detector, description, opened.path.stem), opened.path.parent)


def require_detector(description: FileDescription, options: Mapping[str, object]) -> None:
    """Raise an error if an option that only detectors have is given for another network.

    Args:
        description: Description of the network.
        options: Values of these options by name; None if an option is not given.

    Raises:
        OptionError: If one is given; the message names the first.
    """
    if description.kind == "detector":
        return
    given = next((name for name, value in options.items() if value is not None), None)
    if given is not None:
        raise OptionError(f"`{given}` must be left out for a network that is not a detector")


def _class_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    if names and len(names) != count:
        raise OptionError(f"`names` must name {count} classes, got {len(names)}")
    return tuple(names) or tuple(map(str, range(count)))


def export_data(
    model: nn.Module | str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    description: FileDescription,
    *,
    is_measured: bool,
) -> ExportData:
    """Return the images of the data set that is named, or else of the data set of the run.

    Args:
        model: The network, or its weights.
        data: The data set that is named, whose images are always used to measure mAP.
        description: Description of the network.
        is_measured: Whether the images of the run's data set are used to measure mAP, too, and not to compare outputs
            only. A data set that cannot be read is then an error.
    """
    if isinstance(model, nn.Module) and data is None:
        return ExportData()
    is_run = not isinstance(model, nn.Module) and Path(model).is_dir()
    if data is None and not is_run:
        return ExportData()
    try:
        source = data_of("" if isinstance(model, nn.Module) else model, data)
        split = _read(source, "val", description)
    except (DataError, OptionError):
        # The data set of a run may be gone; outputs are then compared on synthetic images.
        if data is not None or is_measured:
            raise
        return ExportData()
    chosen = [split.records[index] for index in evenly_spaced(len(split.records), _PARITY_IMAGES)]
    images = tuple(read_image(record.image, record.bit_depth) for record in chosen)
    measured = split if data is not None or is_measured else None
    return ExportData(images, measured, lambda: _read(source, "train", description))


def _read(source: DataSource, split: str, description: FileDescription) -> Split:
    return read_split_for_classes(description.names, source, split, bit_depth=description.bit_depth)
