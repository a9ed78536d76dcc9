import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("claim", "low", "high"),
    [
        ("more_sigmoid_bumps_are_better", 0.37, 0.38),  # ranks 5 2 1 3 4 6 of .277 .101 .024 .195 .263 .285
        ("sigmoid_bumps_tend_to_twice", 0.950, 0.951),  # STUDIES: .28512 / .29997
        ("sigmoid_boxes_rate", -2.15, -2.05),  # STUDIES: -2.1
        ("hats_rate", -4.10, -4.04),  # STUDIES: -4.07
        ("cost_grows_with_dimension", 0.7, 1.0),  # STUDIES: the RMSE is about .033 in each
        ("training_finds_the_construction", 100, 1e5),
    ],
)
def test_estimates(findings_of, claim, low, high):
    assert low <= findings_of("universal_approximation")[claim].estimate <= high


def test_verdicts(findings_of):
    findings = findings_of("universal_approximation")
    for claim in ("sigmoid_bumps_tend_to_twice", "sigmoid_boxes_rate", "hats_rate"):
        assert findings[claim].verdict == "supported"
    for claim in ("more_sigmoid_bumps_are_better", "training_finds_the_construction"):
        assert findings[claim].verdict == "not supported"
