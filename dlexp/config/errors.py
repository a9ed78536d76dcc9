"""Problems of a configuration, and the words in which they are told: one sentence each.

Every sentence names the full key, the value and what is allowed, and the nearest name where one was misspelt.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class ConfigError(ValueError):
    """A configuration that cannot be run; its message holds one sentence a line.

    Attributes:
        problems: the sentences.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str]]]:
        return ConfigError, (self.problems,)


def refuse(problems: Sequence[str]) -> None:
    """End the program with the problems of a configuration, one a line, if there are any.

    The cause of the ``SystemExit`` is a ``ConfigError`` with the same sentences.
    """
    if problems:
        text = "\n".join(["The configuration cannot be run:", *(f"  {p}" for p in problems)])
        raise SystemExit(text) from ConfigError(problems)


def in_words(value: Any) -> str:
    """Return a value as it would be written on the command line, shortened if it is long.

    >>> in_words(None), in_words(True), in_words([0.9, None]), in_words("")
    ('null', 'true', '[0.9,null]', "''")
    """
    if value is None:
        text = "null"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, list | tuple):
        text = f"[{','.join(map(in_words, value))}]"
    elif isinstance(value, dict):
        text = f"{{{','.join(f'{key}:{in_words(item)}' for key, item in value.items())}}}"
    else:
        text = str(value) or "''"
    return text if len(text) <= 60 else f"{text[:57]}..."


def not_allowed(key: str, value: Any, allowed: str, names: Iterable[str] = ()) -> str:
    """Return the sentence for a wrong value; ``names`` are those that it may be a misspelling of.

    >>> not_allowed("optimizer.name", "adm", "sgd or adam", ["sgd", "adam"])
    'optimizer.name=adm is not allowed: it must be sgd or adam; did you mean adam?'
    """
    sentence = f"{key}={in_words(value)} is not allowed: it must be {allowed}"
    return sentence + (did_you_mean(value, names) or ".")


def missing(key: str, allowed: str) -> str:
    """Return the sentence for a key that nothing has set."""
    return f"{key} is missing: it must be {allowed}."


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence for a key that does not exist; ``known`` are full keys.

    >>> unknown_key("model.widht", ["model.width", "model.depth"])
    'model.widht is not a key of the configuration; did you mean model.width?'
    >>> unknown_key("width", ["model.width", "seed"])
    'width is not a key of the configuration; did you mean model.width?'
    """
    known = list(known)
    group, _, rest = key.partition(".")
    name = rest.partition(".")[0]
    if (
        group in ("callbacks", "logger")
        and name
        and not any(f"{k}.".startswith(f"{group}.{name}.") for k in known)
    ):
        return f"{key} is not a key of the configuration: {group}=[{name}] chooses {name}."
    if key in known:
        return f"{key} is not allowed with other keys than it has: +{key}={{name:value}} adds one."
    parent = key.rpartition(".")[0]
    siblings = [other for other in known if other.rpartition(".")[0] == parent]
    last = key.rpartition(".")[2]
    elsewhere = [other for other in known if other.rpartition(".")[2] == last and group != "hydra"]
    hint = did_you_mean(key, siblings) or (f"; did you mean {elsewhere[0]}?" if elsewhere else "")
    if not hint and siblings:
        hint = f"; allowed: {', '.join(other.rpartition('.')[2] for other in siblings)}."
    return f"{key} is not a key of the configuration{hint or '.'}"


def did_you_mean(text: Any, names: Iterable[str]) -> str:
    """Return ``; did you mean NAME?`` for the name nearest to a text, or to one of a list, if any is near."""
    names = [str(name) for name in names]
    for word in text if isinstance(text, list) else [text]:
        near = (
            difflib.get_close_matches(word, names, 1) if isinstance(word, str) and word not in names else []
        )
        if near:
            return f"; did you mean {near[0]}?"
    return ""


def listed(names: Iterable[Any]) -> str:
    """Return names as ``a, b or c``.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b or c', 'a')
    """
    *first, last = map(str, names)
    return f"{', '.join(first)} or {last}" if first else last


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line without the full stop, or its name if it says nothing.

    >>> first_line(ValueError("no rows.\\nThere must be some.")), first_line(KeyError())
    ('no rows', 'KeyError')
    """
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
