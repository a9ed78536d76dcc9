import math

from dlexp.records.folders import read_runs
from dlexp.report.page import render_report
from dlexp.report.settings import Cell, main_metrics, page_table
from dlexp.results.claims import Claim, at_least
from dlexp.results.statistics import ratio, value
from dlexp.results.study import Study
from dlexp.results.summary import summarize

METRICS = ("model/parameters", "train/loss", "test/loss", "ntk/drift")


def test_a_row_a_setting_with_numbers_beside_their_texts(tmp_path, run):
    for width, losses in {20: (1.0, 3.0), 5: (4.0, math.nan)}.items():
        for seed, loss in enumerate(losses):
            run(tmp_path, {"model.width": width}, {"test/loss": loss}, seed=seed)
    run(tmp_path, {"model.width": 5}, {}, seed=2, status="failed", error="no")
    table = page_table(summarize(read_runs(tmp_path)), Study("s"))
    assert [(column.name, column.key) for column in table.columns] == [
        ("width", "model.width"),
        ("n", "runs that are done"),
        ("not done", "runs that failed, diverged or did not finish"),
        ("test loss", "test/loss"),
    ]
    # 12.7 standard errors, t(0.975, 1), of two values that differ by 2
    assert table.rows == (
        (Cell("5", 5), Cell("2", 2), Cell("1", 1), Cell("4.00 (n = 1)", 4.0)),
        (Cell("20", 20), Cell("2", 2), Cell("0", 0), Cell("2 ± 13", 2.0)),
    )


def test_cells_tell_the_page_what_to_sort_by(tmp_path, run, document):
    run(tmp_path, {"model.activation": "relu"}, {"test/loss": 1e-7})
    run(tmp_path, {"model.activation": "tanh"}, {"test/loss": None})
    page = document(render_report(None, summarize(read_runs(tmp_path)), [], [], tmp_path))
    cells = [(cell.text, cell.attributes.get("data-number")) for cell in page.all("td")]
    assert cells == [
        ("relu", None),
        ("1", "1.0"),
        ("1.00e-7", "1e-07"),
        ("tanh", None),
        ("1", "1.0"),
        ("-", None),
    ]
    assert [table.attributes["class"] for table in page.all("table")] == ["sortable"]
    assert Cell("x", math.inf).sorted_by == "Infinity"


def test_of_many_metrics_the_main_ones_are_shown_and_the_others_on_demand(tmp_path, run, document):
    names = [f"many/metric_{i}" for i in range(9)]
    run(tmp_path, {"model.width": 1}, dict.fromkeys(names, 1.0))
    summary = summarize(read_runs(tmp_path))
    study = Study("s", metrics=("many/metric_7", "many/metric_2"))
    table = page_table(summary, study)
    shown = [column.key for column in table.columns[: -table.extra]]
    assert shown == ["runs that are done", "many/metric_7", "many/metric_2"]
    assert table.extra == 7
    page = document(render_report(study, summary, [], [], tmp_path))
    assert "show 7 more metrics" in page.text()
    assert len(page.all("th", class_="extra")) == len(page.all("td", class_="number extra")) == 7


def test_few_metrics_are_all_shown(tmp_path, run, document):
    run(tmp_path, {"model.width": 1}, dict.fromkeys(METRICS, 1.0))
    summary = summarize(read_runs(tmp_path))
    assert page_table(summary, Study("s", metrics=("ntk/drift",))).extra == 0
    assert not document(render_report(None, summary, [], [], tmp_path)).all("input")


def test_the_main_metrics_are_the_studys_then_those_of_its_claims_then_the_losses():
    assert main_metrics(METRICS, Study("s", metrics=("ntk/drift", "absent"))) == ["ntk/drift"]
    statistic = ratio(of=value("train/loss"), to=value("ntk/drift"))
    claim = Claim(name="c", text="t", scope="s", statistic=statistic, region=at_least(1))
    assert main_metrics(METRICS, Study("s", claims=(claim,))) == ["train/loss", "ntk/drift"]
    assert main_metrics(METRICS, Study("s")) == ["test/loss", "train/loss"]
    assert main_metrics(("a", "b"), Study("s")) == ["a", "b"]
