"""The numbers of an explanation as HTML tables."""

from __future__ import annotations

from collections.abc import Sequence

from attendet.interpret.image.network_output import NetworkOutput
from attendet.interpret.image.site_explanation import JOIN_TEXTS, PartSummary, SiteExplanation
from attendet.utils.html import Markup, escape, html_table

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
