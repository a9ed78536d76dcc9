"""STUDIES: slopes of drift -.72 (ReLU), -.94 (erf), movement -.503, fluctuation -.488, distance -.60."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def findings(findings_of):
    return findings_of("ntk_drift")


@pytest.mark.parametrize(
    ("claim", "slope", "tolerance"),
    [
        ("relu_kernel_moves_less", -0.72, 0.08),
        ("erf_kernel_moves_less", -0.94, 0.1),
        ("relu_weights_move_less", -0.503, 0.06),
        ("erf_weights_move_less", -0.5, 0.08),
        ("relu_kernel_tends_to_its_limit", -0.488, 0.12),
        ("erf_kernel_tends_to_its_limit", -0.488, 0.12),
        ("relu_nears_its_linearization", -0.6, 0.15),
        ("erf_nears_its_linearization", -0.85, 0.15),
    ],
)
def test_slopes_against_width(claim, slope, tolerance, findings):
    assert findings[claim].estimate == pytest.approx(slope, abs=tolerance)


def test_verdicts_that_are_certain(findings):
    for claim in ("relu_kernel_moves_less", "erf_kernel_moves_less", "erf_kernel_tends_to_its_limit"):
        assert findings[claim].verdict == "supported"
    for claim in ("erf_kernel_moves_as_root_of_width", "standard_kernel_moves_less"):
        assert findings[claim].verdict == "not supported"
