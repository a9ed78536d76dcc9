"""A study beside a sweep's results: what is kept of it, and whose code a report runs."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from dlexp.results.claims import at_least
from dlexp.results.kept import installed, keep, load_python, note_duration, read_study
from dlexp.results.statistics import value
from dlexp.results.study import Study, StudyError, study_of

SOURCE = '''"""Does it?"""

from dlexp.results.claims import Claim, at_least
from dlexp.results.statistics import value
from dlexp.results.study import figure

QUESTION = "Does it?"
CLAIMS = [Claim(name="it_does", text="It does.", statistic=value("x"), region=at_least(0), scope="Here.")]


@figure(title="X", caption="It does.")
def x(axes, table):
    axes.plot(table.column("x"))


FIGURES = [x]
'''


def kept(folder: Path, source: str = SOURCE) -> Study:
    """Keep a study of a user's own in a folder."""
    own = folder / "elsewhere" / "own.py"
    own.parent.mkdir()
    own.write_text(source)
    module, file = load_python("own.py", own.parent)
    study = replace(study_of(module, "own", "own.py"), command="c", fast=True, seconds=3.0, arms={"a": {}})
    keep(study, folder, file)
    return study


def test_a_study_of_ones_own_is_run_only_if_trusted(tmp_path):
    study = kept(tmp_path)
    stored = read_study(tmp_path)
    assert (stored.claims, stored.question, stored.seconds) == (study.claims, "Does it?", 3.0)
    assert stored.figures == ()
    assert stored.notices == ("Without --trust own.py in this folder is not run: its figures are left out.",)
    trusted = read_study(tmp_path, trust=True)
    assert [figure.name for figure in trusted.figures] == ["x"]
    assert (trusted.command, trusted.fast, trusted.arms, trusted.notices) == ("c", True, {"a": {}}, ())


def test_code_in_a_folder_does_not_run_by_itself(tmp_path):
    kept(tmp_path)
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    for python in ("own.py", str(tmp_path / "own.py"), "own", "os", "../own.py", "dlexp.studies.own"):
        content = {**json.loads((tmp_path / "study.json").read_text()), "python": python}
        (tmp_path / "study.json").write_text(json.dumps(content))
        assert read_study(tmp_path) is not None
        assert not (tmp_path / "ran").exists()


def test_an_installed_study_is_used_and_a_difference_is_told(tmp_path):
    python = "dlexp.studies.double_descent"
    found = installed(python)
    study = study_of(found[0], "renamed", python)
    keep(study, tmp_path, found[1])
    assert read_study(tmp_path) == study
    (tmp_path / "double_descent.py").write_text("import nothing")
    differing = read_study(tmp_path, trust=True)
    assert differing.notices == (f"{python} is used as installed; what was run here differs from it.",)
    assert differing.claims == study.claims


def test_a_folder_of_version_0_1_gives_its_claims(tmp_path):
    claim = {
        "name": "it_does",
        "text": "It does.",
        "source": "nobody",
        "statistic": {"kind": "value", "of": {"metric": "x", "where": {"model.width": 5}}},
        "region": [0, None],
        "scope": "Here.",
    }
    old = {"name": "mine", "question": "Does it?", "command": "c", "fast": False, "seconds": None, "arms": {}}
    old |= {
        "metrics": ["x"],
        "claims": [claim],
        "figures": [{"name": "f", "kind": "curves"}],
        "sources": ["s"],
    }
    (tmp_path / "study.json").write_text(json.dumps(old))
    study = read_study(tmp_path)
    assert (study.question, study.metrics, study.sources, study.figures) == ("Does it?", ("x",), ("s",), ())
    (found,) = study.claims
    assert found.statistic == value("x", {"model.width": 5})
    assert found.region == at_least(0)
    assert study.notices == ()


def test_another_study_of_an_installed_ones_name_is_left_as_it_is(tmp_path):
    (tmp_path / "study.json").write_text('{"name": "double_descent", "question": "Another?", "claims": []}')
    study = read_study(tmp_path)
    assert (study.question, study.claims, study.notices) == ("Another?", (), ())


@pytest.mark.parametrize("content", [None, "{", "[]", '{"question": "x"}'])
def test_no_study_that_can_be_read_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    assert read_study(tmp_path) is None


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("", "own.py: QUESTION=None is not allowed: it must be a sentence."),
        (
            "QUESTION = 'a'\nCLAIMS = [3]",
            "own.py: CLAIMS is not allowed to hold [3]: it must be a list of Claim(...).",
        ),
        (
            "QUESTION = 'a'\nSOURCES = 'b'",
            "own.py: SOURCES is not allowed to hold 'b': it must be a list of texts.",
        ),
        ("1 / 0", "study.python=own.py cannot be read: ZeroDivisionError: division by zero"),
        (
            "import nothing_of_that_name",
            "study.python=own.py is not allowed: No module named 'nothing_of_that_",
        ),
        (SOURCE + "FIGURES = [x, x]\n", "own.py: FIGURES: x is there twice."),
        (
            SOURCE.replace('scope="Here."', 'scope="Here.", figure="y"'),
            "own.py: Claim it_does: figure=y is not allowed: it must be one of x.",
        ),
    ],
)
def test_each_mistake_in_a_study_is_a_sentence(tmp_path, source, sentence):
    with pytest.raises(StudyError) as error:
        kept(tmp_path, source)
    assert str(error.value).startswith(sentence)


def test_a_file_or_module_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(StudyError, match=r"^study\.python=no\.py is not allowed: there is no file "):
        load_python("no.py", tmp_path)
    with pytest.raises(StudyError, match=r"^study\.python=no\.such is not allowed: No module named 'no'\.$"):
        load_python("no.such")


def test_all_but_the_question_may_be_left_out():
    module = ModuleType("m")
    module.QUESTION = "Why?"  # type: ignore[attr-defined]
    assert study_of(module, "m", "m") == Study("m", "Why?", python="m")


def test_the_duration_is_kept_only_if_something_was_trained(tmp_path, write_run, claim):
    write_run(tmp_path)
    written = max(path.stat().st_mtime for path in tmp_path.glob("*/result.json"))
    note_duration(tmp_path, 0)  # no study: nothing to keep it in
    keep(Study("x", claims=(claim(value("x"), at_least(0)),)), tmp_path)
    note_duration(tmp_path, written + 10)
    first = read_study(tmp_path)
    note_duration(tmp_path, written - 10)
    second = read_study(tmp_path)
    assert first.seconds is None
    assert second.seconds == pytest.approx(10, abs=0.1)
    assert second.claims == first.claims
