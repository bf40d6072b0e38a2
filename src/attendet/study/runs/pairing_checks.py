"""Whether runs of one seed are pairs: they saw the same images in the same order, and began with the same weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attendet.study.design.schema import StudyDesign
from attendet.study.records import CellRecord

SHOWN_LAYERS = 3


def mispaired(runs: Iterable[CellRecord], design: StudyDesign) -> dict[str, str]:
    """Return what is wrong with runs that are no pairs, a sentence each without the full stop, by the run's key.

    Of one seed and share of the images, the baseline says in which order images come, and what the weights of its
    layers were before the first step. Arms with another base model are compared among themselves, and all only in
    layers that both have: attention may stand beside them or in place of others.

    Args:
        runs: Finished runs; where the baseline's is not among them, that of the first arm stands for it.
        design: Their study.
    """
    names = [design.baseline, *(name for name in design.arms if name != design.baseline)]
    ordered = sorted(runs, key=lambda run: names.index(run.arm))
    orders: dict[object, CellRecord] = {}
    weights: dict[object, CellRecord] = {}
    wrong: dict[str, str] = {}
    for run in ordered:
        arm = design.arms[run.arm]
        first = orders.setdefault((run.seed, run.fraction), run)
        origin = (run.seed, run.fraction, arm.model or design.model, arm.weights or design.weights)
        alike = weights.setdefault(origin, run)
        told = [*_order(run, first), *_weights(run, alike)]
        if told:
            wrong[run.key] = "; ".join(told)
    return wrong


def _order(run: CellRecord, first: CellRecord) -> Iterator[str]:
    if run.order is not None and first.order is not None and run.order != first.order:
        yield (
            f"it saw other images than {first.arm} with seed {run.seed}, or in another order: they are no pair; look in"
            " its recipe for what chooses images, such as data.image_weights or data.rect"
        )


def _weights(run: CellRecord, alike: CellRecord) -> Iterator[str]:
    shared = [layer for layer in run.initialization if layer in alike.initialization]
    other = [layer for layer in shared if run.initialization[layer] != alike.initialization[layer]]
    if other:
        shown = ", ".join(other[:SHOWN_LAYERS])
        yield (
            f"{len(other)} of {len(shared)} layers began with other weights than those of {alike.arm} with seed"
            f" {run.seed}, such as {shown}: they are no pair"
        )
    elif run.initialization and alike.initialization and not shared:
        yield f"it has no layer in common with {alike.arm}: they are no pair"
