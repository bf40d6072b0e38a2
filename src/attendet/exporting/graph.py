"""The networks that are exported: from images to the outputs of a file, with one tensor for each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attendet.detection.selection_operator import select_detections
from attendet.errors import OptionError
from attendet.interpret.capture import AttentionPass, capture_attention
from attendet.interpret.maps import find_join
from attendet.interpret.site_maps import compute_site_maps
from attendet.models.detector import Detector
from attendet.runtimes.file_description import BakedSelection, GateSite, GateTensor


class DetectorGraph(nn.Module):
    """A detector from images to predictions or detections.

    Args:
        detector: The detector, prepared for inference.
        selection: Options of the non-maximum suppression in the file; None returns all predictions.
    """

    def __init__(self, detector: Detector, selection: BakedSelection | None = None) -> None:
        super().__init__()
        self.detector, self.selection = detector, selection
        self.dtype = next(detector.parameters()).dtype

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return one output for images (N, 3, H, W) in 0-1, as in `FileDescription.outputs`."""
        predictions = self.detector.decode(self.detector(images.to(self.dtype)))
        if self.selection is None:
            return (predictions,)
        return (select_detections(predictions, **self.selection.model_dump()),)


class NetworkGraph(nn.Module):
    """Any other network, with a tuple of tensors as output.

    Args:
        network: A network that takes one tensor and returns a tensor, or a tuple, list, or mapping of tensors.
        dtype: Type in which it computes.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs, as float32."""
        outputs = named_outputs(self.network(images.to(self.dtype)))
        return tuple(output.float() if output.is_floating_point() else output for output in outputs.values())


def named_outputs(output: object) -> dict[str, Tensor]:
    """Return the tensors in the output of a network with their names in the file.

    Raises:
        OptionError: If the output contains anything else than tensors.

    Example:
        >>> list(named_outputs({"out": torch.zeros(1), "aux": torch.zeros(1)})), list(named_outputs(torch.zeros(1)))
        (['out', 'aux'], ['output'])
    """
    if isinstance(output, Tensor):
        return {"output": output}
    if isinstance(output, Mapping):
        items = {str(name): value for name, value in output.items()}
    elif isinstance(output, Sequence):
        items = {f"output{number}": value for number, value in enumerate(output)}
    else:
        raise OptionError(f"the network must return tensors to be exported, got {type(output).__name__}")
    tensors: dict[str, Tensor] = {}
    for name, value in items.items():
        inner = {"output": value} if isinstance(value, Tensor) else named_outputs(value)
        tensors |= {name if len(inner) == 1 else f"{name}.{each}": tensor for each, tensor in inner.items()}
    return tensors


@dataclass(frozen=True)
class GateOutputs:
    """The attention modules whose maps a file returns, and where their calls arrive while the network runs.

    Attributes:
        sites: The modules, in the order in which they run.
        calls: The calls of the latest pass of the network, filled by `capture_attention`.
    """

    sites: tuple[GateSite, ...]
    calls: list[AttentionPass]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outputs, in their order."""
        return tuple(
            name for site in self.sites for name in (*site.maps.values(), *(part.output for part in site.parts))
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the outputs of the latest pass, in the order of `names`."""
        values: list[Tensor] = []
        for site, call in zip(self.sites, self.calls, strict=True):
            maps = compute_site_maps(call).tensors()
            values += [maps[name].float() for name in site.maps]
            values += [part.value.float() for part in call.parts]
        return tuple(values)


class GateGraph(nn.Module):
    """A graph that also returns the maps of its attention modules.

    It runs inside of `capture_attention`, which fills `gates.calls`.

    Args:
        graph: The graph of the network.
        gates: The attention modules.
    """

    def __init__(self, graph: nn.Module, gates: GateOutputs) -> None:
        super().__init__()
        # torch.fx modules have an attribute `graph` of their own.
        self.inner, self.gates = graph, gates

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the network, then the maps."""
        self.gates.calls.clear()
        outputs = self.inner(images)
        return (*outputs, *self.gates.tensors())


@torch.inference_mode()
def find_gate_sites(network: nn.Module, images: Tensor) -> tuple[GateSite, ...]:
    """Return the attention modules of a network with the names of their outputs, from one pass.

    Args:
        network: A network in evaluation mode.
        images: An example of its input.

    Raises:
        OptionError: If the network has no attention.

    Example:
        >>> from attendet.attention import create
        >>> (site,) = find_gate_sites(nn.Sequential(create("cbam", 64)), torch.rand(1, 64, 5, 7))
        >>> site.path, site.join, site.maps["spatial"], [part.output for part in site.parts]
        ('0', 'product', 'maps/0/spatial', ['gates/0/channel', 'gates/0/spatial'])
    """
    calls: list[AttentionPass] = []
    with capture_attention(network, calls.append):
        network(images)
    return tuple(map(_gate_site, calls))


def _gate_site(call: AttentionPass) -> GateSite:
    path = f"{call.path}#{call.call + 1}" if call.call else call.path
    maps = compute_site_maps(call)
    names = [part.name for part in call.parts]
    # A part that runs twice in a call has the same name twice.
    unique = [
        f"{name}#{names[:index].count(name) + 1}" if name in names[:index] else name for index, name in enumerate(names)
    ]
    return GateSite(
        path=path,
        module=type(call.module).__name__,
        channels=call.before.shape[1],
        join=find_join(call),
        maps={name: f"maps/{path}/{name}" for name in maps.tensors()},
        spatial_kind=maps.spatial_kind,
        channel_kind=maps.channel_kind,
        parts=tuple(
            GateTensor(
                name=part.name,
                output=f"gates/{path}/{name}",
                role=part.role,
                outermost=part.outermost,
                range=part.range,
            )
            for part, name in zip(call.parts, unique, strict=True)
        ),
    )
