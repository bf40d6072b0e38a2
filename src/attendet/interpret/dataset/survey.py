"""The result of a survey of all attention sites of a detector on a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attendet.evaluation.metrics import Metrics
from attendet.interpret.dataset.findings import SiteFinding, SiteReport, caution, classify_site
from attendet.utils.html import Markup, html_paragraphs, html_table
from attendet.utils.text import plural

# Smaller changes of mAP are ignored, regardless of the number of objects.
_MIN_CHANGE = 0.001


@dataclass(frozen=True)
class Survey:
    """The contribution of each attention site of a detector, measured on a data set.

    Attributes:
        metrics: Metrics of the unchanged network.
        sites: Measurements of each site, in the order in which the sites run.
    """

    metrics: Metrics
    sites: tuple[SiteReport, ...]

    @property
    def noise(self) -> float:
        """Largest change of mAP50-95 that is ignored: the effect of one object of the rarest class, 0-1."""
        objects = [each.objects for each in self.metrics.per_class if each.objects]
        return max(_MIN_CHANGE, 1 / (len(objects) * min(objects))) if objects else 1.0

    @property
    def findings(self) -> dict[str, SiteFinding]:
        """The judgment of each site, by its path."""
        map50_95, noise = self.metrics.map50_95, self.noise
        return {report.statistics.path: classify_site(report, map50_95, noise) for report in self.sites}

    @property
    def caution(self) -> str | None:
        """A warning about the judgments, or None if they are reliable."""
        return caution(self.metrics.map50_95, self.noise)

    def to_dict(self) -> dict[str, Any]:
        """Return measurements and judgments as plain values, ready for JSON."""
        findings = self.findings
        return {
            "images": self.metrics.images,
            "objects": self.metrics.objects,
            "map50_95": self.metrics.map50_95,
            "map50": self.metrics.map50,
            "noise": self.noise,
            "caution": self.caution,
            "sites": [_plain_site(report, findings[report.statistics.path]) for report in self.sites],
        }

    def __repr__(self) -> str:
        """Show mAP, and the judgment of each site."""
        kinds = ", ".join(f"{path}: {finding.kind}" for path, finding in self.findings.items())
        return f"Survey(map50_95={self.metrics.map50_95:.3f}, images={self.metrics.images}, {kinds})"

    def _repr_html_(self) -> Markup:
        map50_95 = self.metrics.map50_95
        rows = [
            (
                report.statistics.path,
                report.statistics.attention,
                finding.kind,
                f"{report.without.map50_95 - map50_95:+.3f}",
                f"{report.constant.map50_95 - map50_95:+.3f}" if report.constant else "-",
            )
            for report, finding in zip(self.sites, self.findings.values(), strict=True)
        ]
        header = ("site", "attention", "finding", "ΔmAP50-95 without", "ΔmAP50-95 constant")
        images = plural(self.metrics.images, "image")
        summary = f"mAP50-95 {map50_95:.3f} on {images}; changes up to {self.noise:.3f} are noise."
        texts = [summary, *(finding.text for finding in self.findings.values()), *filter(None, [self.caution])]
        return Markup(html_table(header, rows, text_columns=3, label="attention sites") + html_paragraphs(texts))


def _plain_site(report: SiteReport, finding: SiteFinding) -> dict[str, Any]:
    site = report.statistics
    return {
        "path": site.path,
        "attention": site.attention,
        "finding": finding.kind,
        "text": finding.text,
        "map50_95_without": report.without.map50_95,
        "map50_without": report.without.map50,
        "map50_95_constant": report.constant.map50_95 if report.constant else None,
        "map50_constant": report.constant.map50 if report.constant else None,
        "object_overlap": site.object_overlap.to_dict() if site.object_overlap else None,
        "parts": [part.to_dict() for part in site.parts],
    }
