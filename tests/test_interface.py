"""Python's interface: the same as the command line, and a guest that leaves the process as it was."""

import logging
import math
import random
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

import dlexp
from dlexp.records.run import Run, write_arrays
from dlexp.results.labelled import labelled_array, labelled_curves
from dlexp.results.table import Table, TableError

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
SMALL = (
    "model.width=2,5",
    "seed=range(3)",
    "trainer.max_steps=20",
    "callbacks=ntk",
    "callbacks.ntk.figures=false",
    "logger=none",
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("python"))
        yield dlexp.sweep(*SMALL, name="small")


def test_a_sweep_is_that_of_the_command_line(sweep, command, tmp_path):
    answer = command("-m", *SMALL, "name=small")
    assert answer.returncode == 0
    other = dlexp.load(tmp_path / "outputs" / "small")
    mine = sweep.runs.set_index("run_id").sort_index()
    theirs = other.runs.set_index("run_id").sort_index()
    measured = [name for name in mine if not name.startswith(("seconds/", "duration_s"))]
    assert mine[measured].equals(theirs[measured])


def test_what_is_finished_is_not_run_again(sweep):
    written = {run.run_id: run.written for run in sweep.results.table.rows}
    again = dlexp.sweep(*SMALL, name="small")
    assert {run.run_id: run.written for run in again.results.table.rows} == written
    assert repr(again) == f"Sweep({str(sweep.folder)!r}: 6 of 6 runs done)"


def test_no_number_depends_on_the_host(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            found = dlexp.sweep(*SMALL, name="small")
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.curves.drop_vars("seconds/ntk").equals(sweep.curves.drop_vars("seconds/ntk"))


def state():
    """Return what a host may have set for its whole process."""
    loggers = {name: logging.getLogger(name) for name in ["", "mine", "pytorch_lightning"]}
    return {
        "cwd": Path.cwd(),
        "argv": list(sys.argv),
        "hydra": GlobalHydra.instance().hydra,
        "loggers": [(x.level, x.disabled, x.propagate, [*x.handlers]) for x in loggers.values()],
        "levels": [handler.level for handler in logging.getLogger().handlers],
        "filters": list(warnings.filters),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "draws": (torch.get_rng_state().tolist(), random.getstate(), repr(numpy.random.get_state())),  # noqa: NPY002
        "grad": torch.is_grad_enabled(),
    }


@pytest.mark.slow
def test_sweeps_in_threads_take_turns(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: dlexp.sweep(*SMALL, name=name), ["one", "other"]))
    for own in found:
        assert own.curves.drop_vars("seconds/ntk").equals(sweep.curves.drop_vars("seconds/ntk"))


@pytest.mark.slow
def test_a_first_sweep_leaves_random_states_as_they_were(tmp_path):
    """Libraries that it imports may draw."""
    code = """
import random, numpy, torch, dlexp
before = random.getstate(), repr(numpy.random.get_state()), torch.get_rng_state().tolist()
dlexp.sweep("seed=0,1", "trainer.max_steps=2", "logger=none", name="first")
assert before == (random.getstate(), repr(numpy.random.get_state()), torch.get_rng_state().tolist())
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)


@pytest.mark.parametrize("ends", ["well", "refused"])
def test_the_process_is_left_as_it_was(ends, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shown = []
    handler = logging.Handler()
    handler.emit = shown.append
    monkeypatch.setattr(logging.getLogger(), "handlers", [*logging.getLogger().handlers, handler])
    torch.set_default_dtype(torch.float64)
    try:
        before = state()
        if ends == "well":
            found = dlexp.sweep("seed=0,1", "trainer.max_steps=5", "logger=none")
            assert list(found.runs["status"]) == ["done", "done"]
        else:
            with pytest.raises(dlexp.ConfigError, match=r"model\.width=-1"):
                dlexp.sweep("seed=0,1", "model.width=-1")
        assert state() == before
    finally:
        torch.set_default_dtype(torch.float32)
    assert [record for record in shown if record.levelno < logging.WARNING] == []
    assert capsys.readouterr().out == ""


def test_curves_and_arrays_stand_at_their_settings(sweep):
    for run in sweep.results.table.rows:
        at = {key: run.settings[key] for key in ("model.width", "seed")}
        curve = sweep.curves["test/loss"].sel(at)
        for step, _, name, value in run.rows():
            if name == "test/loss":
                assert float(curve.sel(step=step)) == value
        assert numpy.array_equal(sweep.arrays["ntk/kernel_end"].sel(at), run.arrays()["ntk/kernel_end"])
    assert sweep.curves["test/loss"].dims == ("model.width", "seed", "step")
    assert sweep.curves["model.width"].attrs["long_name"] == "width (hidden units per layer)"
    assert sweep.curves.attrs["version_torch"] == torch.__version__
    assert sorted(sweep.arrays) == ["ntk/kernel_end", "ntk/kernel_start"]
    with pytest.raises(KeyError):
        sweep.arrays["ntk/kernel"]


def test_a_network_is_the_trained_one(sweep):
    network = sweep.network(width=5, seed=2)
    (run,) = [r for r in sweep.results.table.rows if (r.settings["model.width"], r.seed) == (5, 2)]
    norm = math.sqrt(sum(float(p.detach().double().square().sum()) for p in network.parameters()))
    assert norm == pytest.approx(run.metrics["weights/norm"], rel=1e-6)
    with pytest.raises(ValueError, match=r"3 runs that are done have model\.width=5"):
        sweep.network(width=5)
    with pytest.raises(ValueError, match=r"0 runs that are done have model\.width=7"):
        sweep.network(width=7)


def test_a_figure_shows_any_metric(sweep):
    page = sweep.plot("ntk/drift", along="width")
    (panel,) = page.axes
    assert panel.get_ylabel() == "ntk drift"
    means = sweep.summary.set_index("model.width")["ntk/drift_mean"]
    (line,) = [x for x in panel.lines if len(x.get_xdata()) == 2 and list(x.get_xdata()) == [2, 5]]
    assert list(line.get_ydata()) == pytest.approx(list(means))
    with pytest.raises(TableError, match=r"along=model\.depth is not allowed: what was swept is model\."):
        sweep.plot(along="depth")


def test_one_network_from_a_changed_configuration(tmp_path):
    config = dlexp.compose("trainer.max_steps=3", "logger=none")
    config["model"]["width"] = 4
    run = dlexp.train(config, tmp_path / "one")
    assert (run.status, run.metrics["model/parameters"]) == ("done", 20 * 4 + 4 + 4 + 1)
    config["model"]["width"] = 0
    with pytest.raises(dlexp.ConfigError, match=r"model\.width=0"):
        dlexp.train(config, tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_a_study_is_judged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = dlexp.study("implicit_bias", "debug=fast", "arm=gradient_descent", seeds=[7, 8], name="bias")
    assert {run.seed for run in found.results.table.rows} == {7, 8}
    assert "gradient_descent_finds_least_norm" in [finding.name for finding in found.claims]


def written(folder, *runs):
    """Return the table of runs ``(settings, seed, arrays)``."""
    rows = []
    for index, (settings, seed, arrays) in enumerate(runs):
        place = folder / str(index)
        place.mkdir()
        write_arrays(place, arrays)
        config = {"model": dict(settings), "seed": seed}
        overrides = [f"model.{key}={value}" for key, value in settings.items()]
        rows.append(Run("done", place.name, seed=seed, config=config, overrides=overrides, folder=place))
    return Table(tuple(rows))


def test_ragged_arrays_are_padded_and_said_to_be_so(tmp_path):
    table = written(
        tmp_path,
        ({"width": 2}, 0, {"spectrum": numpy.arange(3)}),
        ({"width": 4}, 0, {"spectrum": numpy.arange(5)}),
    )
    found = labelled_array(table, "spectrum")
    assert found.dims == ("model.width", "seed", "i")
    assert found.attrs["ragged"] == "i"
    assert found.sel({"model.width": 2}).values.tolist()[0][:3] == [0, 1, 2]
    assert found.sel({"model.width": 2}).isnull().values.tolist()[0] == [False] * 3 + [True] * 2


def test_a_sparse_grid_is_a_list_of_runs(tmp_path):
    runs = [({"width": i, "depth": 9 - i}, 0, {"a": numpy.full(2, float(i))}) for i in range(9)]
    found = labelled_array(written(tmp_path, *runs), "a")
    assert found.dims == ("run", "i")
    assert found["model.width"].values.tolist() == found.values[:, 0].tolist() == list(range(9))


def test_values_of_several_kinds_are_texts(tmp_path):
    runs = [({"size": size}, 0, {"a": numpy.zeros(1)}) for size in ("full", 5, None)]
    found = labelled_array(written(tmp_path, *runs), "a")
    assert found["model.size"].values.tolist() == ["5", "full", "null"]


def test_nothing_done_is_said():
    with pytest.raises(TableError, match="No run is done"):
        labelled_curves(Table(()))


def test_the_page_of_the_documentation_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S):
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["sweep"].curves["ntk/drift"].sizes == {"model.width": 3, "seed": 3, "step": 22}
    assert names["gap"].isel(step=-1).notnull().all()
    assert names["run"].status == "done"
    assert names["earlier"].runs.equals(names["sweep"].runs)
    assert {run.seed for run in names["bias"].results.table.rows} == {100, 101, 102}


class Scaled(torch.nn.Linear):
    """A network of one's own that can be imported."""

    def __init__(self, *, input_dim, output_dim, generator):
        super().__init__(input_dim, output_dim)
        torch.nn.init.normal_(self.weight, generator=generator)


def largest_weight(member):
    return member.network.weight.abs().max()


def test_own_objects_that_can_be_imported_are_kept_by_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = dlexp.sweep("seed=0,1", "trainer.max_steps=2", model=Scaled, measures=[largest_weight])
    assert set(found.runs["model._target_"]) == {f"{__name__}.Scaled"}
    for run in found.results.table.rows:
        network = found.network(seed=run.seed)
        assert type(network) is Scaled
        assert run.metrics["function/largest_weight"] == pytest.approx(network.weight.abs().max().item())


def test_own_objects_of_a_notebook_are_trained_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Local(Scaled):
        pass

    asked = {"model": Local, "measures": [lambda member: {"mine/one": 1}, lambda member: {"mine/two": 2}]}
    with pytest.raises(dlexp.ConfigError, match="name is missing"):
        dlexp.sweep("trainer.max_steps=2", **asked)
    first, second = (dlexp.sweep("trainer.max_steps=2", name="mine", **asked) for _ in range(2))
    assert list(second.runs["mine/two"]) == [2]
    assert second.results.table.rows[0].written > first.results.table.rows[0].written
    assert type(second.network()) is Local


def test_all_public_names_are_there():
    assert set(dlexp.__all__) <= set(dir(dlexp))
    for name in dlexp.__all__:
        assert getattr(dlexp, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        dlexp.swep
