"""Kinds of values: what a setting may be, checked strictly by pydantic, and the same in words.

A kind stands in the annotation of a setting, ``width: Annotated[int, Whole(1)]``, and is the only place that
says what is allowed: a number is never taken from text, nor a whole number from true or 2.0, and no number is
nan or infinite.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from dlexp.config.errors import listed

LARGEST_SEED = 2**32 - 1  # on which torch's and numpy's seeds agree
LARGEST = 10**9  # of rows, steps and the like: beyond it a slip of the pen


@dataclass(frozen=True)
class Kind(ABC):
    """What a setting may be. ``null`` says what null stands for; without it null is not allowed."""

    null: str | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def words(self) -> str:
        """What is allowed beside null."""

    @property
    def names(self) -> Sequence[str]:
        """The words among which a misspelt one is looked for."""
        return ()

    @abstractmethod
    def schema(self) -> CoreSchema:
        """Return pydantic's schema of what is allowed beside null."""

    @property
    def allowed(self) -> str:
        """What is allowed, as the end of "it must be"."""
        return self.words if self.null is None else f"{self.words}, or null for {self.null}"

    def takes(self, value: Any) -> bool:
        """Whether a value is allowed."""
        return self._validator.isinstance_python(value)

    @cached_property
    def _validator(self) -> SchemaValidator:
        return SchemaValidator(self.__get_pydantic_core_schema__(None, None))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return self.schema() if self.null is None else core_schema.nullable_schema(self.schema())


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number, both bounds included."""

    least: int = 0
    most: int = LARGEST

    @property
    def words(self) -> str:  # noqa: D102
        return f"a whole number between {self.least} and {self.most}"

    def schema(self) -> CoreSchema:  # noqa: D102
        return core_schema.int_schema(strict=True, ge=self.least, le=self.most)


@dataclass(frozen=True)
class Odd(Whole):
    """An odd whole number."""

    @property
    def words(self) -> str:  # noqa: D102
        return f"an odd whole number between {self.least} and {self.most}"

    def schema(self) -> CoreSchema:  # noqa: D102
        return core_schema.no_info_after_validator_function(_require_odd, super().schema())


def _require_odd(value: int) -> int:
    if value % 2 == 0:
        raise PydanticCustomError("odd", "even")
    return value


@dataclass(frozen=True)
class Real(Kind):
    """A finite number between bounds: ``least`` and ``most`` belong to them, ``above`` and ``below`` not."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    @property
    def words(self) -> str:  # noqa: D102
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (
                ("at least", self.least),
                ("above", self.above),
                ("at most", self.most),
                ("below", self.below),
            )
            if bound is not None
        ]
        return " ".join(["a finite number", " and ".join(bounds)]).strip()

    def schema(self) -> CoreSchema:  # noqa: D102
        return core_schema.float_schema(
            strict=True, allow_inf_nan=False, ge=self.least, gt=self.above, le=self.most, lt=self.below
        )


@dataclass(frozen=True)
class OneOf(Kind):
    """One of some words or numbers."""

    choices: tuple[Any, ...] = ()

    @property
    def words(self) -> str:  # noqa: D102
        return f"one of {listed(dict.fromkeys(map(str, self.choices)))}"

    @property
    def names(self) -> Sequence[str]:  # noqa: D102
        return [choice for choice in self.choices if isinstance(choice, str)]

    def schema(self) -> CoreSchema:  # noqa: D102
        return core_schema.literal_schema(list(self.choices))


@dataclass(frozen=True)
class OneOfOr(OneOf):
    """One of some words, or what another kind allows."""

    other: Kind = field(default_factory=Whole)

    @property
    def words(self) -> str:  # noqa: D102
        return f"{', '.join(self.names)} or {self.other.words}"

    def schema(self) -> CoreSchema:  # noqa: D102
        return core_schema.union_schema([super().schema(), self.other.schema()])


@dataclass(frozen=True)
class Flag(Kind):
    """True or false."""

    @property
    def words(self) -> str:  # noqa: D102
        return "true or false"

    def schema(self) -> CoreSchema:  # noqa: D102
        return core_schema.bool_schema(strict=True)


@dataclass(frozen=True)
class Text(Kind):
    """Text of a form that ``pattern`` and, for people, ``form`` describe; any but the empty one without."""

    form: str = "a text that is not empty"
    pattern: str = r"(?s).+"

    @property
    def words(self) -> str:  # noqa: D102
        return self.form

    def schema(self) -> CoreSchema:  # noqa: D102
        def require_form(text: str) -> str:
            if re.fullmatch(self.pattern, text) is None:
                raise PydanticCustomError("form", "another form")
            return text

        return core_schema.no_info_after_validator_function(require_form, core_schema.str_schema(strict=True))


@dataclass(frozen=True)
class ListOf(Kind):
    """A list that is not empty, of ``length`` values if that is given."""

    item: Kind = field(default_factory=Text)
    length: int | None = None

    @property
    def words(self) -> str:  # noqa: D102
        count = "a list" if self.length is None else f"a list of {self.length} values"
        return f"{count}, each {self.item.words}"

    @property
    def names(self) -> Sequence[str]:  # noqa: D102
        return self.item.names

    def schema(self) -> CoreSchema:  # noqa: D102
        return core_schema.list_schema(
            self.item.schema(), min_length=self.length or 1, max_length=self.length
        )


@dataclass(frozen=True)
class Keys(Kind):
    """A mapping of names to anything: arguments of a class or function that is not dlexp's."""

    @property
    def words(self) -> str:  # noqa: D102
        return "a mapping of names to values"

    def schema(self) -> CoreSchema:  # noqa: D102
        return core_schema.dict_schema(core_schema.str_schema(strict=True), core_schema.any_schema())


SEED = Whole(0, LARGEST_SEED)
TARGET = Text(
    "the dotted name of a class or function, such as package.module.Name", r"[^\W\d]\w*(\.[^\W\d]\w*)+"
)
