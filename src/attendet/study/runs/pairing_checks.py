"""Check that runs of one seed are pairs: same images in the same order, same initial weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attendet.study.design.schema import StudyDesign
from attendet.study.records import CellRecord

MAX_LISTED_LAYERS = 3


def find_unpaired(runs: Iterable[CellRecord], design: StudyDesign) -> dict[str, str]:
    """Return why runs are not pairs, by the run's key, one sentence without the final period for each run.

    For each seed and fraction of the images, the baseline's run is the reference for the order of the images and for
    the initial weights of its layers. The order is compared only among arms with the same fraction of their own, since
    others see other images by design. Initial weights are compared only among arms with the same base model and the
    same start, and only in layers that both runs have, because attention may be added or may replace layers.

    Args:
        runs: Finished runs. If the baseline's run is missing, the first arm is the reference.
        design: The design of the study.
    """
    names = [design.baseline, *(name for name in design.arms if name != design.baseline)]
    ordered = sorted(runs, key=lambda run: names.index(run.arm))
    orders: dict[object, CellRecord] = {}
    weights: dict[object, CellRecord] = {}
    wrong: dict[str, str] = {}
    for run in ordered:
        share = design.arms[run.arm].share
        settings = design.settings(run.arm, run.seed)
        first = orders.setdefault((run.seed, run.fraction, share), run)
        origin = (run.seed, run.fraction, settings["model.cfg"], settings["model.weights"])
        reference = weights.setdefault(origin, run)
        problems = [*_order(run, first), *_weights(run, reference)]
        if problems:
            wrong[run.key] = "; ".join(problems)
    return wrong


def _order(run: CellRecord, first: CellRecord) -> Iterator[str]:
    if run.order is not None and first.order is not None and run.order != first.order:
        yield (
            f"not a pair: it saw other images than {first.arm} with seed {run.seed}, or in another order; check the"
            " settings of its recipe that choose images, such as data.image_weights or data.rect"
        )


def _weights(run: CellRecord, reference: CellRecord) -> Iterator[str]:
    shared = [layer for layer in run.initialization if layer in reference.initialization]
    other = [layer for layer in shared if run.initialization[layer] != reference.initialization[layer]]
    if other:
        layers = ", ".join(other[:MAX_LISTED_LAYERS])
        yield (
            f"not a pair: {len(other)} of {len(shared)} layers had other initial weights than in {reference.arm}"
            f" with seed {run.seed}, such as {layers}"
        )
    elif run.initialization and reference.initialization and not shared:
        yield f"not a pair: it has no layer in common with {reference.arm}"
