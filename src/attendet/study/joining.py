"""Join studies of the same arms on several data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attendet.errors import Location, OptionError
from attendet.study.design.schema import METRIC_NAMES
from attendet.study.folder import StudyFolder, StudyRecords, read_study
from attendet.study.reporting.contrasts import scores_by_arm
from attendet.study.reporting.explanations import signed, span
from attendet.study.statistics.joint_tests import step_down_p
from attendet.study.statistics.paired import PairedDifference, paired_difference
from attendet.study.statistics.resampling import ALPHA, t_interval
from attendet.study.statistics.stratified import stratified_interval, stratified_p, weighted_differences
from attendet.utils.html import Markup, html_paragraphs, html_table
from attendet.utils.text import plural

# From this number of data sets on, their differences are evidence about others.
MIN_GENERAL = 5


@dataclass(frozen=True)
class JoinedContrast:
    """The comparison of an arm with the baseline over several data sets, which count equally.

    Attributes:
        arm: Name of the arm.
        baseline: Name of the baseline.
        differences: Mean difference on each data set, by the name of its study.
        seeds: Number of pairs on each data set, by the name of its study.
        difference: Mean of these differences.
        interval: 95 % interval for these data sets; None for fewer than six pairs in all.
        p: Two-sided p-value of the stratified sign-flip test.
        p_adjusted: p-value adjusted for the number of arms.
        general: 95 % interval (Student's t) for data sets like these; None for fewer than five data sets.
        verdict: helps, hurts, or not distinguishable, on these data sets.
    """

    arm: str
    baseline: str
    differences: Mapping[str, float]
    seeds: Mapping[str, int]
    difference: float
    interval: tuple[float, float] | None
    p: float
    p_adjusted: float
    general: tuple[float, float] | None
    verdict: str


@dataclass(frozen=True)
class JoinedReport:
    """The result of joining studies.

    Attributes:
        studies: Names of the studies.
        metric: Display name of the metric.
        contrasts: Comparisons of the arms that all studies share.
        remarks: Limits of the result, one sentence each.
    """

    studies: tuple[str, ...]
    metric: str
    contrasts: tuple[JoinedContrast, ...]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return header and rows of a table of the comparisons."""
        general = ("data sets like these",) if any(each.general for each in self.contrasts) else ()
        header = ("arm", *self.studies, "all", "95 % interval", *general, "p", "adjusted p", "verdict")
        return header, [_row(each, self.studies) for each in self.contrasts]

    def _repr_html_(self) -> Markup:
        header, rows = self.table()
        table = html_table(header, rows, text_columns=1, label=f"differences in {self.metric}")
        return Markup(table + html_paragraphs(self.remarks))


def join_studies(folders: Sequence[Path]) -> JoinedReport:
    """Compare the arms of several studies, one for each data set, with the baseline.

    Every data set counts equally, regardless of its number of seeds. The signs of the differences are flipped within
    the data sets (stratified sign flips), so the p-value is about these data sets. Only five or more data sets are
    evidence about others.

    Args:
        folders: Folders of two or more studies with the same baseline, metric, and at least one common arm.

    Raises:
        DataError: If a folder holds no study.
        OptionError: If there are fewer than two studies, or they do not fit together.
    """
    if len(folders) < 2:
        raise OptionError(f"`folders` must name at least two studies, got {len(folders)}")
    studies = [read_study(StudyFolder(folder)) for folder in folders]
    _require_fit(studies, folders)
    names = _names(studies, folders)
    baseline = studies[0].study.design.baseline
    arms = [
        arm
        for arm in studies[0].study.design.arms
        if arm != baseline and all(arm in each.study.design.arms for each in studies)
    ]
    scores = [scores_by_arm(each) for each in studies]
    pairs = {arm: [paired_difference(each[arm], each[baseline]) for each in scores] for arm in arms}
    complete = {arm: [each for each in paired if each] for arm, paired in pairs.items() if all(paired)}
    adjusted = _adjusted(complete)
    contrasts = tuple(
        _contrast(arm, baseline, names, paired, p) for (arm, paired), p in zip(complete.items(), adjusted, strict=True)
    )
    metric = METRIC_NAMES[studies[0].study.design.metric]
    missing = [arm for arm in arms if arm not in complete]
    return JoinedReport(tuple(names), metric, contrasts, tuple(_remarks(len(studies), missing)))


def _contrast(
    arm: str, baseline: str, names: Sequence[str], paired: Sequence[PairedDifference], p_adjusted: float
) -> JoinedContrast:
    strata = [each.differences for each in paired]
    means = [each.difference for each in paired]
    difference = sum(means) / len(means)
    interval = stratified_interval(strata)
    general = t_interval(means) if len(means) >= MIN_GENERAL else None
    decided = "helps" if difference > 0 else "hurts"
    return JoinedContrast(
        arm=arm,
        baseline=baseline,
        differences=dict(zip(names, means, strict=True)),
        seeds={name: each.n for name, each in zip(names, paired, strict=True)},
        difference=difference,
        interval=(interval.low, interval.high) if interval else None,
        p=stratified_p(strata),
        p_adjusted=p_adjusted,
        general=(general.low, general.high) if general else None,
        verdict=decided if p_adjusted <= ALPHA else "not distinguishable",
    )


def _adjusted(pairs: Mapping[str, Sequence[PairedDifference]]) -> list[float]:
    """Return the adjusted p-values; arms share the signs of a seed of a data set."""
    if not pairs:
        return []
    rows: list[dict[tuple[int, int], float]] = []
    for paired in pairs.values():
        values, weights = weighted_differences([each.differences for each in paired])
        places = [(number, seed) for number, each in enumerate(paired) for seed in each.seeds]
        rows.append(dict(zip(places, (values * weights).tolist(), strict=True)))
    columns = sorted({place for row in rows for place in row})
    return step_down_p([[row.get(place, float("nan")) for place in columns] for row in rows])


def _require_fit(studies: Sequence[StudyRecords], folders: Sequence[Path]) -> None:
    first, seen = studies[0].study.design, dict[str, Path]()
    for records, folder in zip(studies, folders, strict=True):
        design, where = records.study.design, Location(str(folder))
        for name in ("baseline", "metric", "last_epochs"):
            if getattr(design, name) != getattr(first, name):
                raise OptionError(
                    f"all studies must have the {name} {getattr(first, name)}, got {getattr(design, name)}", where=where
                )
        if records.study.data in seen:
            other = seen[records.study.data]
            raise OptionError(f"all studies must have other images, got the images of {other}", where=where)
        seen[records.study.data] = folder
        shared = (design.arms.keys() & first.arms.keys()) - {first.baseline}
        if not shared:
            raise OptionError("the study must share an arm with the first one", where=where)
        for arm in sorted(shared):
            if design.arms[arm].attention != first.arms[arm].attention:
                raise OptionError(f"the arm {arm} must have the same attention in all studies", where=where)


def _names(studies: Sequence[StudyRecords], folders: Sequence[Path]) -> list[str]:
    names = [each.study.design.name for each in studies]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _remarks(count: int, missing: Sequence[str]) -> Iterator[str]:
    if missing:
        yield f"arms without a pair of runs in every study are left out: {', '.join(missing)}"
    if count < MIN_GENERAL:
        yield (
            f"{plural(count, 'data set')} show nothing about others: the verdicts hold for these data sets, and general"
            f" statements need at least {MIN_GENERAL}"
        )


def _row(contrast: JoinedContrast, studies: Sequence[str]) -> tuple[str, ...]:
    return (
        contrast.arm,
        *(signed(contrast.differences[name]) for name in studies),
        signed(contrast.difference),
        span(contrast.interval) if contrast.interval else "-",
        *((span(contrast.general),) if contrast.general else ()),
        f"{contrast.p:.3g}",
        f"{contrast.p_adjusted:.3g}",
        contrast.verdict,
    )
