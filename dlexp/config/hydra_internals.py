"""What dlexp relies on of Hydra, OmegaConf and YAML beyond their documented interfaces: the words of errors.

Hydra says which key or file is wrong in the text of its exceptions only, over several lines and with advice
that does not fit here (``+`` before a misspelt key). The texts are read in this module alone; a test provokes
each of them, and fails when an upgrade words one differently. What is not recognised is told in Hydra's own
words, joined to one line.
"""

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)
from yaml import MarkedYAMLError, YAMLError

from dlexp.config.check import known_keys
from dlexp.config.errors import ConfigError, did_you_mean, listed, not_allowed, unknown_key

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, ValueError)
"""What composing raises for a wrong override or file: Hydra lets some of OmegaConf's and YAML's pass."""

FULL_ERROR = "HYDRA_FULL_ERROR"
# In hydra._internal.config_loader_impl and hydra._internal.defaults_list.
NOT_OVERRIDDEN = re.compile(r"Could not override '([^']*)'")
NOT_APPENDED = re.compile(r"Could not append to config. An item is already at '([^']*)'")
NOT_DELETED = re.compile(r"Could not delete(?: from config)?\. ?'([^']*)'")
NOT_FOUND = re.compile(r"(?:In '([^']*)': )?Could not (?:find|load) '([^']*)/([^'/]*)'")
A_SWEEP = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'(?: requires --multirun|\n)")
NOT_MERGED = re.compile(r"In '([^']*)': \w+ raised while composing config:\n(.*)")
NO_OPTION = re.compile(r"Config group override must be a string or a list\. Got (\w+)")
# In omegaconf.base and omegaconf._utils.
NO_KEY = re.compile(r"Interpolation key '([^']*)' not found")
NO_RESOLVER = re.compile(r"Unsupported interpolation type (\w+)")


def explain(
    error: BaseException, overrides: Sequence[str] = (), options: Callable[[str], Sequence[str]] | None = None
) -> str:
    """Return an error of composing a configuration as one sentence that names what is wrong.

    Args:
        error: one of ``COMPOSITION_ERRORS``.
        overrides: the command line, to find what an error does not name.
        options: from the name of a group (``data``) to those of its options.
    """
    text = str(error)
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override} cannot be read: it must be key=value; a value with spaces or signs is put in "
            "quotes, for the shell and for Hydra ('key=\"a b\"')."
        )
    if isinstance(error, MarkedYAMLError):
        return _yaml(error)
    if isinstance(error, OmegaConfBaseException):
        return _omegaconf(error)
    if found := NOT_OVERRIDDEN.search(text):
        return _unknown(found[1], error.__cause__)
    if found := NOT_APPENDED.search(text):
        return f"+{found[1]} is not allowed: {found[1]} is there already, so that it is set without the +."
    if found := NOT_DELETED.search(text):
        return (
            f"~{found[1]} is not allowed: there is no {found[1]}{did_you_mean(found[1], known_keys()) or '.'}"
        )
    if found := NOT_FOUND.search(text):
        group, option = found[2], found[3]
        names = [name for name in (options(group) if options else ()) if not name.startswith("_")]
        allowed = f"one of {listed(names)}" if names else "the name of a YAML file there"
        return not_allowed(group, option, allowed, names)
    if found := A_SWEEP.search(text):
        return f"{found[1]} is not allowed without -m: a job takes one value; as a list write key=[a,b]."
    if found := NOT_MERGED.search(text):
        return f"{found[1]}.yaml cannot be composed: it must hold keys and values ({found[2]})."
    if NO_OPTION.search(text):
        named = [line for line in overrides if line.partition("=")[2] in ("null", "")]
        return (
            f"{' '.join(named) or 'a group'} is not allowed: it must be the name of an option of the group."
        )
    if isinstance(error.__cause__, OmegaConfBaseException):
        return _omegaconf(error.__cause__)
    return _one_line(text)


def run_worded(command: Callable[[], Any], overrides: Sequence[str]) -> None:
    """Run a command of ``hydra.main``; end the program with one sentence if its configuration is wrong.

    Hydra prints an error and its advice itself unless the variable HYDRA_FULL_ERROR asks for the error; who
    has set it sees the error.
    """
    if FULL_ERROR in os.environ:
        command()
        return
    os.environ[FULL_ERROR] = "1"
    try:
        command()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise SystemExit(explain(error, overrides, _group_options)) from None
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    except ValueError as error:
        if NO_OPTION.search(str(error)) is None:
            raise
        raise SystemExit(explain(error, overrides)) from None
    finally:
        os.environ.pop(FULL_ERROR, None)


def _group_options(group: str) -> list[str]:
    from dlexp.config.resolve import conf_directory

    return sorted(path.stem for path in (conf_directory() / group).glob("*.yaml"))


def _unknown(key: str, cause: BaseException | None) -> str:
    """Word a key that is not in the configuration; OmegaConf's error names the first part that is not."""
    absent = str(getattr(cause, "full_key", None) or key)
    parts = absent.split(".")
    if parts[0] in ("callbacks", "logger") and len(parts) == 2 and key != absent:
        return f"{key} is not a key of the configuration: {parts[0]}=[{parts[1]}] chooses {parts[1]}."
    return unknown_key(key, known_keys())


def _omegaconf(error: OmegaConfBaseException) -> str:
    key, text = getattr(error, "full_key", None) or "a value", str(error)
    if isinstance(error, InterpolationKeyError) and (found := NO_KEY.search(text)):
        return (
            f"{key} refers to {found[1]}, which does not exist{did_you_mean(found[1], known_keys()) or '.'}"
        )
    if isinstance(error, UnsupportedInterpolationType) and (found := NO_RESOLVER.search(text)):
        return f"{key} refers to a resolver {found[1]}, which does not exist."
    if isinstance(error, MissingMandatoryValue):
        return f"{key} is missing."
    if isinstance(error, InterpolationResolutionError):
        return f"{key} cannot be resolved: {_one_line(text)}"
    return f"{key} is not allowed: {_one_line(text)}"


def _yaml(error: MarkedYAMLError) -> str:
    mark: Any = error.problem_mark or error.context_mark
    place = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}," if mark else "A YAML file"
    return f"{place} cannot be read: {error.problem or error.context}."


def _one_line(text: str) -> str:
    """Return the first line of a message, which is its sentence; the others are OmegaConf's details."""
    first = text.strip().splitlines()[0].strip() if text.strip() else "the configuration cannot be composed"
    return first if first.endswith((".", "?")) else f"{first}."
