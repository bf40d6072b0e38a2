"""Searches whose runs write scores instead of training."""

import zlib
from collections.abc import Callable

import numpy as np

from attendet.study.searching.search_records import SearchRecord
from tests.helpers.small_studies import FakeTrainer

SPACE = "{attention: [cbam, se, eca], at: [neck, head, before:SPPF, after:C3]}"


Pretend = Callable[..., FakeTrainer]


def chance(arm: str, epoch: int) -> float:
    """Return a random score that depends only on the arm and the epoch."""
    return float(np.random.default_rng(zlib.crc32(f"{arm} {epoch}".encode())).random())


def candidate_outcomes(record: SearchRecord) -> list[tuple[str, str, int]]:
    return [(each.arm, each.state, each.epochs) for each in record.candidates]
