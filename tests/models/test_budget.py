from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlexp.models.budget import parameter_count, widths_for_budget
from dlexp.models.mlp import MLP


def count_of_network(widths: list[int], input_dim: int, output_dim: int, bias: bool) -> int:
    model = MLP(input_dim=input_dim, width=widths, depth=len(widths), output_dim=output_dim, bias=bias)
    return sum(parameter.numel() for parameter in model.parameters())


@given(
    widths=st.lists(st.integers(1, 30), max_size=5),
    input_dim=st.integers(1, 20),
    output_dim=st.integers(1, 5),
    bias=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_the_count_is_that_of_the_network(
    widths: list[int], input_dim: int, output_dim: int, bias: bool
) -> None:
    expected = count_of_network(widths, input_dim, output_dim, bias)
    assert parameter_count(widths, input_dim, output_dim, bias) == expected


def test_counts_by_hand() -> None:
    assert parameter_count([5], 20, 1) == 22 * 5 + 1
    assert parameter_count([50, 50], 10, 1) == 550 + 2550 + 51
    assert parameter_count([50, 50], 10, 1, bias=False) == 500 + 2500 + 50


@given(
    budget=st.integers(20, 3000),
    depth=st.integers(1, 6),
    input_dim=st.integers(1, 12),
    output_dim=st.integers(1, 4),
    bias=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_no_choice_of_single_layers_one_unit_wider_comes_nearer(
    budget: int, depth: int, input_dim: int, output_dim: int, bias: bool
) -> None:
    def count(widths: list[int]) -> int:
        return parameter_count(widths, input_dim, output_dim, bias)

    if count([1] * depth) > budget:
        with pytest.raises(ValueError, match=f"budget={budget} is too small: depth={depth} needs at least"):
            widths_for_budget(budget, depth, input_dim, output_dim, bias)
        return
    found = widths_for_budget(budget, depth, input_dim, output_dim, bias)
    narrow = max(w for w in range(1, budget + 1) if count([w] * depth) <= budget)
    every = [list(choice) for choice in product((narrow, narrow + 1), repeat=depth)]
    nearest = min(abs(count(widths) - budget) for widths in every)
    candidates = [widths for widths in every if abs(count(widths) - budget) == nearest]
    assert found == min(candidates, key=lambda widths: (count(widths), widths))


def test_one_and_five_hidden_layers_match_within_one_percent() -> None:
    for input_dim in (4, 8, 10):
        for budget in range(1500, 20_000, 100):
            wide, deep = (
                parameter_count(widths_for_budget(budget, depth, input_dim, 1), input_dim, 1)
                for depth in (1, 5)
            )
            assert abs(wide - deep) <= 0.01 * min(wide, deep)
            assert max(abs(wide - budget), abs(deep - budget)) <= 0.01 * budget


def test_at_2000_parameters() -> None:
    wide, deep = widths_for_budget(2000, 1, 10, 1), widths_for_budget(2000, 5, 10, 1)
    assert wide == [167]
    assert 10 * 167 + 167 + 167 + 1 == 2005
    assert set(deep) <= {20, 21}
    assert abs(count_of_network(deep, 10, 1, True) - 2000) <= 5


def test_many_layers_and_large_budgets_are_no_effort() -> None:
    widths = widths_for_budget(10**9, 60, 100, 10)
    assert parameter_count(widths, 100, 10) == pytest.approx(10**9, rel=1e-5)


@pytest.mark.parametrize("depth", [0, -1])
def test_a_budget_needs_a_hidden_layer(depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth={depth} is not allowed: .* at least 1 hidden layer"):
        widths_for_budget(100, depth, 10, 1)
