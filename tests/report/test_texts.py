import math

import pytest

from dlexp.report.texts import duration_text, number_texts, ranges_text, region_text

INF = math.inf


def test_numbers_are_short_unless_different_ones_would_look_equal() -> None:
    assert number_texts([3.14159, -0.5, 12345.678]) == ["3.142", "-0.5", "1.235e+4"]
    assert number_texts([0.899996, 0.9]) == ["0.899996", "0.9"]
    assert number_texts([0.90004, 0.9]) == ["0.90004", "0.9"]
    assert number_texts([1 + 1e-12, 1.0, 1.0]) == ["1", "1", "1"]


def test_numbers_that_are_none_or_infinite() -> None:
    assert number_texts([math.nan, INF, -INF, 0.25]) == ["-", "∞", "-∞", "0.25"]
    assert number_texts([]) == []


@pytest.mark.parametrize(
    ("region", "text"),
    [
        ((1.0, 2.0), "1 to 2"),
        ((1.0, 1.0), "exactly 1"),
        ((1.0, INF), "at least 1"),
        ((-INF, 2.0), "at most 2"),
        ((-INF, INF), "any number"),
    ],
)
def test_regions_in_words(region: tuple[float, float], text: str) -> None:
    assert region_text(region, "1", "2") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.374, "0.37 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200.0, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
    ],
)
def test_times_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([1, 0], "0, 1"),
        ([4, 3, 2, 1, 0, 0], "0 to 4"),
        ([0, 1, 2, 7, 9, 10], "0 to 2, 7, 9, 10"),
    ],
)
def test_neighbours_are_drawn_together(numbers: list[int], text: str) -> None:
    assert ranges_text(numbers) == text
