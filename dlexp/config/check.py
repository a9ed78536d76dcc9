"""All problems of a job's configuration, each in one sentence, before anything is made of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dlexp.config.callbacks import SETTINGS
from dlexp.config.errors import ConfigError, in_words, missing, not_allowed, unknown_key
from dlexp.config.fill import fill
from dlexp.config.identity import current_target
from dlexp.config.kinds import TARGET, Kind
from dlexp.config.rules import RULES
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
        problems = dict(_sentences(Config, error, plain))
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


def known_keys(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Return every key of the configuration, in full; those of callbacks are not among them."""
    keys = []
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        keys.append(key)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{key}.")
    return keys


def _sentences(
    model: type[BaseModel], error: ValidationError, given: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield (full key, sentence) for each setting of ``given`` that pydantic refused."""
    for problem in error.errors(include_url=False, include_context=False):
        path, kind, names = _locate(model, problem["loc"])
        key, value = f"{prefix}{'.'.join(path)}", _value_at(given, path)
        if problem["type"] == "extra_forbidden":
            yield key, unknown_key(key, known_keys(model, prefix))
        elif kind is None:
            keys = f"a mapping with the keys {', '.join(names)}"
            yield key, not_allowed(key, None if value is ABSENT else value, keys)
        elif value in (ABSENT, MISSING):
            yield key, missing(key, kind.allowed)
        else:
            yield key, not_allowed(key, value, kind.allowed, kind.names)


def _locate(
    model: type[BaseModel], location: Sequence[int | str]
) -> tuple[list[str], Kind | None, list[str]]:
    """Return the path of the setting at a location, what it may be, and the keys beside or in it."""
    path: list[str] = []
    names: list[str] = []
    for part in map(str, location):
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        path, names = [*path, part], list(fields)
        field = fields.get(part)
        kind = next((item for item in field.metadata if isinstance(item, Kind)), None) if field else None
        if kind is not None or field is None:
            return path, kind, names
        model = field.annotation  # type: ignore[assignment]  # a section: what is no section has a kind
        names = [inner.alias or name for name, inner in model.model_fields.items()]
    return path, None, names


def _value_at(plain: Any, path: Sequence[str]) -> Any:
    for name in path:
        plain = plain.get(name, ABSENT) if isinstance(plain, Mapping) else ABSENT
    return plain


def _broken_rules(plain: Mapping[str, Any], wrong: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each rule that is broken, of the rules on keys that are right by themselves."""
    for rule in RULES:
        values = [_value_at(plain, key.split(".")) for key in rule.keys]
        values = [
            DEFAULTS.get(key, ABSENT) if v is ABSENT else v for key, v in zip(rule.keys, values, strict=True)
        ]
        if ABSENT not in values and not any(is_part_of(key, other) for key in rule.keys for other in wrong):
            yield from rule.problems(*values)


def is_part_of(key: str, other: str) -> bool:
    """Whether a key is another one or within it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _defaults(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (full key, default) for each setting that has one."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _defaults(field.annotation, f"{key}.")
        elif not field.is_required():
            yield key, field.default


DEFAULTS = dict(_defaults())


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
        raise ConfigError([*dict(_sentences(model, error, given, f"{key}.")).values()]) from None
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
