import math
from pathlib import Path
from typing import Any

from dlexp.report.index import render_index
from dlexp.report.results import Results
from dlexp.results.claims import Finding
from dlexp.results.study import Figure, Study
from dlexp.results.table import Table


def results(folder: Path, findings: list[Finding], name: str = "s", **fields: Any) -> Results:
    return Results(folder, Table(()), Study(name, **fields), findings)


def shown(name: str) -> Figure:
    return Figure(name, "Test loss", "It peaks.", 1, None, lambda axes, table: None)


def test_each_claim_its_verdict_its_figure_and_the_report(tmp_path, finding, figure, document):
    findings = [
        finding("plain", text="No figure shows this.", verdict="inconclusive", reason="Too few seeds."),
        finding("peak", text="It peaks.", figure="loss"),
        finding("control", text="A control.", is_control=True),
    ]
    for name in ("loss", "other"):
        figure(tmp_path / "dd" / "figures", name)
    question, figures = "Does it fall again?", (shown("loss"), shown("other"), shown("not_drawn"))
    entries = [
        results(tmp_path / "dd", findings, "double_descent", question=question, fast=True, figures=figures),
        results(tmp_path / "ntk", [finding("drift", text="It falls.", verdict="not supported")]),
    ]
    page = document(render_index(entries))
    text = page.text()
    assert text.startswith(
        "Claims and verdicts 3 claims of 2 studies. ✓ 1 supported ✗ 1 not supported ? 1 inconclusive "
        "double_descent Does it fall again? ✓ 1 supported ? 1 inconclusive A quick look (debug=fast)"
    )
    assert [" ".join(item.text.split()) for item in page.all("li")] == [
        "✓ supported It peaks. peak of test/loss along model.width: 3.25 (2.9 to 3.6), predicted at least 2.",
        "? inconclusive No figure shows this. peak of test/loss along model.width: 3.25 (2.9 to 3.6), "
        "predicted at least 2. Too few seeds.",
        "✗ not supported It falls. peak of test/loss along model.width: 3.25 (2.9 to 3.6), "
        "predicted at least 2. The whole interval lies in the region.",
    ]
    assert [link.attributes["href"] for link in page.all("a")] == [
        "dd/report.html",
        "dd/report.html#figure-loss",
        "dd/report.html#claim-peak",
        "dd/report.html#claim-plain",
        "ntk/report.html",
        "ntk/report.html#claim-drift",
    ]
    assert [image.attributes["alt"] for image in page.all("img")] == ["Figure: Test loss"]
    assert all((image.attributes["src"] or "").startswith("data:image/png") for image in page.all("img"))


def test_names_and_links_are_escaped(finding, document):
    bad = "<script>alert(1)</script>"
    text = render_index([results(Path("a b'\""), [finding(bad, text=bad)], bad)])
    page = document(text)
    assert len(page.all("script")) == 1
    assert page.all("h2")[0].text == bad
    assert page.all("a")[0].attributes["href"] == "a%20b%27%22/report.html"


def test_no_estimate_and_no_study(finding, document):
    nan = math.nan
    nothing = finding(estimate=nan, low=nan, high=nan, verdict="inconclusive", reason="No runs.")
    assert (
        "no estimate, predicted at least 2. No runs."
        in document(render_index([results(Path("s"), [nothing])])).text()
    )
    assert document(render_index([])).text() == "Claims and verdicts 0 claims of 0 studies."
