"""What keys an entry of a study file may have, and what of an entry does not fit."""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """A key's value: what is `expected`, in words, and whether a value `fits`.

    `entry` are the keys of the mapping it has to be, `entries` those of each mapping in a list.
    """

    expected: str
    fits: Callable[[Any], bool]
    required: bool = False
    entry: "Keys | None" = None
    entries: "Keys | None" = None


Keys = Mapping[str, Key]


def problems(entry: Mapping[str, Any], keys: Keys, place: str, path: str = "") -> Iterator[str]:
    """Yield a sentence for each thing in an entry of `place` that does not fit; `path` leads to the entry."""
    for name in entry:
        if name not in keys:
            near = difflib.get_close_matches(str(name), keys, n=1)
            known = f"did you mean {near[0]}?" if near else f"known here are {', '.join(keys)}."
            yield f"{place}: {path}{name} is not known; {known}"
    for name, key in keys.items():
        if name not in entry:
            if key.required:
                yield f"{place}: {path}{name} is missing; it is {key.expected}."
            continue
        value, here = entry[name], f"{path}{name}"
        if not key.fits(value):
            yield f"{place}: {here} is {value!r} instead of {key.expected}."
        elif key.entry is not None:
            yield from problems(value, key.entry, place, f"{here}.")
        elif key.entries is not None:
            for i, inner in enumerate(value):
                yield from problems(inner, key.entries, place, f"{here}[{i}].")


def text(required: bool = False) -> Key:
    """Return a key for a text, in which mathematics between two $ can be set."""
    return Key("a text (with mathematics that matplotlib knows between two $)", _is_text, required)


def name(meaning: str, required: bool = False, nullable: bool = False) -> Key:
    """Return a key for the name of a metric, array or setting."""
    expected = f"the name of {meaning}" + (" or null" if nullable else "")
    return Key(expected, lambda v: (nullable and v is None) or (isinstance(v, str) and v != ""), required)


def number(required: bool = False) -> Key:
    """Return a key for a finite number."""
    return Key("a finite number", is_number, required)


def flag() -> Key:
    """Return a key for true or false."""
    return Key("true or false", lambda value: isinstance(value, bool))


def one_of(*values: str, required: bool = False) -> Key:
    """Return a key for one of some words."""
    listed = f"{', '.join(values[:-1])} or {values[-1]}"
    return Key(listed, lambda value: isinstance(value, str) and value in values, required)


def where() -> Key:
    """Return a key for a condition on the runs: values by dotted setting."""
    return Key("a mapping of settings (dotted names) to a value or a list of values", _is_condition)


def mapping(entry: Keys, required: bool = False) -> Key:
    """Return a key for a mapping with keys of its own."""
    return Key(f"a mapping with keys out of {', '.join(entry)}", _is_mapping, required, entry=entry)


def listing(entries: Keys, required: bool = False) -> Key:
    """Return a key for a list of mappings, which is not empty."""
    return Key(
        f"a list of mappings with keys out of {', '.join(entries)}",
        lambda value: isinstance(value, list | tuple) and len(value) > 0 and all(map(_is_mapping, value)),
        required,
        entries=entries,
    )


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _is_condition(value: Any) -> bool:
    def is_scalar(item: Any) -> bool:
        return item is None or isinstance(item, str | int | float)

    return _is_mapping(value) and all(
        all(map(is_scalar, item)) if isinstance(item, list | tuple) else is_scalar(item)
        for item in value.values()
    )


def _is_text(value: Any) -> bool:
    if not isinstance(value, str) or not value.strip():
        return False
    if value.count("$") < 2:
        return True
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(value)
    except ValueError:
        return False
    return True
