from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlexp.data.batches import BatchOrder, InMemoryLoader


def rows(order: BatchOrder, epoch: int) -> list[list[int]]:
    return [batch.tolist() for batch in order.epoch(epoch)]


@given(n=st.integers(1, 50), data=st.data(), seed=st.integers(0, 2**31), epoch=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_an_epoch_visits_every_row_once_in_full_batches_and_a_smaller_last_one(
    n: int, data: st.DataObject, seed: int, epoch: int
) -> None:
    batch_size = data.draw(st.integers(1, n))
    order = BatchOrder(n, batch_size, seed)
    batches = rows(order, epoch)
    assert sorted(chain(*batches)) == list(range(n))
    assert len(batches) == order.steps_per_epoch
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert len(batches[-1]) == (n % batch_size or batch_size)


def test_an_epoch_does_not_depend_on_which_were_asked_for_before() -> None:
    sequential = [rows(BatchOrder(30, 7, 5), epoch) for epoch in range(4)]
    order = BatchOrder(30, 7, 5)
    assert [rows(order, epoch) for epoch in (3, 1, 1, 0, 2)] == [sequential[e] for e in (3, 1, 1, 0, 2)]


def test_epochs_and_seeds_have_different_orders() -> None:
    permutations = [tuple(chain(*rows(BatchOrder(30, 7, s), e))) for s in range(5) for e in range(5)]
    assert len(set(permutations)) == 25


def test_every_row_is_as_likely_to_come_first() -> None:
    order = BatchOrder(4, 1, 0)
    counts = torch.zeros(4)
    for epoch in range(2000):
        counts[order.epoch(epoch)[0]] += 1
    assert ((counts - 500).abs() < 4 * (2000 * 0.25 * 0.75) ** 0.5).all()


def test_full_is_the_whole_set_in_its_own_order() -> None:
    order = BatchOrder(30, "full", 0)
    assert order.epoch(3) == [None]
    assert order.steps_per_epoch == 1
    x, y = torch.arange(30.0)[:, None], torch.arange(30)
    ((x_batch, y_batch),) = list(InMemoryLoader(x, y, order))
    assert x_batch is x
    assert y_batch is y


def test_the_global_generator_is_neither_used_nor_changed() -> None:
    state = torch.get_rng_state()
    first = rows(BatchOrder(30, 7, 5), 0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert rows(BatchOrder(30, 7, 5), 0) == first


def test_each_iteration_of_the_loader_is_the_next_epoch() -> None:
    order = BatchOrder(10, 3, 0)
    x, y = torch.arange(10.0)[:, None], torch.arange(10)
    loader = InMemoryLoader(x, y, order)
    assert len(loader) == 4
    for epoch in (0, 1):
        batches = list(loader)
        assert [batch.tolist() for _, batch in batches] == rows(order, epoch)
        assert all(torch.equal(x_batch[:, 0], y_batch.float()) for x_batch, y_batch in batches)
    iter(loader)  # an iterator that is not read is no epoch
    loader.set_epoch(7)
    iter(loader)
    assert [batch.tolist() for _, batch in loader] == rows(order, 7)
    resumed = InMemoryLoader(x, y, order, first_epoch=8)
    assert [batch.tolist() for _, batch in loader] == [batch.tolist() for _, batch in resumed]


@pytest.mark.parametrize("batch_size", [0, 31, -1, "half", 2.0, True])
def test_bad_batch_sizes_are_refused(batch_size: object) -> None:
    with pytest.raises(
        ValueError, match=r"batch_size=.* is not allowed: it must be full or between 1 and 30"
    ):
        BatchOrder(30, batch_size, 0)  # type: ignore[arg-type]


def test_a_loader_refuses_rows_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="x has 4 rows and y 5, but the batch order is for 4"):
        InMemoryLoader(torch.zeros(4, 1), torch.zeros(5, 1), BatchOrder(4, 2, 0))
