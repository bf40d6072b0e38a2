"""Fixtures that run the command."""

import shlex
from collections.abc import Callable

import pytest

from tests.helpers.command import CommandResult


@pytest.fixture
def studied(attendet: Callable[..., CommandResult], without_plots: None) -> Callable[[str], CommandResult]:  # noqa: ARG001
    """Run a command line of `attendet study`, without the plots of its runs."""
    return lambda text: attendet("study", *shlex.split(text))
