"""The result of a survey of all attention sites of a detector on a data set, and its findings about each site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attendet.evaluation.metrics import Metrics
from attendet.interpret.site_statistics import PartStatistics, SiteStatistics
from attendet.utils.html import Markup, html_paragraphs, html_table
from attendet.utils.text import plural

FindingKind = Literal["works", "constant", "dead", "idle", "harms"]

# Weights whose deviation between images is below this fraction of their range count as constant.
_CONSTANT = 0.01
# Smallest change of mAP that is printed, and the noise above which a data set is called small.
_PRINTED, _NOISY = 0.001, 0.02


# Smaller changes of mAP are ignored, regardless of the number of objects.
_MIN_CHANGE = 0.001


@dataclass(frozen=True)
class SiteReport:
    """The measurements of one attention site.

    Attributes:
        statistics: Statistics of its weights over the images.
        without: Metrics of the network with this site disabled.
        constant: Metrics with each weight of this site replaced by its mean over all images and positions, per channel;
            None for a site without weights.
    """

    statistics: SiteStatistics
    without: Metrics
    constant: Metrics | None


@dataclass(frozen=True)
class SiteFinding:
    """The judgment of one attention site.

    Attributes:
        kind: `works`: detections get worse without the site, and with constant weights. `constant`: detections get
            worse without the site, but not with constant weights. `dead`: the weights are constant, and detections do
            not get worse without the site. `idle`: the weights depend on the image, and detections do not get worse
            without the site. `harms`: detections get better without the site.
        text: The judgment as a sentence with the numbers.
    """

    kind: FindingKind
    text: str


def classify_site(report: SiteReport, map50_95: float, noise: float) -> SiteFinding:
    """Classify what an attention site contributes.

    Args:
        report: Its measurements.
        map50_95: mAP50-95 of the unchanged network, 0-1.
        noise: Changes of mAP50-95 that are not larger than this are ignored.
    """
    without = report.without.map50_95 - map50_95
    constant = None if report.constant is None else report.constant.map50_95 - map50_95
    parts = report.statistics.parts
    kind = _kind(without, constant, noise, is_constant=all(map(has_constant_weights, parts)))
    changes = f"mAP {_change(without, noise)} without it"
    if constant is not None:
        changes += f", {_change(constant, noise)} with constant weights"
    relies_on_variation = kind == "works" and without >= -noise
    conclusion = "the network relies on the varying weights" if relies_on_variation else _CONCLUSIONS[kind]
    return SiteFinding(kind, f"{report.statistics.path}: {_description(parts)}; {changes}: {conclusion}")


def caution(map50_95: float, noise: float) -> str | None:
    """Return a warning about the judgments of a survey, or None if they are reliable.

    Args:
        map50_95: mAP50-95 of the unchanged network, 0-1.
        noise: Changes of mAP50-95 that are not larger than this are ignored.
    """
    one_object = f"one object more or less changes mAP50-95 by {noise:.3f}"
    if map50_95 <= noise:
        return f"mAP50-95 is {map50_95:.3f}, and {one_object}: no effect of a site can be measured with these weights"
    return f"{one_object}: smaller effects need more images" if noise > _NOISY else None


def has_constant_weights(part: PartStatistics) -> bool:
    """Return whether the weights of a part are the same for every image.

    They may deviate between images by 1 % of their range or, without a range, of their size.
    """
    size = part.range[1] - part.range[0] if part.range else max(abs(part.mean), part.std)
    return part.between <= _CONSTANT * size


_CONCLUSIONS: dict[FindingKind, str] = {
    "works": "it works",
    "constant": "constant weights work as well",
    "dead": "it has no effect",
    "idle": "its weights vary, but have no effect",
    "harms": "it harms",
}


def _kind(without: float, constant: float | None, noise: float, *, is_constant: bool) -> FindingKind:
    if without > noise:
        return "harms"
    needs_variation = constant is not None and constant < -noise
    if without < -noise:
        return "works" if constant is None or needs_variation else "constant"
    if is_constant:
        return "dead"
    # Without the site detections are as good, but its mean weights make them worse: the network uses the variation.
    return "works" if needs_variation else "idle"


def _description(parts: tuple[PartStatistics, ...]) -> str:
    """Return whether weights depend on the image."""
    if not parts:
        return "no weights"
    constant = [part.name for part in parts if has_constant_weights(part)]
    if len(parts) == 1:
        noun = {"gate": "gate", "weights": "weights", "softmax": "softmax", "term": "added term"}[parts[0].role]
        return f"constant {noun}" if constant else f"{noun} varying with the image"
    if len(constant) == len(parts):
        return "constant gates"
    return "gates varying with the image" + (f", {' and '.join(constant)} constant" if constant else "")


def _change(change: float, noise: float) -> str:
    """Return a change of mAP as text.

    Example:
        >>> _change(-0.0942, 0.004), _change(0.003, 0.004), _change(0.0, 0.004)
        ('falls by 0.094', 'not measurably changed (+0.003)', 'unchanged')
    """
    if abs(change) > noise:
        return f"{'rises' if change > 0 else 'falls'} by {abs(change):.3f}"
    return "unchanged" if abs(change) < _PRINTED / 2 else f"not measurably changed ({change:+.3f})"


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
