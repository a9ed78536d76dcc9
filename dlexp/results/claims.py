"""Claims: a statistic of a sweep, the region that theory predicts for it, and what the runs say of it.

Example:
    >>> from dlexp.results.statistics import ratio, value
    >>> claim = Claim(
    ...     name="wide_is_better",
    ...     text="Wider networks have the smaller test loss.",
    ...     statistic=ratio(of=value("test/loss", {"arm": "narrow"}), to=value("test/loss", {"arm": "wide"})),
    ...     region=at_least(1),
    ...     scope="For this teacher.",
    ... )
    >>> claim.region
    (1.0, inf)
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dlexp.results.statistic import ClaimError, Statistic
from dlexp.results.summary import is_number

Verdict = Literal["supported", "not supported", "inconclusive"]
SUPPORTED: Verdict = "supported"
NOT_SUPPORTED: Verdict = "not supported"
INCONCLUSIVE: Verdict = "inconclusive"

REFUSE = "refuse"
LEAVE_OUT = "leave_out"

Region = tuple[float, float]
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def at_least(low: float) -> Region:
    """Return the region of all numbers from `low` on."""
    return float(low), math.inf


def at_most(high: float) -> Region:
    """Return the region of all numbers up to `high`."""
    return -math.inf, float(high)


def between(low: float, high: float) -> Region:
    """Return the closed region from `low` to `high`."""
    return float(low), float(high)


def exactly(number: float) -> Region:
    """Return the region of one number."""
    return float(number), float(number)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim as its study states it; `region` is closed, infinite at an open end.

    `controls` are the names of claims that must be supported for this one to be. `diverged` says how a
    diverged run counts: `refuse` (the claim cannot be decided), `leave_out` (its seed is not used) or a
    number, infinity too, that stands for its value. `figure` names the figure that shows it.

    Raises:
        ClaimError: a field is not what it has to be.
    """

    name: str
    text: str
    source: str = ""
    statistic: Statistic
    region: Region
    scope: str
    controls: Sequence[str] = ()
    replicates: int = 5
    diverged: str | float = REFUSE
    figure: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "controls", tuple(self.controls))
        for field, is_allowed, allowed in (
            ("name", isinstance(self.name, str) and _NAME.fullmatch(self.name), "a name in snake case"),
            ("text", _is_text(self.text), "a sentence"),
            ("scope", _is_text(self.scope), "a sentence that says what the claim does and does not show"),
            ("source", isinstance(self.source, str), "text"),
            (
                "statistic",
                isinstance(self.statistic, Statistic),
                "a statistic, ratio(of=..., to=...) say",
            ),
            ("region", _is_region(self.region), "at_least, at_most, between or exactly some numbers"),
            ("controls", all(map(_is_text, self.controls)), "the names of claims"),
            ("replicates", _is_count(self.replicates), "a whole number, 1 or above"),
            (
                "diverged",
                _is_diverged(self.diverged),
                f"{REFUSE}, {LEAVE_OUT} or the number that a diverged run counts as",
            ),
            ("figure", self.figure is None or _is_text(self.figure), "the name of a figure"),
        ):
            if not is_allowed:
                value = getattr(self, field)
                raise ClaimError(
                    f"Claim {self.name}: {field}={value!r} is not allowed: it must be {allowed}."
                )

    def as_data(self) -> dict[str, Any]:
        """Return the claim as plain data, open ends as None; `read_claims` reads it."""
        plain = {**vars(self), "statistic": self.statistic.as_data(), "controls": list(self.controls)}
        plain["region"] = [end if math.isfinite(end) else None for end in self.region]
        return plain


@dataclass(frozen=True)
class Finding:
    """What the runs say of a claim.

    `estimate`, `low` and `high` (the 95 % interval) are NaN where they cannot be computed, infinite where
    diverged runs count as infinite. `n` seeds were used, `replicates` are needed. `values` has each seed's
    own value, for the statistics that are a mean of such; it is empty for those of a mean curve.
    """

    name: str
    text: str
    source: str
    statistic: str
    estimate: float
    low: float
    high: float
    region: Region
    n: int
    replicates: int
    verdict: Verdict
    reason: str
    controls: tuple[tuple[str, Verdict], ...]
    is_control: bool
    scope: str
    figure: str | None
    values: Mapping[int | str, float]


def claim_problems(claims: Sequence[Claim], figures: Sequence[str] | None = None) -> Iterator[str]:
    """Yield a sentence for each name used twice, control or figure that is not there, and circle of controls.

    `figures` are the names of the study's figures; None: they are not checked.
    """
    controls = {claim.name: claim.controls for claim in claims}
    names = [claim.name for claim in claims]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"Claim {name}: name={name} is not allowed: {names.count(name)} claims have it."
    for claim in claims:
        for control in claim.controls:
            if control not in controls:
                known = ", ".join(controls)
                yield f"Claim {claim.name}: controls={control} is not allowed: it must be one of {known}."
        if claim.name in _reached(claim.name, controls):
            named = ", ".join(claim.controls)
            yield f"Claim {claim.name}: controls={named} is not allowed: the claim would control itself."
        if figures is not None and claim.figure is not None and claim.figure not in figures:
            known = ", ".join(figures) or "FIGURES, which is empty"
            yield f"Claim {claim.name}: figure={claim.figure} is not allowed: it must be one of {known}."


def _reached(name: str, controls: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the controls of a claim, their controls, and so on."""
    reached: set[str] = set()
    ahead = list(controls[name])
    while ahead:
        control = ahead.pop()
        if control not in reached:
            reached.add(control)
            ahead.extend(controls.get(control, ()))
    return reached


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_diverged(value: Any) -> bool:
    if isinstance(value, str):
        return value in (REFUSE, LEAVE_OUT)
    return is_number(value) and not math.isnan(value)


def _is_region(value: Any) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(map(is_number, value)):
        return False
    return bool(value[0] <= value[1]) and value != (-math.inf, math.inf)
