"""The pages in a real browser, which is skipped where there is none."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from dlexp.records.files import write_atomically
from dlexp.records.run import Run
from dlexp.report.index import render_index
from dlexp.report.page import render_report
from dlexp.report.results import Results
from dlexp.results.study import Figure, Study
from dlexp.results.summary import summarize
from dlexp.results.table import Table

STUDY = Study(
    "double_descent_with_a_long_name_that_a_phone_has_to_break",
    question="Does the test loss fall again?",
    command="python scripts/train.py study=double_descent " + "model.width=1,2,3,4,5,6,8,12,25,75,300 " * 3,
)


def make_run(width: int, seed: int, metrics: dict[str, float], error: str | None = None) -> Run:
    status = "failed" if error else "done"
    config = {"model": {"width": width, "activation": "relu"}, "seed": seed}
    name, typed = f"width={width},seed={seed}", ["model.width=1"]
    return Run(
        status,
        name,
        seed=seed,
        config=config,
        overrides=typed,
        metrics=metrics,
        error=error,
        folder=Path(name),
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory, finding, figure):
    """A folder with index.html and report.html, of a sweep whose losses do not rise with its widths."""
    folder = tmp_path_factory.mktemp("pages")
    others = {f"some/metric_{i}": 1.0 * i for i in range(12)}
    runs = [
        make_run(width, seed, {"test/loss": abs(width - 70) + 0.1 * seed, **others})
        for width in (1, 2, 10, 75, 300)
        for seed in range(2)
    ]
    summary = summarize([*runs, make_run(1000, 0, {}, error="<script>alert(1)</script>" * 9)])
    figures = [figure(folder / "figures", "loss")]
    findings = [
        finding("peak", figure="loss", controls=(("control", "supported"),)),
        finding("control", is_control=True, verdict="inconclusive"),
    ]
    shown = Figure("loss", "Test loss", "It peaks.", 1, None, lambda axes, table: None)
    study = replace(STUDY, figures=(shown,))
    index = render_index([Results(folder, Table(()), study, findings)])
    write_atomically(folder / "index.html", index)
    write_atomically(folder / "report.html", render_report(STUDY, summary, findings, figures, folder))
    return folder


COLUMN = "[...document.querySelectorAll('.sortable tbody tr')].map((row) => row.cells[%d].textContent)"
SORTED = "[...document.querySelectorAll('.sortable th')].map((th) => th.ariaSort)"
OPEN = "document.querySelectorAll('details[open]').length"
CLICK = "document.querySelectorAll('.sortable th button')[%d].click()"


@pytest.mark.parametrize("name", ["report.html", "index.html"])
def test_no_errors_no_requests_and_all_figures_shown(browser, pages, name):
    browser.open(pages / name)
    images = browser.run("[...document.images].map((image) => image.complete && image.naturalWidth > 0)")
    assert images == [True]
    assert browser.complaints() == []


@pytest.mark.parametrize("name", ["report.html", "index.html"])
def test_nothing_is_wider_than_a_phone(browser, pages, name):
    browser.resize(360, 740, phone=True)
    browser.open(pages / name)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    browser.run("document.querySelector('#more-metrics')?.click()")
    assert browser.run("[document.documentElement.scrollWidth, innerWidth]") == [360, 360]
    browser.resize(1200)


def test_a_click_sorts_numbers_as_numbers_and_a_second_one_turns_it(browser, pages):
    browser.open(pages / "report.html")
    assert browser.run(COLUMN % 0) == ["1", "2", "10", "75", "300", "1000"]
    assert set(browser.run(SORTED)) == {"none"}
    browser.run(CLICK % 3)
    # |width - 70|; the setting without a value comes last
    assert browser.run(COLUMN % 0) == ["75", "10", "2", "1", "300", "1000"]
    assert browser.run(SORTED)[:4] == ["none", "none", "none", "ascending"]
    browser.run(CLICK % 3)
    assert browser.run(COLUMN % 0) == ["300", "1", "2", "10", "75", "1000"]
    assert browser.run(SORTED)[3] == "descending"
    browser.run(CLICK % 0)
    assert browser.run(COLUMN % 0) == ["1", "2", "10", "75", "300", "1000"]
    assert browser.run(SORTED)[:4] == ["ascending", "none", "none", "none"]
    assert browser.complaints() == []


def test_the_keyboard_sorts_too(browser, pages):
    browser.open(pages / "report.html")
    browser.run("document.querySelector('.sortable th button').focus()")
    browser.press("Enter", "\r")
    browser.press("Enter", "\r")
    assert browser.run(COLUMN % 0) == ["1000", "300", "75", "10", "2", "1"]


def test_the_other_metrics_are_shown_on_demand(browser, pages):
    visible = "[...document.querySelectorAll('.sortable th')].filter((th) => th.offsetWidth > 0).length"
    browser.open(pages / "report.html")
    assert browser.run(visible) == 4
    browser.run("document.querySelector('#more-metrics').click()")
    assert browser.run(visible) == 16


def test_without_scripts_there_is_no_button_that_does_nothing(browser, pages):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(pages / "report.html")
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("document.querySelectorAll('button').length") == 0
    assert browser.run("document.querySelector('.sortable th').textContent") == "width"


def test_dark_mode_changes_the_page_and_keeps_figures_on_white(browser, pages):
    elements = "[document.body, document.querySelector('figure img')]"
    style = f"{elements}.map((element) => getComputedStyle(element).backgroundColor)"
    found = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.call("Emulation.setEmulatedMedia", features=features)
        browser.open(pages / "report.html")
        found[scheme] = browser.run(style)
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert found["light"] == ["rgb(255, 255, 255)", "rgb(255, 255, 255)"]
    assert found["dark"][0] != found["light"][0]
    assert found["dark"][1] == "rgb(255, 255, 255)"


def test_print_shows_what_is_folded_and_no_buttons(browser, pages):
    browser.open(pages / "report.html")
    browser.call("Emulation.setEmulatedMedia", media="print")
    shown = "getComputedStyle(document.querySelector('.command button')).display"
    assert browser.run(shown) == "none"
    browser.run(f"addEventListener('beforeprint', () => {{ window.openWhenPrinted = {OPEN}; }})")
    printed = base64.b64decode(browser.call("Page.printToPDF")["data"])
    browser.call("Emulation.setEmulatedMedia", media="")
    assert printed.startswith(b"%PDF")
    folded = browser.run("document.querySelectorAll('details').length")
    assert folded > 0
    assert browser.run("window.openWhenPrinted") == folded
    assert browser.run(OPEN) == 0
