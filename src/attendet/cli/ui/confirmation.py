"""Ask before attention is attached at very many places."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import typer

from attendet.errors import AttendetError, AttendetWarning, OptionError


def confirm_many_sites(
    requests: Sequence[str], cfg: str | None, weights: str | None, dialect: str | None, like: str | None
) -> None:
    """Ask whether attention shall be attached at more than 30 places; without a terminal, raise an error instead.

    Only the first of several processes asks.

    Args:
        requests: The values of `--attention`.
        cfg: The model file.
        weights: The weights, whose model file is used without `cfg`.
        dialect: The dialect of the rows of `cfg`.
        like: What a fork printed or trained, which decides how the rows of `cfg` are read.

    Raises:
        OptionError: If the user declines, or standard input is not a terminal.
    """
    from attendet.surgery.insertion import MAX_EXPECTED_SITES
    from attendet.training.hardware import is_first_process

    if not is_first_process():
        return
    try:
        counts = _count_sites(requests, cfg, weights, dialect, like)
    except AttendetError:
        # The run itself reports the error, with the place in the file.
        return
    many = [(text, count) for text, count in zip(requests, counts, strict=True) if count > MAX_EXPECTED_SITES]
    if not many:
        return
    found = ", ".join(f"{text} at {count} places" for text, count in many)
    if not sys.stdin.isatty():
        raise OptionError(
            f"attention would be attached at more than {MAX_EXPECTED_SITES} places ({found})",
            remedy="confirm it with --yes, or leave places out, as in cbam@residual-branch~model.4",
        )
    if not typer.confirm(f"Attach {found}?", err=True):
        raise OptionError("nothing was attached", remedy="leave places out, as in cbam@residual-branch~model.4")


def _count_sites(
    requests: Sequence[str], cfg: str | None, weights: str | None, dialect: str | None, like: str | None
) -> list[int]:
    import torch

    from attendet.models.attention_request import parse_request
    from attendet.models.builder import build_model
    from attendet.models.yaml.lookup import load_model_file
    from attendet.models.yaml.model_file import read_model_file
    from attendet.surgery import attach
    from attendet.weights import read_checkpoint
    from attendet.weights.io.card_search import find_card
    from attendet.weights.io.opening import resolve_weights_path
    from attendet.weights.io.parameter_counts import read_like

    chosen = dialect or "auto"
    if cfg:
        file = load_model_file(cfg)
    else:
        path = resolve_weights_path(weights or "")
        card = find_card(read_checkpoint(path), path.name)
        if card is None:
            return [0] * len(requests)
        file, chosen = read_model_file(card.text, card.model), card.dialect
    counts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttendetWarning)
        counted = None if like is None else read_like(like)
        detector = build_model(file, 1, dialect=chosen, like=counted).detector
        side = 2 * int(max(detector.strides))
        for request in map(parse_request, requests):
            example = torch.zeros(1, 3, side, side)
            attachment = attach(detector, request.attention, request.at, example=example, **request.options)
            counts.append(len(attachment.sites))
    return counts
