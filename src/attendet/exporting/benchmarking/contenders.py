"""The variants of a network, opened and ready to run."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from attendet.errors import OptionError
from attendet.exporting import ExportSubject
from attendet.exporting.benchmarking.variants import Variant
from attendet.exporting.graph import DetectorGraph, NetworkGraph
from attendet.models.detector import Detector, prepare_for_inference
from attendet.runtimes.exported_file import ExportedFile
from attendet.runtimes.openvino_model import OpenVinoRuntime
from attendet.runtimes.protocol import Runtime
from attendet.runtimes.runtime_files import open_file
from attendet.runtimes.torch_runtime import TorchRuntime
from attendet.weights.io.model_card import ModelCard


class NetworkRuntime(ExportedFile):
    """A network in torch on the CPU that is not a detector, or that torch compiles.

    Args:
        subject: The network; it is not changed.
        compiled: Whether torch compiles it.
    """

    def __init__(self, subject: ExportSubject, *, compiled: bool = False) -> None:
        super().__init__(Path(subject.name), subject.description)
        network = subject.network
        if isinstance(network, Detector):
            graph: nn.Module = DetectorGraph(prepare_for_inference(network, "cpu"))
            self._memory_format = torch.channels_last
        else:
            graph = NetworkGraph(copy.deepcopy(network).cpu())
            self._memory_format = torch.contiguous_format
        graph.train(False)
        self._graph = torch.compile(graph) if compiled else graph

    @torch.inference_mode()
    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the first output for images (N, C, …)."""
        return tuple(self._graph(images.contiguous(memory_format=self._memory_format)))[:1]


def open_contender(variant: Variant, *, subject: ExportSubject | None = None, path: Path | None = None) -> Runtime:
    """Return the runtime of a variant on the CPU; it has as many threads as torch.

    Args:
        variant: The variant.
        subject: The network, for a variant in torch.
        path: The file, for any other variant.

    Raises:
        OptionError: If the network or the file of the variant is not given, or a package is missing.
        WeightsError: If the file cannot be read.

    Example:
        >>> open_contender(Variant("onnx"))
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `path` must be a file for onnx, got None
    """
    if variant.file_format is None:
        if subject is None:
            raise OptionError(f"`subject` must be a network for {variant.name}, got None")
        network = subject.network
        if not isinstance(network, Detector) or variant.compiled:
            return NetworkRuntime(subject, compiled=variant.compiled)
        return TorchRuntime(network, _card(subject))
    if path is None:
        raise OptionError(f"`path` must be a file for {variant.name}, got None")
    if variant.native:
        return OpenVinoRuntime(path, native_precision=True)
    if variant.file_format == "executorch":
        from attendet.runtimes.executorch_program import ExecutorchRuntime  # noqa: PLC0415 - an extra

        return ExecutorchRuntime(path)
    return open_file(path, "cpu")


def _card(subject: ExportSubject) -> ModelCard:
    known = subject.description
    return ModelCard(known.model or "", known.text or "", "auto", known.names, subject.imgsz, known.bit_depth)
