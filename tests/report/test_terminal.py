import io
from pathlib import Path

from rich.console import Console

from dlexp.report.results import read


def printed(folder: Path, width: int = 80) -> list[str]:
    stream = io.StringIO()
    read(folder).print(Console(file=stream, width=width))
    text = stream.getvalue()
    assert "\x1b" not in text
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_a_row_a_setting_then_failures_then_what_to_type(tmp_path, monkeypatch, double_descent, run):
    sweep = double_descent(tmp_path / "my sweep", 5)
    long = "RuntimeError: [red]no[/red] " + "memory " * 30
    failed = run(sweep, {"model.width": 5}, {}, seed=7, status="failed", error=f"{long}\nagain")
    running = sweep / "width=50,seed=9-0123abcd"
    running.mkdir()
    monkeypatch.chdir(tmp_path)
    lines = printed(Path("my sweep"))
    assert lines[0].split() == ["width", "n", "not", "done", "test", "loss", "training", "loss"]
    assert [line.split()[0] for line in lines[2:7]] == ["1", "2", "5", "50", "200"]
    assert "1.48 ± 0.41" in lines[4]
    assert lines[4].split()[1:3] == ["5", "1"]
    assert lines[7] == "Mean and half-width of its 95 % interval over n runs."
    assert lines[8] == "tensorboard --logdir 'my sweep'"
    assert lines[9] == f"failed: {failed.name}: {long}again (my sweep/{failed.name}/train.log)"
    assert lines[10] == f"running or interrupted: {running.name} (my sweep/{running.name}/train.log)"
    assert len(lines) == 11
    assert all(len(line) <= 80 for line in lines[:8])


def test_wide_content_stays_within_the_width(tmp_path, run):
    for i in range(3):
        settings = {f"data.generator.{name}{i}": f"a long value of {name} " * 4 for name in ("x", "y")}
        values = {"train/loss": 0.1, "test/loss": 0.2, "train/error": 1e-9 + i, "test/error": 123456.0}
        for seed in range(2):
            scaled = {name: value * (1 + seed) for name, value in values.items()}
            run(tmp_path, {**settings, "model.width": 10**i}, scaled, seed=seed)
    lines = printed(tmp_path)
    table = lines[: [line.startswith("Mean") for line in lines].index(True)]
    assert all(len(line) <= 80 for line in table)


def test_metrics_that_do_not_fit_are_left_to_the_file(tmp_path, run):
    values = {"train/loss": 0.1, "test/loss": 0.2, "train/error": 0.3, "test/error": 0.4}
    run(tmp_path, {}, values)
    assert printed(tmp_path, 80)[0].split() == [
        "n",
        "test",
        "loss",
        "test",
        "error",
        "training",
        "loss",
        "training",
        "error",
    ]
    assert printed(tmp_path, 40)[0].split() == ["n", "test", "loss", "test", "error"]


def test_another_encoding_and_no_settings_are_no_trouble(tmp_path, run, metrics):
    for seed in range(2):
        run(tmp_path / "a", {}, metrics(1.0 + seed), seed=seed)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    read(tmp_path / "a").print(Console(file=stream, width=80))
    stream.seek(0)
    assert "1.5 +- 6.4" in stream.read()
    (tmp_path / "b" / "seed=0-0123abcd").mkdir(parents=True)
    assert len(printed(tmp_path / "b")) == 2


def test_a_very_long_table_ends(tmp_path, run, metrics):
    for width in range(70):
        run(tmp_path, {"model.width": width + 1}, metrics(1.0))
    lines = printed(tmp_path)
    assert len(lines) == 2 + 60 + 2
    assert lines[-2] == "10 more settings are in summary.csv."
