import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("claim", "low", "high"),
    [
        ("width_alone_halves_the_barrier", 0.6, 1.4),  # STUDIES: .428 / .496
        ("matching_removes_most_of_it", 0.015, 0.08),  # STUDIES: .015 / .428
        ("matched_barrier_falls_with_width", -1.1, -0.2),  # STUDIES: .043 .020 .021 .015
        ("curve_joins_narrow_networks", 0.002, 0.02),  # STUDIES: .0030 / .496
        ("curve_joins_wide_networks", 0.0005, 0.005),  # STUDIES: .0008 / .428
        ("training_becomes_stable", -1, -0.7),  # STUDIES: falls at every later split
        ("convex_model_has_no_barrier", 0, 1e-6),
    ],
)
def test_estimates(findings_of, claim, low, high):
    assert low <= findings_of("mode_connectivity")[claim].estimate <= high


def test_verdicts(findings_of):
    findings = findings_of("mode_connectivity")
    for claim in (
        "straight_line_has_a_barrier",
        "matching_removes_most_of_it",
        "curve_joins_narrow_networks",
        "curve_joins_wide_networks",
        "early_split_is_unstable",
        "training_becomes_stable",
        "late_split_is_stable",
        "convex_model_has_no_barrier",
    ):
        assert findings[claim].verdict == "supported"
    for claim in ("width_alone_halves_the_barrier", "matched_networks_are_linearly_connected"):
        assert findings[claim].verdict == "not supported"
