"""Panels show the given values, also if the answers with and without attention differ widely."""

from collections.abc import Sequence

import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from attendet.interpret.image.answer import Answer, ScoredClass
from attendet.interpret.image.panels import draw_classes
from attendet.utils.plotting import new_figure


def answer(scores: dict[int, float], names: Sequence[str]) -> Answer:
    return Answer(classes=tuple(ScoredClass(number, names[number], share) for number, share in scores.items()))


def drawn(now: Answer, then: Answer) -> tuple[list[str], list[list[float]]]:
    """Return the names that are drawn, and the lengths of their bars with attention and without."""
    axes: Axes = new_figure(3, 3).add_subplot()
    draw_classes(axes, now, then)
    known = {each.name for each in (*now.classes, *then.classes)}
    names = [text.get_text() for text in axes.texts if text.get_text() in known]
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    return names, [[bar.get_width() for bar in container] for container in bars]


def test_the_best_without_attention_is_drawn_even_if_it_is_not_among_the_best_with_attention() -> None:
    names = [f"class {number}" for number in range(10)]
    now = answer({0: 0.5, 1: 0.2, 2: 0.1, 3: 0.05, 4: 0.04}, names)
    then = answer({9: 0.6, 0: 0.2, 8: 0.1, 7: 0.03, 6: 0.02}, names)
    told, (with_attention, without) = drawn(now, then)
    assert told == ["class 0", "class 9", "class 1", "class 2", "class 8"]
    assert with_attention == pytest.approx([0.5, 0, 0.2, 0.1, 0])
    assert without == pytest.approx([0.2, 0.6, 0, 0, 0.1])


def test_two_classes_of_one_name_are_two() -> None:
    names = ["crane", "crane", "heron"]
    told, (with_attention, without) = drawn(
        answer({1: 0.7, 0: 0.2, 2: 0.1}, names), answer({0: 0.6, 1: 0.3, 2: 0.1}, names)
    )
    assert told == ["crane", "crane", "heron"]
    assert with_attention == pytest.approx([0.7, 0.2, 0.1])
    assert without == pytest.approx([0.3, 0.6, 0.1])
