"""Kinds of values: what a setting may be, in words and as pydantic checks it, strictly.

A kind stands in the annotation of a setting, ``width: Annotated[int, whole(1)]``, and is the only place that
says what is allowed: a number is never taken from text, nor a whole number from true or 2.0, and no number is
nan or infinite. Each kind may also take null, where ``null`` says what it stands for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from dlexp.config.errors import listed

LARGEST_SEED = 2**32 - 1  # on which torch's and numpy's seeds agree
LARGEST = 10**9  # of rows, steps and the like: beyond it a slip of the pen


@dataclass(frozen=True, eq=False)
class Kind:
    """What a setting may be.

    Attributes:
        words: what is allowed beside null.
        schema: the same for pydantic.
        null: what null stands for; without it null is not allowed.
        names: the words among which a misspelt one is looked for.
    """

    words: str
    schema: CoreSchema
    null: str | None = None
    names: Sequence[str] = ()

    @property
    def allowed(self) -> str:
        """What is allowed, as the end of "it must be"."""
        return self.words if self.null is None else f"{self.words}, or null for {self.null}"

    def takes(self, value: Any) -> bool:
        """Whether a value is allowed.

        >>> whole(1).takes(2), whole(1).takes(2.0), whole(1).takes(None), whole(1, null="none").takes(None)
        (True, False, False, True)
        """
        return self._validator.isinstance_python(value)

    @cached_property
    def _validator(self) -> SchemaValidator:
        return SchemaValidator(self.__get_pydantic_core_schema__(None, None))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return self.schema if self.null is None else core_schema.nullable_schema(self.schema)


def whole(least: int = 0, most: int = LARGEST, *, null: str | None = None) -> Kind:
    """Return the kind of a whole number, both bounds included."""
    words = f"a whole number between {least} and {most}"
    return Kind(words, core_schema.int_schema(strict=True, ge=least, le=most), null)


def odd(least: int, most: int) -> Kind:
    """Return the kind of an odd whole number."""

    def require_odd(value: int) -> int:
        if value % 2 == 0:
            raise PydanticCustomError("odd", "even")
        return value

    number = whole(least, most)
    schema = core_schema.no_info_after_validator_function(require_odd, number.schema)
    return Kind(number.words.replace("a whole", "an odd whole"), schema)


def real(
    least: float | None = None,
    *,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    null: str | None = None,
) -> Kind:
    """Return the kind of a finite number: ``least`` and ``most`` are allowed, ``above`` and ``below`` not."""
    bounds = {"at least": least, "above": above, "at most": most, "below": below}
    said = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
    schema = core_schema.float_schema(strict=True, allow_inf_nan=False, ge=least, gt=above, le=most, lt=below)
    return Kind(f"a finite number {' and '.join(said)}".strip(), schema, null)


def one_of(choices: Sequence[Any], *, null: str | None = None) -> Kind:
    """Return the kind of one of some words or numbers."""
    names = [choice for choice in choices if isinstance(choice, str)]
    words = f"one of {listed(dict.fromkeys(map(str, choices)))}"
    return Kind(words, core_schema.literal_schema(list(choices)), null, names)


def one_of_or(names: Sequence[str], other: Kind, *, null: str | None = None) -> Kind:
    """Return the kind of one of some words, or of what another kind takes."""
    schema = core_schema.union_schema([core_schema.literal_schema(list(names)), other.schema])
    return Kind(f"{', '.join(names)} or {other.words}", schema, null, names)


def flag(*, null: str | None = None) -> Kind:
    """Return the kind of true and false."""
    return Kind("true or false", core_schema.bool_schema(strict=True), null)


def text(
    form: str = "a text that is not empty", pattern: str = r"(?s).+", *, null: str | None = None
) -> Kind:
    """Return the kind of text of a form, said in words and by a pattern of all of it."""

    def require_form(given: str) -> str:
        if re.fullmatch(pattern, given) is None:
            raise PydanticCustomError("form", "another form")
        return given

    schema = core_schema.str_schema(strict=True)
    return Kind(form, core_schema.no_info_after_validator_function(require_form, schema), null)


def list_of(item: Kind, length: int | None = None, *, null: str | None = None) -> Kind:
    """Return the kind of a list that is not empty, of ``length`` values if that is given."""
    count = "a list" if length is None else f"a list of {length} values"
    schema = core_schema.list_schema(item.schema, min_length=length or 1, max_length=length)
    return Kind(f"{count}, each {item.words}", schema, null, item.names)


def keys(*, null: str | None = None) -> Kind:
    """Return the kind of a mapping of names to anything: arguments of a class that is not dlexp's."""
    schema = core_schema.dict_schema(core_schema.str_schema(strict=True), core_schema.any_schema())
    return Kind("a mapping of names to values", schema, null)


def dotted_name(*, null: str | None = None) -> Kind:
    """Return the kind of a class's or function's dotted name."""
    form = "the dotted name of a class or function, such as package.module.Name"
    return text(form, r"[^\W\d]\w*(\.[^\W\d]\w*)+", null=null)


SEED = whole(0, LARGEST_SEED)
TARGET = dotted_name()
