"""One network on its way into files: its graph in torch, and the steps that several formats share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from attendet.data.loading.resizing import ImageSize
from attendet.exporting.export_options import ExportOptions
from attendet.exporting.graph import DetectorGraph, GateGraph, GateOutputs, NetworkGraph, find_gate_sites, named_outputs
from attendet.exporting.onnx_file import write_onnx
from attendet.exporting.program import export_program
from attendet.exporting.subject import ExportSubject
from attendet.interpret.capture import capture_attention
from attendet.models.detector import Detector
from attendet.runtimes.file_description import FileDescription, InputShape, LetterboxRule
from attendet.surgery import disabled


class GraphSource:
    """The graph of a network with the options of an export.

    Args:
        subject: The network.
        options: Properties of the files.
        imgsz: Longer side in pixels, or height and width of all canvases.
        dtype: Type in which the network computes.
        folder: Folder for files that several formats need.
    """

    def __init__(
        self, subject: ExportSubject, options: ExportOptions, imgsz: ImageSize, dtype: torch.dtype, folder: Path
    ) -> None:
        self.subject, self.options, self.folder = subject, options, folder
        self.network = subject.prepared(dtype)
        selection, suppression = options.selection, subject.description.suppression
        self.selection = selection.baked(suppression) if selection and suppression else None
        self.images = subject.example_images(_canvas(imgsz, subject.description.strides), options.batch or 1)
        self._longer_side = max(imgsz) if isinstance(imgsz, tuple) else imgsz
        self._dtype = dtype
        self._gates = self._find_gates()
        self.graph = self._build_graph()

    @cached_property
    def description(self) -> FileDescription:
        """What the files contain, before they are compared with torch."""
        shape = InputShape()
        fixed = tuple(self.images.shape)
        if self.options.static:
            # Other networks may take volumes; their size is not described.
            height, width = fixed[2:] if len(fixed) == 4 else (None, None)
            shape = InputShape(batch=fixed[0], height=height, width=width)
        known = self.subject.description
        letterbox = LetterboxRule(canvas="fixed") if known.letterbox and self.options.static else known.letterbox
        changes = {
            "imgsz": known.imgsz and self._longer_side,
            "shape": shape,
            "letterbox": letterbox,
            "selection": self.selection,
            "outputs": (*self._output_names(), *(self._gates.names if self._gates else ())),
            "gates": self._gates.sites if self._gates else (),
            "precision": self.options.precision,
            "attention": known.attention if self.options.attention else (),
            "has_attention": known.has_attention and self.options.attention,
        }
        return known.model_copy(update=changes)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Disable attention, or capture its maps, as the options require, while the graph runs or is recorded."""
        with ExitStack() as stack:
            stack.enter_context(self._without_attention())
            if self._gates is not None:
                stack.enter_context(capture_attention(self.network, self._gates.calls.append))
            yield

    @cached_property
    def program(self) -> ExportedProgram:
        """The program of torch.export."""
        with self.running():
            return export_program(self.graph, self.images, dynamic=not self.options.static)

    @cached_property
    def onnx_file(self) -> Path:
        """An ONNX file in floating point; the files that are made from it get descriptions of their own."""
        path = self.folder / "source.onnx"
        write_onnx(self.program, path, self.description, self.options.opset)
        return path

    def _find_gates(self) -> GateOutputs | None:
        if not self.options.gates:
            return None
        sites = find_gate_sites(self.network, self.images.to(self._dtype))
        return GateOutputs(sites, [])

    def _build_graph(self) -> nn.Module:
        if isinstance(self.network, Detector):
            graph: nn.Module = DetectorGraph(self.network, self.selection)
        else:
            graph = NetworkGraph(self.network, self._dtype)
        return (graph if self._gates is None else GateGraph(graph, self._gates)).train(False)

    def _output_names(self) -> tuple[str, ...]:
        if isinstance(self.network, Detector):
            return ("predictions",) if self.selection is None else ("detections",)
        with torch.no_grad(), self._without_attention():
            return tuple(named_outputs(self.network(self.images.to(self._dtype))))

    def _without_attention(self) -> AbstractContextManager[None]:
        """Disable attention if the options leave it out."""
        return nullcontext() if self.options.attention else disabled(self.network)


def _canvas(imgsz: ImageSize, strides: Sequence[float]) -> tuple[int, int]:
    """Return height and width of an example, multiples of the largest stride."""
    height, width = imgsz if isinstance(imgsz, tuple) else (imgsz, imgsz)
    stride = int(max(strides, default=1))
    return -(-height // stride) * stride, -(-width // stride) * stride
