"""What a survey of attention sites says, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attendet.interpret.dataset.survey import SiteReport, Survey
from attendet.interpret.site_statistics import PartStatistics

FindingKind = Literal["works", "constant", "dead", "idle", "harms"]

# Weights that differ between images by less than this share of their range are constants.
CONSTANT = 0.01
# The last digit of mAP that is told, and the noise from which on images are few.
TOLD, NOISY = 0.001, 0.02


@dataclass(frozen=True)
class SiteFinding:
    """What is said of a site.

    Attributes:
        kind: `works`: detections need what it makes of the single image. `constant`: they need the site, but not that
            it looks: constants in place of its weights do as well. `dead`: its weights are constants, and detections
            do not need them. `idle`: its weights depend on the image, and detections do not need them. `harms`:
            detections are better without it.
        words: The same as a sentence, with the numbers.
    """

    kind: FindingKind
    words: str


def site_findings(survey: Survey) -> dict[str, SiteFinding]:
    """Return what is to be said of each site, by its path."""
    return {report.statistics.path: _verdict(report, survey) for report in survey.sites}


def caution(survey: Survey) -> str | None:
    """Return what a reader has to know before believing any verdict; None if nothing."""
    whole, noise = survey.metrics.map50_95, survey.noise
    told = f"one object more or less changes mAP50-95 by {noise:.3f}"
    if whole <= noise:
        return f"mAP50-95 is {whole:.3f}, and {told}: with these weights and images no site can be told to do anything"
    return f"{told}: with more images smaller changes would be seen" if noise > NOISY else None


def _verdict(report: SiteReport, survey: Survey) -> SiteFinding:
    whole = survey.metrics.map50_95
    without = report.without.map50_95 - whole
    replaced = None if report.constant is None else report.constant.map50_95 - whole
    site, noise = report.statistics, survey.noise
    told = f"{site.path}: {_varying(site.parts)}"
    if without > noise:
        return SiteFinding("harms", f"{told}; mAP {_change(without, noise)} without it: it harms")
    if without >= -noise:
        dead = all(is_constant(part) for part in site.parts)
        is_needed = replaced is not None and replaced < -noise
        if is_needed and not dead:
            # Its mean does worse than nothing: the network has found its way around what the gate varies.
            return SiteFinding(
                "works",
                f"{told}; mAP {_change(without, noise)} without it, but {_change(replaced or 0.0, noise)} with its "
                "means in its place: the network leans on what varies",
            )
        words = "dead" if dead else "idle: it looks, and nothing comes of it"
        return SiteFinding("dead" if dead else "idle", f"{told}, mAP {_change(without, noise)} without it: {words}")
    if replaced is None:
        return SiteFinding("works", f"{told}; mAP {_change(without, noise)} without it")
    both = f"mAP {_change(without, noise)} without it, {_change(replaced, noise)} with its means in its place"
    if replaced >= -noise:
        return SiteFinding("constant", f"{told}; {both}: constants do as well")
    return SiteFinding("works", f"{told}; {both}: it works")


def is_constant(part: PartStatistics) -> bool:
    """Return whether weights are the same for every image, within 1 % of their range or, without one, of their size."""
    size = part.range[1] - part.range[0] if part.range else max(abs(part.mean), part.std)
    return part.between <= CONSTANT * size


def _varying(parts: tuple[PartStatistics, ...]) -> str:
    """Return whether weights depend on the image."""
    if not parts:
        return "no weights"
    constant = [part for part in parts if is_constant(part)]
    if len(parts) == 1:
        return f"constant {_noun(parts[0])}" if constant else f"a {_noun(parts[0])} that depends on the image"
    names = " and ".join(part.name for part in constant)
    if len(constant) == len(parts):
        return "constant gates"
    return f"gates that depend on the image{f', {names} constant' if constant else ''}"


def _noun(part: PartStatistics) -> str:
    return {"gate": "gate", "weights": "gate", "shares": "choice", "addend": "term"}[part.role]


def _change(change: float, noise: float) -> str:
    """Return a change of mAP in words.

    Example:
        >>> _change(-0.0942, 0.004), _change(0.003, 0.004), _change(0.0, 0.004)
        ('falls by 0.094', 'not measurably changed (+0.003)', 'unchanged')
    """
    if abs(change) > noise:
        return f"{'rises' if change > 0 else 'falls'} by {abs(change):.3f}"
    return "unchanged" if abs(change) < TOLD / 2 else f"not measurably changed ({change:+.3f})"
