"""STUDIES: Spearman .84 to .90, degenerate without weight decay, shares of positive definite matrices."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def findings(findings_of):
    return findings_of("critical_points")


def test_index_rises_with_loss(findings):
    assert 0.65 < findings["index_rises_with_loss"].estimate <= 1


def test_weight_decay_decides_about_degeneracy(findings):
    assert findings["weight_decay_leaves_no_degenerate_points"].estimate == 0
    assert findings["without_weight_decay_most_points_are_degenerate"].estimate > 0.8


def test_random_matrices(findings):
    for dimension in (2, 3):
        assert findings[f"positive_definite_share_in_dimension_{dimension}"].verdict == "supported"
    finding = findings["eigenvalues_have_independent_signs"]
    assert finding.estimate == pytest.approx(0.00247 / 0.0625, rel=0.1)
    assert finding.verdict == "not supported"
