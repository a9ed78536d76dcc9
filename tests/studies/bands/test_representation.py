import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("claim", "low", "high"),
    [
        ("trained_layers_linearise_parity", 0.3, 0.5),  # STUDIES: .951 - .545
        ("separability_grows_with_depth", 0.1, 0.35),  # STUDIES: .951 - .755
        ("dimension_shrinks", 0.07, 0.25),  # STUDIES: 2.2 / 16.8 = .13
        ("intrinsic_dimension_shrinks", 0.2, 0.6),
        ("classes_separate_with_depth", 2, 5),
        ("probe_fails_on_parity_input", 0.45, 0.55),
    ],
)
def test_estimates(findings_of, claim, low, high):
    assert low <= findings_of("representation")[claim].estimate <= high


def test_verdicts(findings_of):
    findings = findings_of("representation")
    for claim in ("trained_layers_linearise_parity", "dimension_shrinks", "probe_fails_on_parity_input"):
        assert findings[claim].verdict == "supported"
