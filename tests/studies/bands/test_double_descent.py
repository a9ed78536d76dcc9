import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("claim", "low", "high"),
    [
        ("peak_at_threshold", 89, 133),  # widths 4 to 6; STUDIES: 111 parameters
        ("peak_moves_with_samples", 199, 265),  # STUDIES: width 11, 243 parameters
        ("falls_again", 1.8, 5.5),  # STUDIES: the peak is 3.1 to 3.4 times the widest
        ("widest_is_best", 1.0, 1.9),  # STUDIES: .449 / .324 = 1.39
        ("no_peak_if_stopped_early", 0.7, 1.4),
        ("no_peak_without_noise", -0.1, 0.1),
        ("notebook_teacher_falls_again", 1.1, 3.5),  # STUDIES: .698 / .363 = 1.9
    ],
)
def test_estimates(findings_of, claim, low, high):
    assert low <= findings_of("double_descent")[claim].estimate <= high


def test_verdicts(findings_of):
    findings = findings_of("double_descent")
    for claim in ("peak_at_threshold", "falls_again", "no_peak_without_noise", "no_peak_if_stopped_early"):
        assert findings[claim].verdict == "supported"
    assert findings["widest_is_best"].verdict != "supported"
