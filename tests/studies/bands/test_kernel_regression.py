"""STUDIES: the distance to the linearised dynamics falls as width^-.60; the limit is corrected for f_0."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def findings(findings_of):
    return findings_of("kernel_regression")


def test_predictions_near_those_of_the_linearised_network(findings):
    assert findings["relu_predicts_as_its_linearization"].estimate == pytest.approx(-0.6, abs=0.15)
    assert findings["erf_predicts_as_its_linearization"].estimate == pytest.approx(-0.8, abs=0.2)


def test_descent_that_is_stopped_is_no_interpolation(findings):
    finding = findings["linearized_descent_is_not_interpolation"]
    assert 0.02 < finding.estimate < 0.2
    assert finding.verdict == "supported"


def test_the_limit_is_kernel_interpolation_from_the_initial_function(findings):
    finding = findings["converged_network_interpolates_by_its_kernel"]
    assert finding.estimate == pytest.approx(-0.55, abs=0.15)
    assert findings["has_converged"].verdict == "supported"


def test_without_the_initial_function_it_is_not(findings):
    finding = findings["converged_network_is_kernel_regression"]
    assert abs(finding.estimate) < 0.2
    assert finding.verdict == "not supported"
