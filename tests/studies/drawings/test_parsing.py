from typing import Any

import pytest

from dlexp.studies.drawings import DrawingError, parse_figures

LINE = {"metric": "test/loss", "where": {"arm": "width"}, "label": "width"}
CURVES = {
    "name": "peak",
    "kind": "curves",
    "title": "Test loss against width",
    "caption": "It peaks.",
    "along": "model.width",
    "panels": [{"lines": [LINE]}],
}
SCATTER = {
    "name": "points",
    "kind": "scatter",
    "title": "Points",
    "caption": "Points.",
    "x": {"metric": "a"},
    "y": {"metric": "b"},
}


def with_panel(**keys: Any) -> dict[str, Any]:
    return {**CURVES, "panels": [{"lines": [LINE], **keys}]}


def test_what_is_read() -> None:
    entry = {
        **CURVES,
        "x_label": "width",
        "where": {"data.noise": 0.5},
        "panels": [
            {
                "lines": [LINE, {"metric": "test/loss", "label": "no noise", "control": True}],
                "laws": [{"slope": -1, "line": "no noise"}],
                "horizontal": [{"at": 0.25, "label": "floor"}],
                "vertical": [{"where_equal": ["model/parameters", "data.n_train"]}],
            },
            {"lines": [LINE], "along": "data.n_train", "x_label": "samples"},
        ],
    }
    (drawing,) = parse_figures([entry])
    assert (drawing.name, drawing.title, drawing.caption) == ("peak", CURVES["title"], "It peaks.")
    first, second = drawing.panels
    assert (first.along, first.x_label) == ("model.width", "width")
    assert (second.along, second.x_label) == ("data.n_train", "samples")
    assert first.lines[0].where == {"arm": "width", "data.noise": 0.5}
    assert [line.legend for line in first.lines] == ["width", "no noise (control)"]
    assert first.laws[0].line == "no noise"
    assert first.horizontal[0].at == 0.25
    assert first.vertical[0].where_equal == ["model/parameters", "data.n_train"]


def test_a_figure_without_panels_is_one() -> None:
    (drawing,) = parse_figures([{**{k: v for k, v in CURVES.items() if k != "panels"}, "lines": [LINE]}])
    (panel,) = drawing.panels
    assert panel.lines[0].metric == "test/loss"
    assert panel.title == ""


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({**CURVES, "kind": "pie"}, "Figure peak: kind is 'pie' instead of curves, paths, scatter, bars or"),
        ({"name": "peak"}, "Figure peak: kind is missing"),
        ({**CURVES, "name": "Peak!"}, "Figure Peak!: name is 'Peak!' instead of a file name in snake_case"),
        ({k: v for k, v in CURVES.items() if k != "title"}, "Figure peak: title is missing"),
        ({**CURVES, "captoin": "x"}, "Figure peak: captoin is not known; did you mean caption?"),
        ({**CURVES, "panels": []}, "Figure peak: panels is [] instead of a list"),
        (with_panel(scale="cubic"), "panels[0].scale is 'cubic' instead of log or linear"),
        (
            with_panel(lines=[{**LINE, "labl": "x"}]),
            "panels[0].lines[0].labl is not known; did you mean label?",
        ),
        (with_panel(lines=[{"label": "x"}]), "panels[0].lines[0].metric is missing"),
        (with_panel(lines=[LINE, LINE]), "panels[0].lines need labels, each its own"),
        (with_panel(lines=[{**LINE, "where": {"arm": {"a": 1}}}]), "panels[0].lines[0].where is"),
        (with_panel(lines=[{**LINE, "label": str(i)} for i in range(7)]), "no more than 6 can be told apart"),
        (
            with_panel(laws=[{"slope": "steep"}]),
            "panels[0].laws[0].slope is 'steep' instead of a finite number",
        ),
        (with_panel(laws=[{"slope": float("nan")}]), "panels[0].laws[0].slope is nan"),
        (with_panel(laws=[{"slope": 1, "line": 1}]), "panels[0].laws[0].line is 1; it is a line's number"),
        (with_panel(horizontal=[{"label": "x"}]), "panels[0].horizontal[0].at is missing"),
        (with_panel(vertical=[{"label": "x"}]), "panels[0].vertical[0] has to have either at or where_equal"),
        (with_panel(title="$x_{$"), "panels[0].title is '$x_{$' instead of a text"),
        ({**CURVES, "panels": CURVES["panels"] * 5}, "5 panels are too many"),
        ({k: v for k, v in CURVES.items() if k != "along"}, "panels[0].along is missing"),
        ({**CURVES, "kind": "paths"}, "along is not known"),
        ({**SCATTER, "x": {}}, "Figure points: x has to have either metric or array"),
        ({**SCATTER, "x": {"array": "a"}}, "x and y are to be both metrics or both arrays"),
        ({k: v for k, v in SCATTER.items() if k != "y"}, "Figure points: y is missing"),
    ],
)
def test_mistakes_are_named(entry: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DrawingError) as caught:
        parse_figures([entry])
    assert sentence in str(caught.value)


def test_mistakes_of_paths_bars_and_surfaces() -> None:
    head = {"title": "Title", "caption": "Caption."}
    entries = [
        {**head, "name": "a", "kind": "paths", "lines": [{"metric": "m", "y": "array"}]},
        {**head, "name": "b", "kind": "paths", "lines": [{"metric": "m", "x": "array"}]},
        {**head, "name": "c", "kind": "bars", "lines": [{"label": "x"}]},
        {**head, "name": "d", "kind": "bars", "lines": [{"metric": "m"}], "groups": [{"metric": "m"}]},
        {**head, "name": "e", "kind": "surfaces", "three_d": True, "panels": [{}, {}, {}]},
        {**head, "name": "f", "kind": "paths", "lines": [{"y": "array", "row": True}]},
    ]
    with pytest.raises(DrawingError) as caught:
        parse_figures(entries)
    assert str(caught.value).splitlines() == [
        "Figure a: lines[0] has to have either metric or y (an array).",
        "Figure b: lines[0] has x or row, which go with y; a metric is drawn against the steps.",
        "Figure c: lines[0]: a metric has to be given by either the line or every group.",
        "Figure d: lines[0]: a metric has to be given by either the line or every group.",
        "Figure e: three_d is for at most 2 panels; there are 3.",
        "Figure f: lines[0].row is True instead of a row's number or a list of numbers.",
    ]


def test_all_mistakes_are_told_at_once_and_names_are_unique() -> None:
    with pytest.raises(DrawingError) as caught:
        parse_figures([CURVES, CURVES, {**CURVES, "name": "other", "kind": "none"}])
    assert str(caught.value).splitlines() == [
        "Figure other: kind is 'none' instead of curves, paths, scatter, bars or surfaces.",
        "Figure peak: the name is given to 2 figures.",
    ]
    for plain in ({}, ["x"], "x", None):
        with pytest.raises(DrawingError, match="figures is not a list of mappings"):
            parse_figures(plain)  # type: ignore[arg-type]


def test_the_y_axis_is_shared_but_by_panels_of_points() -> None:
    shared = [parse_figures([entry])[0].panels[0].share_y for entry in (CURVES, SCATTER)]
    assert shared == [True, False]
    assert parse_figures([{**SCATTER, "share_y": True}])[0].panels[0].share_y
