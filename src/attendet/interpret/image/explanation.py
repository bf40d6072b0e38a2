"""The result of explaining one image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attendet.interpret.image.class_activation import ClassActivation
from attendet.interpret.image.html_tables import output_table, site_table
from attendet.interpret.image.input_image import InputImage
from attendet.interpret.image.network_output import NetworkOutput, has_counterpart
from attendet.interpret.image.site_explanation import SiteExplanation
from attendet.utils.html import Markup, escape, inline_image
from attendet.utils.text import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Explanation:
    """What the attention of a network does with one image.

    Attributes:
        image: The image, and the tensor that the network took.
        sites: What each attention module does, in the order in which the modules run.
        with_attention: Output of the network.
        without_attention: Output of the network with these attention modules disabled.
        activation: Class activation maps of the chosen detection or class; None if the image has no such detection.
        notes: Sentences about what could not be explained.
    """

    image: InputImage
    sites: tuple[SiteExplanation, ...]
    with_attention: NetworkOutput
    without_attention: NetworkOutput
    activation: ClassActivation | None
    notes: tuple[str, ...]

    @property
    def summary(self) -> tuple[str, ...]:
        """The main results and the notes, as sentences."""
        now, then = self.with_attention, self.without_attention
        sentences = []
        if now.detections is not None and then.detections is not None:
            only_with = int((~has_counterpart(now.detections, then.detections)).sum())
            only_without = int((~has_counterpart(then.detections, now.detections)).sum())
            sentences.append(
                f"{plural(len(now.detections), 'detection')} with attention, {len(then.detections):,} with its gates "
                f"disabled: {only_with} only with, {only_without} only without."
            )
        elif now.classes:
            best = [f"{each.name} ({each.probability:.2f})" for each in (now.classes[0], then.classes[0])]
            sentences.append(f"{best[0]} with attention, {best[1]} with its gates disabled.")
        if self.activation is not None:
            target, layer = self.activation.label, self.activation.layer
            sentences.append(f"Class activation maps explain {target}, from the features of {layer}.")
        return (*sentences, *self.notes)

    def figure(self) -> Figure:
        """Draw the image, the outputs, the class activation maps, and each attention module."""
        # matplotlib takes a second to import.
        from attendet.interpret.image.figure import draw_explanation  # noqa: PLC0415

        return draw_explanation(self.image, self.sites, self.with_attention, self.without_attention, self.activation)

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as plain values, ready for JSON; the maps are not included."""
        height, width = self.image.pixels.shape[:2]
        return {
            "image": self.image.name,
            "width": width,
            "height": height,
            "extent": self.image.extent,
            "with_attention": self.with_attention.to_dict(),
            "without_attention": self.without_attention.to_dict(),
            "cam": None if self.activation is None else self.activation.to_dict(),
            "sites": [site.to_dict() for site in self.sites],
            "notes": self.notes,
        }

    def __repr__(self) -> str:
        """Show the image, the outputs, and the attention modules."""
        sites = ", ".join(site.path for site in self.sites)
        return (
            f"Explanation({self.image.name!r}, with_attention={self.with_attention!r}, "
            f"without_attention={self.without_attention!r}, sites=[{sites}])"
        )

    def _repr_html_(self) -> Markup:
        content = io.BytesIO()
        figure = self.figure()
        figure.savefig(content, format="png", dpi=100)
        name = Path(self.image.name).name
        parts = [
            f"<h3>{escape(name)}</h3>",
            *(f"<p>{escape(sentence)}</p>" for sentence in self.summary),
            inline_image(content.getvalue(), f"Figure of {name}"),
            site_table(self.sites),
            f"<h4>with attention</h4>{output_table(self.with_attention, 'output with attention')}",
            f"<h4>gates disabled</h4>{output_table(self.without_attention, 'output with gates disabled')}",
        ]
        return Markup("\n".join(parts))
