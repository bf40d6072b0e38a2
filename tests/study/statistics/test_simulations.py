"""The page of simulated studies keeps what it promises, and its numbers are reproducible."""

import re

import pytest

from tests.study.statistics.simulations import PAGE, SECTIONS, page


def rows(title: str) -> dict[str, list[float]]:
    """Return the numbers of a table of the page by the first cell of the row."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {cells[0]: [float(cell) for cell in cells[1:]] for cells in lines[2:]}


def test_coverage_of_symmetric_differences_is_95_percent() -> None:
    for name, shares in rows("Coverage of the 95 % interval").items():
        lowest = 95 - 3 * 0.5 if "skewed" not in name else 92
        # Student's t, for fewer than six seeds, assumes a normal distribution.
        assert min(shares[2:] if name != "normal" else shares) >= lowest, name


def test_family_error_is_5_percent() -> None:
    assert all(max(shares) <= 5 + 3 * 0.5 for shares in rows("Family error").values())
    assert all(min(shares) >= 95 - 3 * 1.3 for shares in rows("Simultaneous coverage").values())


def test_the_joint_test_finds_more_than_holms_correction() -> None:
    power = rows("Power of the joint test")
    assert all(joint > holm for joint, holm in zip(*power.values(), strict=True))


def test_looks_keep_the_error_and_save_seeds() -> None:
    table = rows("Looks")
    nothing, effect = table["no effect"], table["effect of one standard deviation"]
    assert nothing[0] <= 5 + 3 * 1.5 < nothing[2]
    assert effect[0] >= 93
    assert effect[1] < 15


def test_a_difference_that_matters_is_rarely_called_one_that_does_not() -> None:
    table = rows("No difference that matters")
    assert max(table["exactly the difference that matters"]) <= 5 + 3 * 0.5


def test_predictions_are_calibrated_within_5_points() -> None:
    for studies, predicted, decided in rows("Predictive probability").values():
        error = 100 * (0.25 / studies) ** 0.5
        assert abs(predicted - decided) <= 5 + 2 * error


@pytest.mark.slow
def test_the_page_is_up_to_date() -> None:
    assert "\n".join(page()) + "\n" == PAGE.read_text(encoding="utf-8")


def test_every_simulation_has_a_section() -> None:
    titles = re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert titles == list(SECTIONS)
