import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("claim", "low", "high"),
    [
        ("depth_helps_compositional", 4, 20),  # STUDIES: 9.4
        ("depth_helps_radial", 15, 60),  # STUDIES: 37
        ("width_wins_additive", 0.1, 0.4),  # STUDIES: .08, of a sum whose formula it does not give
        ("deep_tent_is_exact", 256, 256),
        ("deep_tent_has_no_error", 0, 0),
        ("one_layer_needs_exponentially_more", 769 / 49, 769 / 49),
        ("training_finds_the_tent", 0.9, 1.1),
    ],
)
def test_estimates(findings_of, claim, low, high):
    assert low <= findings_of("width_vs_depth")[claim].estimate <= high * (1 + 1e-9)


def test_verdicts(findings_of):
    findings = findings_of("width_vs_depth")
    for claim in (
        "depth_helps_compositional",
        "depth_helps_radial",
        "width_wins_additive",
        "deep_tent_is_exact",
        "one_layer_needs_exponentially_more",
    ):
        assert findings[claim].verdict == "supported"
    for claim in ("depth_always_helps", "training_finds_the_tent"):
        assert findings[claim].verdict == "not supported"
