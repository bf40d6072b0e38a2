"""The result of explaining one image, and its numbers as HTML tables."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attendet.interpret.image.class_activation import ClassActivation
from attendet.interpret.image.input_image import InputImage
from attendet.interpret.image.network_output import NetworkOutput, has_counterpart
from attendet.interpret.image.site_explanation import JOIN_TEXTS, PartSummary, SiteExplanation
from attendet.utils.html import Markup, escape, html_table, inline_image
from attendet.utils.text import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SITE_HEADER = (
    "module",
    "part",
    "features",
    "weights",
    "range",
    "mean",
    "lowest",
    "highest",
    "spread",
    "entropy",
    "saturated",
)


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
        from attendet.utils.plotting import complete_fonts  # noqa: PLC0415 - see figure

        content = io.BytesIO()
        figure = self.figure()
        complete_fonts(figure)
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


def site_table(sites: Sequence[SiteExplanation]) -> Markup:
    """Return a table with a row for each part of each attention module."""
    rows = [_site_row(site, part) for site in sites for part in site.parts or (None,)]
    return html_table(_SITE_HEADER, rows, text_columns=2, label="attention modules")


def output_table(output: NetworkOutput, label: str) -> Markup:
    """Return a table of detections or classes.

    Args:
        output: The output of the network.
        label: What the table holds, for screen readers.
    """
    if output.classes:
        rows = [(each.name, f"{each.probability:.3f}") for each in output.classes]
        return html_table(("class", "probability"), rows, text_columns=1, label=label)
    detections = output.detections
    if detections is None or detections.confidence is None:
        return Markup("<p>Neither detections nor class scores.</p>")
    if not len(detections):
        return Markup("<p>No detections.</p>")
    objects = zip(detections.data["class_name"], detections.confidence.tolist(), detections.xyxy.tolist(), strict=True)
    rows = [
        (f"{number}: {name}", f"{confidence:.3f}", *(f"{side:.1f}" for side in box))
        for number, (name, confidence, box) in enumerate(objects, start=1)
    ]
    return html_table(("detection", "confidence", "x1", "y1", "x2", "y2"), rows, text_columns=1, label=label)


def _site_row(site: SiteExplanation, part: PartSummary | None) -> tuple[str, ...]:
    kind = escape(f"{site.module}: {JOIN_TEXTS[site.join]}")
    module = Markup(f'{escape(site.path)}<br><span class="faint">{kind}</span>')
    features = "×".join(map(str, site.shape))
    if part is None:
        return module, "none", features, *[""] * 8
    return (
        module,
        f"{part.name} ({part.role})",
        features,
        "×".join(map(str, part.shape)),
        "" if part.range is None else f"{part.range[0]:g} to {part.range[1]:g}",
        *(f"{value:.3f}" for value in (part.mean, part.lowest, part.highest, part.spread)),
        "" if part.entropy is None else f"{part.entropy:.3f}",
        "" if part.saturated is None else f"{part.saturated:.1%}",
    )
