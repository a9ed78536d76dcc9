from dlexp.records.folders import read_runs
from dlexp.records.run import Run
from dlexp.report.provenance import doubts, facts, settings_besides, shared_settings
from dlexp.results.summary import summarize


def test_shared_settings_leave_out_what_varies_seeds_and_names(tmp_path, run):
    run(tmp_path, {"model.width": 1}, {}, seed=0)
    run(tmp_path, {"model.width": 2}, {}, seed=1)
    (tmp_path / "width=4,seed=0-12345678").mkdir()
    shared = dict(shared_settings(summarize(read_runs(tmp_path))))
    assert shared["data.noise"] == "0.5"
    assert shared["data.generator.weights"] == "[1.0, 2.0]"
    assert not {"model.width", "seed", "data.seed", "name", "rerun"} & set(shared)


def test_settings_that_vary_along_are_listed_apart(tmp_path, run):
    for width, lr in ((10, 0.1), (2, 0.01)):
        run(tmp_path, {"model.width": width, "optimizer.lr": lr}, {}, overrides={"model.width": width})
    summary = summarize(read_runs(tmp_path))
    assert summary.swept == ("model.width",)
    assert settings_besides(summary) == [("optimizer.lr", "0.01, 0.1")]


def test_facts_of_all_runs(tmp_path, run):
    for seed in range(3):
        run(tmp_path, {"model.seed": 7}, {}, seed=seed, duration_s=30.5)
    run(tmp_path, {"model.seed": 7}, {}, seed=8, duration_s=None, status="failed", device="cuda:0")
    run(tmp_path, {"model.seed": 7}, {}, seed=9, versions={"torch": "2.14.0", "numpy": "2.4"})
    (tmp_path / "width=4,seed=0-12345678").mkdir()
    assert facts(summarize(read_runs(tmp_path)), 61) == [
        ("runs", "4 done, 1 failed, 1 running or interrupted"),
        ("seeds", "0 to 2, 8, 9"),
        ("model.seed", "7"),
        ("time taken", "1 min 33 s (sum over runs), 1 min 1 s (on the clock)"),
        ("device", "cpu, cuda:0"),
        ("torch", "2.13.0, 2.14.0"),
        ("numpy", "2.4"),
    ]


def test_what_is_not_known_is_left_out(tmp_path):
    (tmp_path / "width=4,seed=0-12345678").mkdir()
    assert facts(summarize(read_runs(tmp_path)), None) == [("runs", "1 running or interrupted")]
    assert shared_settings(summarize(read_runs(tmp_path))) == []


def test_runs_in_doubt_are_told(tmp_path):
    adamw = {"optimizer": {"name": "adamw", "weight_decay": 0.1}, "model": {"parametrization": "mup"}}
    old = Run("done", "a", config=adamw, versions={"dlexp": "0.1.0"}, folder=tmp_path / "a")
    new = Run("done", "b", config=adamw, versions={"dlexp": "0.2.0"}, folder=tmp_path / "b")
    damaged = Run("done", "c", versions={"dlexp": "0.2.0"}, files={"metrics.csv": 9}, folder=tmp_path / "c")
    assert [*doubts([new])] == []
    wrong, mixed = doubts([old, new])
    assert "1 of 2 runs are of an earlier version" in wrong
    assert "0.1.0 (1), 0.2.0 (1)" in mixed
    assert [*doubts([damaged])] == ["c: metrics.csv is missing; the command of the sweep trains anew."]
