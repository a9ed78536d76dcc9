import pytest
import torch

from dlexp.measures.connectivity import BARRIER_DEFINITIONS, barrier


def test_values_computed_by_hand() -> None:
    # Ends 1 and 3; the straight line between them is 1, 1.5, 2, 2.5, 3.
    losses = torch.tensor([1.0, 3.5, 4.0, 2.0, 3.0], dtype=torch.float64)
    assert float(barrier(losses, "linear")) == 2.0
    assert float(barrier(losses, "max_end")) == 1.0
    assert float(barrier(losses, "mean_end")) == 2.0
    # The highest point over the line need not be the highest point.
    losses = torch.tensor([1.0, 4.0, 3.0, 4.2, 5.0], dtype=torch.float64)
    assert float(barrier(losses, "linear")) == 2.0
    assert float(barrier(losses, "max_end")) == 0.0
    assert float(barrier(losses, "mean_end")) == 2.0


def test_is_linear_definition_by_default() -> None:
    losses = torch.tensor([0.0, 0.5, 0.0, 2.0])
    torch.testing.assert_close(barrier(losses), barrier(losses, "linear"))
    assert float(barrier(losses)) < float(barrier(losses, "mean_end"))


def test_no_barrier_below_the_ends_and_many_paths_at_once() -> None:
    losses = torch.tensor([[1.0, 0.2, 1.0], [1.0, 2.0, 1.0]])
    for definition in BARRIER_DEFINITIONS:
        assert barrier(losses, definition).tolist() == [0.0, 1.0]


def test_nan_is_not_hidden() -> None:
    assert bool(barrier(torch.tensor([1.0, torch.nan, 1.0])).isnan())


def test_refusals() -> None:
    with pytest.raises(ValueError, match="definition='sup' is unknown; allowed: linear, max_end, mean_end"):
        barrier(torch.ones(3), "sup")
    with pytest.raises(ValueError, match="T >= 2"):
        barrier(torch.ones(1))
