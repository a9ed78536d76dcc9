import math

import pytest

from dlexp.report.names import axis_name, estimate_text, setting_names, value_text, value_texts


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
def test_estimates_show_as_many_digits_as_they_have(mean: float, half_width: float, text: str) -> None:
    assert estimate_text(mean, half_width) == text


def test_an_estimate_can_do_without_the_sign() -> None:
    assert estimate_text(1.5, 0.25, "+-") == "1.50 +- 0.25"


def test_values_are_short_and_told_apart() -> None:
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


def test_keys_have_readable_names_and_two_of_the_same_are_kept_apart() -> None:
    assert axis_name("model.width") == "width (hidden units per layer)"
    assert axis_name("callbacks.ntk.sample_size") == "sample size"
    assert setting_names(("model.width", "optimizer.lr")) == ("width", "learning rate")
    assert setting_names(("a.size", "b.size")) == ("a.size", "b.size")
