import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("claim", "low", "high"),
    [
        ("centre_is_the_training_loss", 0.99999, 1.00001),
        ("centre_is_the_lowest_point", 0.99999, 1),
        ("trained_lines_are_convex", 0, 0.01),  # STUDIES: 0
        ("training_ends_where_it_is_more_convex", 0, 0.1),  # STUDIES: .038 before, 0 after
        ("raw_surface_depends_on_scale", 2, 100),  # STUDIES: 65
        ("filter_normalised_surface_does_not", 0, 1e-6),  # STUDIES: 3e-7
        ("trajectory_is_no_random_walk", 1.1, 1.6),
    ],
)
def test_estimates(findings_of, claim, low, high):
    assert low <= findings_of("loss_landscape")[claim].estimate <= high


def test_verdicts(findings_of):
    findings = findings_of("loss_landscape")
    # Some networks are convex at the start, a few have a line that is not at the end.
    certain = set(findings) - {"training_ends_where_it_is_more_convex", "trained_lines_are_convex"}
    for claim in certain:
        assert findings[claim].verdict == "supported"
