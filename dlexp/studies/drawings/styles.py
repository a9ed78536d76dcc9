"""Which colour, marker and dashes a line has: the same label looks the same in all panels of a figure."""

from collections.abc import Sequence
from typing import Any

from dlexp.studies.drawings.specification import Line
from dlexp.studies.style import COLOURS, DASHES, MARKERS

_GREYS = ("#6E6E6E", "#A0A0A0", "#8A8A8A")
_BLACK = "#000000"


def styles(panels: Sequence[Sequence[Line]]) -> list[dict[str, dict[str, Any]]]:
    """Return for each panel the keywords of ``plot`` by label.

    Controls are grey and dashed, with hollow markers; references (closed forms) thin, black, without markers.
    Where the panels together have more lines than there are colours, each begins anew.
    """
    every = list(dict.fromkeys((line.legend, line.control, line.reference) for lines in panels for line in lines))
    coloured = [entry for entry in every if not (entry[1] or entry[2])]
    if len(coloured) > len(COLOURS):
        return [_styles(list(dict.fromkeys((x.legend, x.control, x.reference) for x in lines))) for lines in panels]
    return [_styles(every)] * len(panels)


def _styles(lines: Sequence[tuple[str, bool, bool]]) -> dict[str, dict[str, Any]]:
    looks = list(zip(COLOURS, MARKERS, DASHES, strict=True))
    n_coloured = sum(not (control or reference) for _, control, reference in lines)
    if any(reference for *_, reference in lines) and n_coloured < len(looks):
        looks = [look for look in looks if look[0] != _BLACK]  # black is the closed form's
    found: dict[str, dict[str, Any]] = {}
    n_drawn = n_controls = n_references = 0
    for label, control, reference in lines:
        if reference:
            dash = DASHES[n_references % len(DASHES)]
            found[label] = {"color": _BLACK, "linestyle": dash, "linewidth": 1.1, "zorder": 2.8}
            n_references += 1
        elif control:
            i = n_controls % len(_GREYS)
            found[label] = {
                "color": _GREYS[i],
                "linestyle": DASHES[1 + i],
                "marker": MARKERS[-1 - i],
                "markerfacecolor": "white",
            }
            n_controls += 1
        else:
            colour, marker, dash = looks[n_drawn]
            found[label] = {"color": colour, "marker": marker, "linestyle": dash}
            n_drawn += 1
    return found
