"""Claims from a study file's plain data, all problems of all claims found at once."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlexp.results.summary import is_number
from dlexp.studies.claims.definition import (
    CURVE_KEYS,
    FEWEST_POINTS,
    LEAVE_OUT,
    REFUSE,
    TERM_KINDS,
    Claim,
    Statistic,
    Term,
)

_REQUIRED = ("name", "text", "statistic", "region", "scope")
_KEYS = (
    "name",
    "text",
    "source",
    "statistic",
    "region",
    "controls",
    "replicates",
    "diverged",
    "figure",
    "scope",
)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class ClaimError(ValueError):
    """Claims that cannot be judged; the message has one sentence a line for each problem."""


def parse_claims(plain: Sequence[Mapping[str, Any]]) -> tuple[Claim, ...]:
    """Return the claims that a study file lists, in its order.

    Raises:
        ClaimError: a key is missing, unknown or has a value that is not allowed, a name is used twice, or
            controls name no claim or each other in a circle. All problems are reported together.
    """
    if not isinstance(plain, list | tuple):
        raise ClaimError(f"claims={plain!r} is not allowed: it must be a list of claims.")
    problems = [problem for number, claim in enumerate(plain, 1) for problem in _problems(number, claim)]
    named = [claim for claim in plain if isinstance(claim, Mapping) and isinstance(claim.get("name"), str)]
    problems += _name_problems([claim["name"] for claim in named])
    problems += _control_problems({claim["name"]: _texts(claim.get("controls")) for claim in named})
    if problems:
        raise ClaimError("\n".join(problems))
    return tuple(_claim(claim) for claim in plain)


def _problems(number: int, claim: Any) -> Iterator[str]:
    if not isinstance(claim, Mapping):
        yield f"Claim number {number}: {claim!r} is not allowed: it must be a mapping of keys to values."
        return
    label = f"Claim {claim['name']}" if isinstance(claim.get("name"), str) else f"Claim number {number}"
    yield from _key_problems(label, "", claim, _KEYS, _REQUIRED)
    rules = {
        "name": (_is_name, "a name in snake case"),
        "text": (_is_text, "a sentence"),
        "source": (lambda value: value is None or isinstance(value, str), "text"),
        "region": (
            _is_region,
            "[lowest, highest] in that order, null for an open end, and not open at both ends",
        ),
        "controls": (lambda value: value is None or _texts(value) == value, "a list of the names of claims"),
        "replicates": (_is_count, "a whole number, 1 or above"),
        "diverged": (_is_diverged, f"{REFUSE}, {LEAVE_OUT} or the number that a diverged run counts as"),
        "figure": (lambda value: value is None or _is_text(value), "the name of a figure"),
        "scope": (_is_text, "a sentence that says what the claim does and does not show"),
    }
    for key, (is_allowed, allowed) in rules.items():
        if key in claim and not is_allowed(claim[key]):
            yield f"{label}: {key}={claim[key]!r} is not allowed: it must be {allowed}."
    if "statistic" in claim:
        yield from _statistic_problems(label, claim["statistic"])


def _key_problems(
    label: str, prefix: str, found: Mapping[str, Any], keys: Sequence[str], required: Sequence[str]
) -> Iterator[str]:
    for key in found:
        if key not in keys:
            yield f"{label}: {prefix}{key} is not a key; allowed: {', '.join(keys)}."
    for key in required:
        if key not in found:
            yield f"{label}: {prefix}{key} is missing."


def _statistic_problems(label: str, statistic: Any) -> Iterator[str]:
    kinds = [*TERM_KINDS, *FEWEST_POINTS]
    if not isinstance(statistic, Mapping):
        yield f"{label}: statistic={statistic!r} is not allowed: it must be a mapping with the key kind."
        return
    kind = statistic.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        yield f"{label}: statistic.kind={kind!r} is not allowed: it must be one of {', '.join(kinds)}."
        return
    if kind in FEWEST_POINTS:
        yield from _key_problems(label, "statistic.", statistic, ("kind", *CURVE_KEYS), ("metric", "along"))
        for key in ("metric", "along"):
            if key in statistic and not _is_text(statistic[key]):
                yield f"{label}: statistic.{key}={statistic[key]!r} is not allowed: it must be a name."
        yield from _where_problems(label, "statistic.where", statistic.get("where"))
        return
    keys = TERM_KINDS[kind]
    yield from _key_problems(label, "statistic.", statistic, ("kind", *keys), keys)
    terms = {key: statistic[key] for key in keys if key in statistic}
    for key, term in terms.items():
        yield from _term_problems(label, f"statistic.{key}", term)
        if kind == "ratio" and is_number(term) and term <= 0:
            yield f"{label}: statistic.{key}={term!r} is not allowed: the number of a ratio must be above 0."
    if terms and all(map(is_number, terms.values())):
        yield f"{label}: statistic measures nothing; one of {', '.join(keys)} must be a metric."


def _term_problems(label: str, place: str, term: Any) -> Iterator[str]:
    if is_number(term) and math.isfinite(term):
        return
    if not isinstance(term, Mapping):
        yield f"{label}: {place}={term!r} is not allowed: it must be a finite number or have the key metric."
        return
    yield from _key_problems(label, f"{place}.", term, ("metric", "where"), ("metric",))
    if "metric" in term and not _is_text(term["metric"]):
        yield f"{label}: {place}.metric={term['metric']!r} is not allowed: it must be a metric's name."
    yield from _where_problems(label, f"{place}.where", term.get("where"))


def _where_problems(label: str, place: str, where: Any) -> Iterator[str]:
    if where is None:
        return
    if not isinstance(where, Mapping):
        yield f"{label}: {place}={where!r} is not allowed: it must be a mapping of settings to values."
        return
    for key, value in where.items():
        values = _listed(value)
        if not values or not all(entry is None or isinstance(entry, str | int | float) for entry in values):
            yield f"{label}: {place}.{key}={value!r} is not allowed: it must be a value or a list of values."


def _name_problems(names: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"Claim {name}: name={name} is not allowed: {names.count(name)} claims have it."


def _control_problems(controls: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, named in controls.items():
        for control in named:
            if control not in controls:
                names = ", ".join(controls)
                yield f"Claim {name}: controls={control} is not allowed: it must be one of {names}."
        if name in _reached(name, controls):
            yield f"Claim {name}: controls={', '.join(named)} is not allowed: the claim would control itself."


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


def _claim(plain: Mapping[str, Any]) -> Claim:
    low, high = plain["region"]
    diverged = plain.get("diverged", REFUSE)
    return Claim(
        name=plain["name"],
        text=plain["text"],
        source=plain.get("source") or "",
        statistic=_statistic(plain["statistic"]),
        region=(-math.inf if low is None else float(low), math.inf if high is None else float(high)),
        scope=plain["scope"],
        controls=tuple(plain.get("controls") or ()),
        replicates=plain.get("replicates", 5),
        diverged=float(diverged) if is_number(diverged) else diverged,
        figure=plain.get("figure"),
    )


def _statistic(plain: Mapping[str, Any]) -> Statistic:
    kind = plain["kind"]
    if kind in FEWEST_POINTS:
        return Statistic(kind, (_term(plain),), plain["along"])
    return Statistic(kind, tuple(_term(plain[key]) for key in TERM_KINDS[kind]))


def _term(plain: Any) -> Term | float:
    if is_number(plain):
        return float(plain)
    where = plain.get("where") or {}
    return Term(plain["metric"], {key: tuple(_listed(value)) for key, value in where.items()})


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _texts(value: Any) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list | tuple) else []


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_diverged(value: Any) -> bool:
    return (
        value in (REFUSE, LEAVE_OUT) if isinstance(value, str) else is_number(value) and not math.isnan(value)
    )


def _is_region(value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    if not all(end is None or (is_number(end) and not math.isnan(end)) for end in value):
        return False
    low, high = (
        end if end is not None else open_end
        for end, open_end in zip(value, (-math.inf, math.inf), strict=True)
    )
    return bool(low <= high) and (low, high) != (-math.inf, math.inf)
