"""How long a study takes, from a few steps of each arm, really taken."""

from __future__ import annotations

from attendet.engine.config import build_config
from attendet.engine.pace import measure_pace
from attendet.engine.reporter import Silence
from attendet.errors import AttendetError
from attendet.study.execute import Study
from attendet.study.grid import Cell


def estimate(study: Study) -> dict[tuple[str, float], float]:
    """Return the seconds of a run, by arm and share of the images; nothing is written.

    Raises:
        AttendetError: If an arm cannot be trained, before anything is spent on the others.
    """
    found = {}
    for arm in study.design.arms:
        config = build_config(study.job(Cell(arm, study.design.seeds[0], 1.0, "")).settings)
        try:
            pace = measure_pace(config, Silence())
        except AttendetError as error:
            raise type(error)(f"the arm {arm}: {error.what}", where=error.where, remedy=error.remedy) from error
        schedule = config.schedule
        measurements = 1 + (schedule.epochs if config.validation.every_epoch else 1)
        validation = measurements * _batches(pace.validation_images, schedule.batch_size)
        for fraction in study.design.fractions:
            training = _batches(max(1, round(fraction * pace.training_images)), schedule.batch_size)
            # At the end the best weights are measured on the training images too.
            measured = (validation + training) * pace.validation_seconds
            found[arm, fraction] = pace.start_seconds + schedule.epochs * training * pace.step_seconds + measured
    return found


def _batches(images: int, batch_size: int) -> int:
    return -(-images // batch_size)
