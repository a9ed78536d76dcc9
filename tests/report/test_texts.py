"""Numbers, regions, times and names as people write them."""

import math

import pytest

from dlexp.report.names import axis_name, setting_names
from dlexp.report.texts import (
    duration_text,
    estimate_text,
    number_texts,
    ranges_text,
    region_text,
    value_text,
    value_texts,
)

INF = math.inf


def test_numbers_are_short_unless_different_ones_would_look_equal():
    assert number_texts([3.14159, -0.5, 12345.678]) == ["3.142", "-0.5", "1.235e+4"]
    assert number_texts([0.899996, 0.9]) == ["0.899996", "0.9"]
    assert number_texts([0.90004, 0.9]) == ["0.90004", "0.9"]
    assert number_texts([1 + 1e-12, 1.0, 1.0]) == ["1", "1", "1"]


def test_numbers_that_are_none_or_infinite():
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
def test_regions_in_words(region, text):
    assert region_text(region) == text


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
def test_times_as_people_say_them(seconds, text):
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
def test_neighbours_are_drawn_together(numbers, text):
    assert ranges_text(numbers) == text


@pytest.mark.parametrize(
    ("mean", "half_width", "text"),
    [
        (1.5402, 0.4531, "1.54 ± 0.45"),
        (0.03361, 0.0127, "0.034 ± 0.013"),
        (123.4, 56.7, "123 ± 57"),
        (2.04e-14, 1.12e-14, "(2.0 ± 1.1)e-14"),
        (1e-14, 3e-13, "(0.1 ± 3.0)e-13"),
        (2.5e7, 1e6, "(2.50 ± 0.10)e7"),
        (0.5, 1e-9, "0.5000 ± 0.0000"),
        (0.0, 0.0, "0.00 ± 0.00"),
        (1.5402, math.nan, "1.54"),
        (2.04e-14, math.nan, "2.04e-14"),
        (0.0, math.nan, "0.00"),
        (math.nan, math.nan, "-"),
    ],
)
def test_estimates_show_as_many_digits_as_they_have(mean, half_width, text):
    assert estimate_text(mean, half_width) == text


def test_an_estimate_can_do_without_the_sign():
    assert estimate_text(1.5, 0.25, "+-") == "1.50 +- 0.25"


def test_values_are_short_and_told_apart():
    assert [value_text(v) for v in (None, True, 200, 1e-05, 0.1, "full")] == [
        "-",
        "True",
        "200",
        "1e-5",
        "0.1",
        "full",
    ]
    assert value_texts([0.123456, 0.5]) == ["0.1235", "0.5"]
    assert value_texts([0.123456, 0.123457]) == ["0.123456", "0.123457"]


def test_keys_have_readable_names_and_two_of_the_same_are_kept_apart():
    assert axis_name("model.width") == "width (hidden units per layer)"
    assert axis_name("callbacks.ntk.sample_size") == "sample size"
    assert setting_names(("model.width", "optimizer.lr")) == ("width", "learning rate")
    assert setting_names(("a.size", "b.size")) == ("a.size", "b.size")
