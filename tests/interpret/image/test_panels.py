"""Panels show the given values, also if the outputs with and without attention differ widely."""

from collections.abc import Sequence

import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from attendet.interpret.image.network_output import ClassScore, NetworkOutput
from attendet.interpret.image.panels import draw_classes
from attendet.utils.plotting import new_figure


def output_of(scores: dict[int, float], names: Sequence[str]) -> NetworkOutput:
    return NetworkOutput(classes=tuple(ClassScore(index, names[index], score) for index, score in scores.items()))


def drawn(now: NetworkOutput, then: NetworkOutput) -> tuple[list[str], list[list[float]]]:
    """Return the names that are drawn, and the lengths of their bars with attention and without."""
    axes: Axes = new_figure(3, 3).add_subplot()
    draw_classes(axes, now, then)
    known = {each.name for each in (*now.classes, *then.classes)}
    names = [text.get_text() for text in axes.texts if text.get_text() in known]
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    return names, [[bar.get_width() for bar in container] for container in bars]


def test_the_best_class_without_attention_is_always_drawn() -> None:
    names = [f"class {number}" for number in range(10)]
    now = output_of({0: 0.5, 1: 0.2, 2: 0.1, 3: 0.05, 4: 0.04}, names)
    then = output_of({9: 0.6, 0: 0.2, 8: 0.1, 7: 0.03, 6: 0.02}, names)
    drawn_names, (with_attention, without) = drawn(now, then)
    assert drawn_names == ["class 0", "class 9", "class 1", "class 2", "class 8"]
    assert with_attention == pytest.approx([0.5, 0, 0.2, 0.1, 0])
    assert without == pytest.approx([0.2, 0.6, 0, 0, 0.1])


def test_two_classes_with_the_same_name_are_drawn_apart() -> None:
    names = ["crane", "crane", "heron"]
    drawn_names, (with_attention, without) = drawn(
        output_of({1: 0.7, 0: 0.2, 2: 0.1}, names), output_of({0: 0.6, 1: 0.3, 2: 0.1}, names)
    )
    assert drawn_names == ["crane", "crane", "heron"]
    assert with_attention == pytest.approx([0.7, 0.2, 0.1])
    assert without == pytest.approx([0.3, 0.6, 0.1])
