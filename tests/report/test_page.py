import re
from dataclasses import replace

import pytest

from dlexp.records.folders import read_runs
from dlexp.report.images import Drawn
from dlexp.report.page import render_report
from dlexp.results.study import Study
from dlexp.results.summary import summarize

STUDY = Study(
    "double_descent",
    question="Does the test loss fall again?",
    command="python scripts/train.py study=double_descent 'seed=range(5)'",
    seconds=83.2,
    sources=("Belkin et al. 2019, https://arxiv.org/abs/1812.11118",),
)


@pytest.fixture
def summary(tmp_path, double_descent):
    return summarize(read_runs(double_descent(tmp_path / "sweep", 3)))


def test_the_order_of_the_page_and_what_each_part_says(tmp_path, summary, finding, figure, document):
    findings = [
        finding("peak", figure="loss", controls=(("no_noise", "not supported"),)),
        finding("no_noise", is_control=True, text="Without noise no peak.", verdict="not supported"),
        finding("wide", verdict="inconclusive", source="Nakkiran et al. 2020"),
    ]
    figures = [figure(tmp_path, "loss", title="Loss against width", caption="It peaks.")]
    page = document(render_report(STUDY, summary, findings, figures, tmp_path))
    assert [heading.text for heading in page.all("h2")] == [
        "Verdicts",
        "Controls",
        "Figures",
        "Settings and metrics",
        "How it was made",
        "Sources",
    ]
    assert page.all("h1")[0].text == "double_descent"
    assert page.all("title")[0].text == "double_descent: report"
    assert page.text().startswith(
        "double_descent Does the test loss fall again? ✓ 1 supported ? 1 inconclusive"
    )
    claims = [" ".join(article.text.split()) for article in page.all("article")]
    assert claims[0].startswith("✓ supported peak The test loss peaks at the first width")
    assert "Needs its controls: no_noise ✗ not supported" in claims[0]
    assert "Source: Belkin et al. 2019. See the figure." in claims[0]
    assert "The whole interval lies in the region. For this teacher and these widths." in claims[0]
    assert (
        "peak of test/loss along model.width estimate 3.25 95 % interval 2.9 to 3.6 "
        "predicted region at least 2 n 5 (5 needed) The value of each seed seed 0: 3.1 seed 1: 3.4"
    ) in claims[0]
    assert claims[1].startswith("? inconclusive wide")
    assert "See the figure" not in claims[1]
    assert claims[2].startswith("✗ not supported no_noise Without noise no peak.")
    assert [article.attributes["class"] for article in page.all("article")] == [
        "claim yes",
        "claim open",
        "claim no",
    ]
    assert page.all("figcaption")[0].text == "Loss against width. It peaks."
    assert page.all("img")[0].attributes["alt"] == "Figure: Loss against width"
    assert [item.text for item in page.all("li")] == [*STUDY.sources]
    assert page.all("code")[-1].text == STUDY.command
    assert "time taken 19 s (sum over runs), 1 min 23 s (on the clock) device cpu torch 2.13.0" in page.text()
    assert "data.n_train 100" in page.text()


def test_without_sources_of_its_own_a_study_shows_those_of_its_claims(tmp_path, summary, finding, document):
    findings = [finding("a", source="A 2019"), finding("b", source="B 2020"), finding("c", source="A 2019")]
    page = document(render_report(replace(STUDY, sources=()), summary, findings, [], tmp_path))
    assert [item.text for item in page.all("li")] == ["A 2019", "B 2020"]


def test_ids_are_unique_and_all_links_lead_to_one(tmp_path, summary, finding, figure, run, document):
    failed = run(tmp_path / "sweep", {"model.width": 2}, {}, seed=9, status="failed", error="no")
    with_failure = summarize(read_runs(failed.parent))
    findings = [finding("a", figure="loss", controls=(("b", "supported"),)), finding("b", is_control=True)]
    page = document(render_report(STUDY, with_failure, findings, [figure(tmp_path, "loss")], tmp_path))
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    links = {link.attributes["href"] for link in page.all("a")}
    assert links == {"#not-done", "#claim-b", "#figure-loss"}
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_nothing_is_fetched_and_the_policy_forbids_it(tmp_path, summary, finding, figure, document):
    text = render_report(STUDY, summary, [finding()], [figure(tmp_path)], tmp_path)
    page = document(text)
    for element in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (element.attributes.get(name) or "#").startswith(("#", "data:"))
        assert element.tag not in ("iframe", "object", "embed", "form", "base")
    assert "url(" not in text
    assert "@import" not in text
    (policy,) = page.all("meta", http_equiv="Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data:;")
    assert "script-src 'sha256-" in policy.attributes["content"]


def test_what_comes_from_runs_and_files_is_escaped(tmp_path, finding, figure, run, document):
    bad = "<script>alert('x')</script>\"&"
    run(tmp_path / "s", {"model.activation": bad}, {f"m/{bad}": 1.0}, overrides={"a": 1}, device=bad)
    run(tmp_path / "s", {"model.activation": "relu"}, {}, overrides={"a": 2}, status="failed", error=bad)
    study = replace(STUDY, name=bad, question=bad, command=bad, sources=(bad,), notices=(bad,))
    findings = [
        finding(
            bad, text=bad, source=bad, statistic=bad, reason=bad, scope=bad, controls=((bad, "supported"),)
        )
    ]
    figures = [figure(tmp_path, "plain", name=bad, title=bad, caption=bad)]
    text = render_report(study, summarize(read_runs(tmp_path / "s")), findings, figures, tmp_path)
    assert text.count("<script>") == 1
    assert "alert('x')" not in text
    page = document(text)
    assert [cell.text for cell in page.all("td", class_="text error")] == [bad]
    assert page.all("code")[-1].text == bad
    assert page.all("h1")[0].text == bad
    assert len(page.all("script")) == 1


def test_the_same_results_give_the_same_bytes(tmp_path, summary, finding, figure):
    drawn = [figure(tmp_path)]
    first = render_report(STUDY, summary, [finding()], drawn, tmp_path)
    again = summarize(read_runs(tmp_path / "sweep"))
    assert render_report(STUDY, again, [finding()], drawn, tmp_path) == first
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", first)


def test_a_sweep_without_a_study_has_its_table_figures_and_settings(tmp_path, summary, figure, document):
    page = document(render_report(None, summary, [], [figure(tmp_path)], tmp_path / "sweep"))
    assert page.all("h1")[0].text == "sweep"
    assert [heading.text for heading in page.all("h2")] == [
        "Figures",
        "Settings and metrics",
        "How it was made",
    ]
    assert not page.all("pre")
    assert "None" not in page.text()


def test_runs_that_are_not_done_are_listed_with_their_error(tmp_path, run, document):
    run(tmp_path, {"model.width": 1}, {"test/loss": 1.0})
    failed = run(tmp_path, {"model.width": 2}, {}, status="failed", error="RuntimeError: singular")
    diverged = run(tmp_path, {"model.width": 3}, {}, status="diverged", error="train/loss was nan at step 12")
    (tmp_path / "width=4,seed=0-12345678").mkdir()
    page = document(
        render_report(replace(STUDY, fast=True), summarize(read_runs(tmp_path)), [], [], tmp_path)
    )
    assert "3 of 4 runs are not done." in page.text()
    assert "A quick look (debug=fast)" in page.text()
    cells = [cell.text for cell in page.all("td") if "number" not in (cell.attributes["class"] or "")]
    expected = {
        ("failed", failed.name, "RuntimeError: singular"),
        ("diverged", diverged.name, "train/loss was nan at step 12"),
        ("running or interrupted", "width=4,seed=0-12345678", "-"),
    }
    rows = list(zip(cells[-9::3], cells[-8::3], cells[-7::3], strict=True))
    assert set(rows) == expected
    assert "runs 1 diverged, 1 done, 1 failed, 1 running or interrupted" in page.text()


def test_no_run_done_and_no_configuration_at_all(tmp_path, run, document):
    (tmp_path / "none" / "width=4,seed=0-12345678").mkdir(parents=True)
    summary = summarize(read_runs(tmp_path / "none"))
    text = document(render_report(STUDY, summary, [], [], tmp_path)).text()
    assert "No run has a configuration that can be read." in text
    run(tmp_path / "failed", {"model.width": 1}, {}, status="failed", error="no", duration_s=None)
    summary = summarize(read_runs(tmp_path / "failed"))
    text = document(render_report(replace(STUDY, seconds=None), summary, [], [], tmp_path)).text()
    assert "1 of 1 runs are not done." in text
    assert "nan" not in text


def test_a_claim_without_an_estimate_says_so(tmp_path, summary, finding, document):
    nan = float("nan")
    nothing = finding(estimate=nan, low=nan, high=nan, n=0, verdict="inconclusive", values={})
    page = document(render_report(STUDY, summary, [nothing], [], tmp_path))
    assert "estimate - 95 % interval - predicted region at least 2 n 0 (5 needed)" in page.text()
    assert not page.all("svg")
    assert "nan" not in page.text()


def test_the_interval_is_drawn_against_the_region(tmp_path, summary, finding, document):
    page = document(render_report(STUDY, summary, [finding()], [], tmp_path))
    (drawing,) = page.all("svg")
    assert drawing.attributes["aria-label"] == "Interval 2.9 to 3.6 drawn above the region: at least 2."
    assert [text.text for text in page.all("text")] == ["2.9", "3.6", "2", "∞"]
    (region,) = page.all("rect")
    (estimate,) = page.all("circle")
    # 2 to 3.6 lies over 66 to 234 pixels; the open end reaches to the edge.
    assert float(region.attributes["x"]) == pytest.approx(66 - 2)
    assert float(region.attributes["width"]) == pytest.approx(297 - 66 + 4)
    assert float(estimate.attributes["cx"]) == pytest.approx(66 + 168 * (3.25 - 2) / 1.6, abs=0.06)


def test_a_figure_that_cannot_be_drawn_says_so_in_its_place(tmp_path, summary, figure, document):
    lost = Drawn("lost", "Lost", "It was here.", tmp_path / "lost.png", "No run has the metric x.")
    page = document(render_report(STUDY, summary, [], [lost, figure(tmp_path)], tmp_path))
    assert "This figure cannot be drawn: No run has the metric x. Lost. It was here." in page.text()
    assert [image.attributes["alt"] for image in page.all("img")] == ["Figure: Test loss"]


def test_what_a_reader_has_to_know_stands_above(tmp_path, summary, document):
    page = document(render_report(replace(STUDY, notices=("It differs.",)), summary, [], [], tmp_path))
    assert [notice.text for notice in page.all("p", class_="notice")] == ["It differs."]
