from collections.abc import Callable
from pathlib import Path

from dlexp.studies.runs import Run
from matplotlib.image import imread

from dlexp.studies.drawings import parse_figures, write_drawings
from dlexp.studies.drawings.layout import wrapped

HEAD = {"title": "Loss", "caption": "Loss."}


def test_files_are_written_the_same_each_time_and_empty_figures_skipped(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    runs = [make_run({"width": w}, {"loss": w + s}, seed=s) for w in (1, 2) for s in range(2)]
    drawings = parse_figures(
        [
            {**HEAD, "name": "loss", "kind": "curves", "along": "width", "lines": [{"metric": "loss"}]},
            {**HEAD, "name": "none", "kind": "curves", "along": "width", "lines": [{"metric": "absent"}]},
            {**HEAD, "name": "nowhere", "kind": "curves", "along": "absent", "lines": [{"metric": "loss"}]},
            {**HEAD, "name": "plane", "kind": "surfaces"},
            {**HEAD, "name": "points", "kind": "scatter", "x": {"metric": "x"}, "y": {"metric": "loss"}},
            {**HEAD, "name": "bars", "kind": "bars", "lines": [{"metric": "absent"}]},
            {**HEAD, "name": "paths", "kind": "paths", "lines": [{"metric": "loss"}]},
        ]
    )
    for folder in ("a", "b"):
        paths = write_drawings(drawings, runs, tmp_path / folder)
        assert paths == [tmp_path / folder / "loss.png"]
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["loss.png", "loss.svg"]
    for name in ("loss.png", "loss.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    pixels = imread(paths[0])[..., :3]
    assert pixels.shape[1] == 1080  # 7.2 inches
    assert pixels.std() > 0.05
    assert write_drawings(drawings, [], tmp_path / "c") == []


def test_notes_of_one_figure_are_not_those_of_the_next(make_run: Callable[..., Run], tmp_path: Path) -> None:
    runs = [
        make_run({"width": w, "arm": a}, {"loss": w}, status=s)
        for w in (1, 2)
        for a, s in (("a", "done"), ("b", "failed"))
    ]
    runs += [make_run({"width": 1, "arm": "b"}, {"loss": 1.0}, seed=1)]
    figure = {**HEAD, "kind": "curves", "along": "width"}
    drawings = parse_figures(
        [{**figure, "name": arm, "lines": [{"metric": "loss", "where": {"arm": arm}}]} for arm in ("b", "a")]
    )
    first, second = write_drawings(drawings, runs, tmp_path / "figures")
    assert "Left out: 2" in first.with_suffix(".svg").read_text().replace("\u00a0", " ")
    assert "Left out" not in second.with_suffix(".svg").read_text()


def test_lines_break_between_words_but_not_in_mathematics() -> None:
    assert wrapped("one two three", 8) == "one two\nthree"
    assert wrapped("the $a = b + c$ law", 6) == "the\n$a = b + c$\nlaw"
