"""All problems of a job's configuration, each in one sentence, before anything is made of it."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dlexp.config.callbacks import SETTINGS
from dlexp.config.errors import ConfigError, in_words, missing, not_allowed, unknown_key
from dlexp.config.fill import fill
from dlexp.config.identity import current_target
from dlexp.config.kinds import TARGET, Kind
from dlexp.config.rules import RULES, WrongByItselfError
from dlexp.config.schedule import CallbackSettings
from dlexp.config.schema import Config

Settings = TypeVar("Settings", bound=CallbackSettings)

MISSING = "???"  # how OmegaConf writes a value that is to be set
ABSENT = object()


def check(plain: Mapping[str, Any]) -> Config:
    """Return the typed configuration of a job's plain data; what follows from other settings is filled in.

    Raises ``ConfigError`` with a sentence for each problem: of single values, of values that do not fit each
    other, of callbacks and loggers.
    """
    plain = fill(copied(dict(plain)))
    config: Config | None = None
    problems: dict[str, str] = {}
    try:
        config = Config.model_validate(plain)
    except ValidationError as error:
        problems = dict(_sentences(FIELDS, error, plain))
    found = [*problems.values(), *_broken_rules(plain, problems)]
    found += _callback_problems(plain, None if found else config)
    found += target_problems(plain, "logger")
    if "seed" in problems:  # the seeds that follow from it are no problems of their own
        followed = f"seed={in_words(plain.get('seed'))} is not allowed"
        found = [problems["seed"], *(one for one in found if followed not in one)]
    if found or config is None:
        raise ConfigError(list(dict.fromkeys(found)))
    return config


def copied(value: Any) -> Any:
    """Return plain data whose dictionaries and lists are new."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def fields_of(model: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    """Return every setting of a model by its full key, a section before what is in it."""
    fields = {}
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        fields[key] = field
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            fields |= fields_of(section, f"{key}.")
    return fields


FIELDS = fields_of(Config)
"""The settings of a job by their full keys; those of callbacks are not among them."""


def _sentences(
    fields: Mapping[str, FieldInfo], error: ValidationError, given: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield (full key, sentence) for each setting of ``given`` that pydantic refused.

    ``prefix`` is where ``given`` stands.
    """
    for problem in error.errors(include_url=False, include_context=False):
        key = prefix + ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            yield key, unknown_key(key, fields)
            continue
        while key not in fields:  # the place is one within a value: an item of a list, a kind among others
            key = key.rpartition(".")[0]
        kind = next((item for item in fields[key].metadata if isinstance(item, Kind)), None)
        value = _value_at(given, key.removeprefix(prefix))
        if kind is None:
            names = [name.rpartition(".") for name in fields]
            allowed = (
                f"a mapping with the keys {', '.join(last for parent, _, last in names if parent == key)}"
            )
            yield key, not_allowed(key, None if value is ABSENT else value, allowed)
        elif value in (ABSENT, MISSING):
            yield key, missing(key, kind.allowed)
        else:
            yield key, not_allowed(key, value, kind.allowed, kind.names)


def _value_at(plain: Any, key: str) -> Any:
    for name in key.split("."):
        plain = plain.get(name, ABSENT) if isinstance(plain, Mapping) else ABSENT
    return plain


def _broken_rules(plain: Mapping[str, Any], wrong: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each rule that is broken, of the rules on keys that are right by themselves."""

    def given(*keys: str) -> list[Any]:
        values = [_value_at(plain, key) for key in keys]
        if any(_is_part_of(key, other) for key in keys for other in wrong):
            raise WrongByItselfError
        # what is right by itself and absent has a default
        return [FIELDS[key].default if v is ABSENT else v for key, v in zip(keys, values, strict=True)]

    for rule in RULES:
        with contextlib.suppress(WrongByItselfError):
            yield from rule(given)


def _is_part_of(key: str, other: str) -> bool:
    """Whether a key is another one or within it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _callback_problems(plain: Mapping[str, Any], config: Config | None) -> Iterator[str]:
    """Yield a sentence for each wrong setting of a callback; a user's own takes what it takes.

    Whether callbacks fit the rest is asked only of a rest that is right.
    """
    yield from target_problems(plain, "callbacks")
    for name, given in _mappings(plain, "callbacks").items():
        target, key = current_target(given.get("_target_")), f"callbacks.{name}"
        if target not in SETTINGS:
            continue
        try:
            settings = callback_settings(SETTINGS[target], given, key)
        except ConfigError as error:
            yield from error.problems
            continue
        if config is not None:
            yield from settings.problems_with(key, config)


def callback_settings(model: type[Settings], given: Mapping[str, Any], key: str) -> Settings:
    """Return a callback's typed settings, those left out at their defaults.

    ``key`` is where they stand, for the sentences of the ``ConfigError`` that is raised for wrong ones.
    """
    try:
        settings = model.model_validate(given)
    except ValidationError as error:
        fields = fields_of(model, f"{key}.")
        raise ConfigError([*dict(_sentences(fields, error, given, f"{key}.")).values()]) from None
    problems = [*settings.problems(key)]
    if problems:
        raise ConfigError(problems)
    return settings


def target_problems(plain: Mapping[str, Any], group: str) -> Iterator[str]:
    """Yield a sentence for each member of a group that names nothing that could be made."""
    chosen = plain.get(group)
    for name, given in chosen.items() if isinstance(chosen, Mapping) else ():
        key = f"{group}.{name}"
        if not isinstance(given, Mapping):
            yield not_allowed(
                key, given, "a mapping with _target_ and its arguments, or null to leave it out"
            )
            continue
        target = given.get("_target_")
        if target is None or target == MISSING:
            yield missing(f"{key}._target_", TARGET.allowed)
        elif not TARGET.takes(target):
            yield not_allowed(f"{key}._target_", target, TARGET.allowed)
        elif target.startswith("dlexp.callbacks.") and current_target(target) not in SETTINGS:
            yield not_allowed(
                f"{key}._target_", target, "one of dlexp's callbacks or a class of yours", SETTINGS
            )


def _mappings(plain: Mapping[str, Any], group: str) -> dict[str, Mapping[str, Any]]:
    chosen = plain.get(group)
    if not isinstance(chosen, Mapping):
        return {}
    return {str(name): given for name, given in chosen.items() if isinstance(given, Mapping)}
