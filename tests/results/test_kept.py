"""The study that a sweep's folder keeps: checked, written, read back, and what follows from it."""

import json

import pytest

from dlexp.report.results import read, rebuild
from dlexp.results.kept import find_study_problems, make_study, note_duration, read_study

CLAIM = {
    "name": "wide_is_better",
    "text": "Wider is better.",
    "source": "nobody",
    "statistic": {
        "kind": "ratio",
        "of": {"metric": "test/loss", "where": {"model.width": 50}},
        "to": {"metric": "test/loss", "where": {"model.width": 5}},
    },
    "region": [None, 1],
    "scope": "Nothing.",
    "replicates": 2,
    "figure": "loss",
}
FIGURE = {
    "name": "loss",
    "kind": "curves",
    "title": "Loss",
    "caption": "The loss.",
    "along": "model.width",
    "panels": [{"y_label": "test loss", "lines": [{"metric": "test/loss", "where": {}, "label": "all"}]}],
}
NODE = {"question": "Does it?", "claims": [CLAIM], "figures": [FIGURE], "metrics": ["test/loss"]}


def test_a_right_study_has_no_problems():
    assert find_study_problems(NODE) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"claim": []}, "study.claim is not a key of a study; allowed: question, "),
        ({"question": 3}, "study.question=3 is not allowed: it must be a text."),
        ({"arms": ["a"]}, "must be a mapping."),
        ({"claims": [{**CLAIM, "figure": "los"}]}, "figure=los is not allowed: it must be one of loss."),
        ({"claims": [{**CLAIM, "region": [1, 0]}]}, "wide_is_better"),
        ({"figures": [{**FIGURE, "kind": "pie"}], "claims": []}, "pie"),
    ],
)
def test_each_mistake_is_one_sentence(change, sentence):
    (problem,) = find_study_problems({**NODE, **change})
    assert sentence in problem


def test_a_study_is_read_back_as_it_was_written(tmp_path):
    study = make_study(NODE, name="x", command="python scripts/train.py study=x", fast=True)
    study.write(tmp_path)
    found = read_study(tmp_path)
    assert found is not None
    assert json.dumps(found.__dict__, default=list) == json.dumps(study.__dict__, default=list)
    assert found.parsed_claims[0].name == "wide_is_better"
    assert found.drawings[0].title == "Loss"


def test_no_study_is_none(tmp_path):
    assert read_study(tmp_path) is None
    (tmp_path / "study.json").write_text('{"name": "x", "future": 1}')
    assert read_study(tmp_path) is None


def test_claims_figures_and_report_follow_from_the_folder(run, tmp_path):
    for seed in (0, 1):
        run(tmp_path, {"model.width": 5}, {"test/loss": 0.5 + seed}, seed=seed)
        run(tmp_path, {"model.width": 50}, {"test/loss": 0.25 + seed / 2}, seed=seed)
    make_study(NODE, name="x", command="python scripts/train.py study=x", fast=False).write(tmp_path)
    results = rebuild(tmp_path)
    (finding,) = json.loads((tmp_path / "claims.json").read_text())
    assert finding["estimate"] == pytest.approx(0.5)
    assert finding["verdict"] == "supported"
    assert [path.name for path in results.figures] == ["loss.png"]
    page = (tmp_path / "report.html").read_text()
    assert "Wider is better." in page
    assert "python scripts/train.py study=x" in page


def test_the_duration_is_kept_only_if_something_was_trained(run, tmp_path):
    run(tmp_path)
    written = max(path.stat().st_mtime for path in tmp_path.glob("*/result.json"))
    make_study(NODE, name="x", command="c", fast=False).write(tmp_path)
    note_duration(tmp_path, written + 10)
    assert read_study(tmp_path).seconds is None
    note_duration(tmp_path, written - 10)
    assert read_study(tmp_path).seconds == pytest.approx(10, abs=0.1)


def test_a_sweep_without_a_study_has_no_claims(run, tmp_path):
    run(tmp_path)
    assert read(tmp_path).findings == ()
    rebuild(tmp_path)
    assert not (tmp_path / "claims.json").exists()
    assert (tmp_path / "report.html").exists()
