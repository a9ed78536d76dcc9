"""The benchmark on tiny sizes: that it runs, and that what it compares is the same thing."""

import json
import math

import pytest
import torch
from torch import nn

from benchmarks import measures, replay, report, stacks, step, sweep
from benchmarks.__main__ import SECTIONS, run
from benchmarks.jobs import plain_network
from benchmarks.loops import VmapEnsemble, notebook_loop, plain_loop, vmap_loop
from benchmarks.replay import VmapSteps, members_of
from benchmarks.timing import Lap, Row, Section, Settings, in_turn, median, rows_of
from dlexp.data.batches import BatchOrder

QUICK = Settings(quick=True)
FAST = {
    "measures": measures.measure,
    "step": step.measure,
    "stacks": stacks.measure,
    "growth": stacks.growth,
    "replay": replay.measure,
    "buckets": stacks.buckets,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_a_section_runs_and_its_ways_give_the_same_values(name):
    section = FAST[name](QUICK)
    assert {row.ratio for row in section.rows} >= {1.0}
    for row in section.rows:
        assert 0 < row.ratio < math.inf, row
        assert row.difference is None or row.difference < 1e-10, row
    assert [c.case for c in section.rows] == sorted(
        (c.case for c in section.rows), key=list(dict.fromkeys(c.case for c in section.rows)).index
    )


@pytest.mark.slow
def test_sweeps_are_timed_as_commands():
    assert sweep.end_to_end(QUICK).rows[0].wall > 1
    assert len(sweep.overhead(QUICK).rows) == 2


@pytest.mark.slow
def test_a_command_that_fails_is_not_taken_for_a_fast_one():
    with pytest.raises(RuntimeError, match="width"):
        sweep.command_lap(["model.width=0,1"], QUICK)


def test_ways_are_timed_in_turn_and_ratios_are_of_medians():
    calls = []
    laps = {"a": iter([9, 1, 2, 30]), "b": iter([9, 10, 20, 30])}

    def way(name):
        calls.append(name)
        return Lap(next(laps[name]), 1.0)

    found = in_turn({"a": lambda: way("a"), "b": lambda: way("b")}, 3)
    assert calls == ["a", "b"] * 4
    assert median(found["a"]).cpu == 2
    rows = rows_of("case", found, Settings(), reference="a", unit="ms/step")
    assert [(row.cpu, row.ratio, row.unit) for row in rows] == [(2000, 1, "ms/step"), (20000, 10, "ms/step")]


def test_the_loops_compared_take_the_same_steps():
    def networks():
        made = [plain_network([3, 4, 1]).double() for _ in range(2)]
        nn.init.constant_(made[1][0].weight, 0.1)
        return made

    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(2, 10, k, dtype=torch.float64, generator=generator) for k in (3, 1))
    orders = [BatchOrder(10, 4, seed) for seed in (0, 1)]
    alone, together = networks(), VmapEnsemble(networks(), x, y, orders)
    before = alone[0][0].weight.clone()
    for network, x_own, y_own, order in zip(alone, x, y, orders, strict=True):
        plain_loop(network, x_own, y_own, order, 7)
    vmap_loop([together], 7)
    assert not torch.equal(alone[0][0].weight, before)
    for name in together.parameters:
        for index, network in enumerate(alone):
            assert torch.allclose(together.parameters[name][index], network.get_parameter(name), atol=1e-14)
    full, notebook = networks()[0], networks()[0]
    plain_loop(full, x[0], y[0], BatchOrder(10, "full", 0), 5)
    with torch.random.fork_rng():
        losses = notebook_loop(notebook, x[0], y[0], 10, 5)
    assert len(losses) == 5
    assert torch.allclose(full[0].weight, notebook[0].weight, atol=1e-14)


def test_sections_are_written_side_by_side(tmp_path):
    section = Section([Row("3 x net", "dlexp", 1.0, 2.0, "µs/step", 1.0)], ["A remark."])
    report.write("one", section, QUICK, "python a", tmp_path)
    report.write("two", section, QUICK, "python b", tmp_path)
    content = json.loads((tmp_path / "bench.json").read_text())
    assert {name: found["command"] for name, found in content.items()} == {
        "one": "python a",
        "two": "python b",
    }
    assert content["one"]["rows"][0]["unit"] == "µs/step"
    assert content["one"]["torch"] == torch.__version__
    assert report.draw_growth(section, QUICK, tmp_path / "growth").stat().st_size > 1000
    assert report.markdown(section).splitlines()[2:] == [
        "| 3 x net | dlexp | 1.00 µs/step | 2.00 µs/step | 1.00x |",
        "",
        "A remark.",
    ]


def test_an_unknown_section_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no section speed; there are measures"):
        run(["speed"], QUICK, tmp_path)
    assert set(FAST) < set(SECTIONS)


@pytest.mark.parametrize("name", list(replay.MODELS)[:2])
def test_networks_of_any_kind_are_trained_to_the_same_weights(name):
    replayed, by_vmap = members_of(name, 2, QUICK), VmapSteps(members_of(name, 2, QUICK))
    replay.Replay(replayed, {}).advance(0, 5)
    by_vmap.advance(0, 5)
    for position, member in enumerate(replayed):
        for key, parameter in member.network.named_parameters():
            assert torch.allclose(parameter, by_vmap.parameters[key][position], rtol=1e-4, atol=1e-6)
