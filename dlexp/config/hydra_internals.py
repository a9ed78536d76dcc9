"""What dlexp relies on of Hydra, OmegaConf and YAML beyond their documented interfaces: the words of errors.

Hydra says which key or file is wrong in the text of its exceptions only, over several lines and with advice
that does not fit here (``+`` before a misspelt key). The texts are read in this module alone; a test provokes
each of them, and fails when an upgrade words one differently. What is not recognised is told in Hydra's own
words, joined to one line.
"""

import contextlib
import os
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
    ValidationError,
)
from yaml import MarkedYAMLError, YAMLError

from dlexp.config.check import FIELDS
from dlexp.config.errors import ConfigError, did_you_mean, in_words, listed, not_allowed, refuse, unknown_key

ALWAYS_OF_COMPOSING = (HydraException, OmegaConfBaseException, YAMLError)
COMPOSITION_ERRORS = (*ALWAYS_OF_COMPOSING, OSError, ValueError)
"""What composing raises for a wrong override or file: Hydra lets some of OmegaConf's and YAML's pass."""

FULL_ERROR = "HYDRA_FULL_ERROR"
# In hydra._internal.config_loader_impl, hydra._internal.defaults_list and hydra._internal.instantiate.
NOT_OVERRIDDEN = re.compile(r"Could not override '([^']*)'")
NOT_APPENDED = re.compile(r"An item is already at '([^']*)'|Multiple values for ([^ ]+)\. ")
NOT_DELETED = re.compile(r"Could not delete(?: from config\.)? ?'([^']*)'")
A_SWEEP = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'(?: requires --multirun|\n)")
NOT_MERGED = re.compile(r"In '([^']*)': \w+ raised while composing config:\n(.*)")
NO_OPTION = re.compile(r"Config group override must be a string or a list\. Got (\w+)")
NOT_MADE = re.compile(r"(?s)(.*?)(?:, set env var .*)?\nfull_key: (.*)")
# In omegaconf.base, omegaconf.nodes and omegaconf._utils.
NO_KEY = re.compile(r"Interpolation key '([^']*)' not found")
NO_RESOLVER = re.compile(r"Unsupported interpolation type (\w+)")
OF_ANOTHER_TYPE = re.compile(r"converted to (Float|Integer)|not a valid (bool)|expected (one of) \[(.*)\]")

TYPES = {"Float": "a number", "Integer": "a whole number", "bool": "true or false", "one of": "one of "}


def explain(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """Return an error of composing a configuration as one sentence that names what is wrong.

    Args:
        error: one of ``COMPOSITION_ERRORS``.
        overrides: the command line, to find what an error does not name.
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
    if isinstance(error, MissingConfigException) and "/" in (error.missing_cfg_file or ""):
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        names = [name for name in error.options or _options_of(group) if not name.startswith("_")]
        return not_allowed(
            group, option, f"one of {listed(names)}" if names else "the name of a YAML file there", names
        )
    if found := NOT_OVERRIDDEN.search(text):
        return _unknown(found[1], error.__cause__)
    if found := NOT_APPENDED.search(text):
        key = found[1] or found[2]
        return f"+{key} is not allowed: {key} is there already, so that it is set without the +."
    if found := NOT_DELETED.search(text):
        hint = did_you_mean(found[1], FIELDS) or "."
        return f"~{found[1]} is not allowed: there is no {found[1]} to leave out{hint}"
    if found := A_SWEEP.search(text):
        return f"{found[1]} is not allowed without -m: a job takes one value; as a list write key=[a,b]."
    if found := NOT_MERGED.search(text):
        return f"{found[1]}.yaml cannot be composed: it must hold keys and values ({found[2]})."
    if isinstance(error, InstantiationException) and (found := NOT_MADE.match(text)):
        return f"{found[2]} cannot be made: {_one_line(found[1])}"
    if isinstance(error.__cause__, OmegaConfBaseException):
        return _omegaconf(error.__cause__)
    chosen = " ".join(line for line in overrides if "." not in line.partition("=")[0]) or "The configuration"
    if NO_OPTION.search(text):
        return f"{chosen} is not allowed: of a group, it must be the name of an option."
    return (
        _one_line(text)
        if isinstance(error, HydraException)
        else f"{chosen} is not allowed: {_one_line(text)}"
    )


def _options_of(group: str) -> list[str]:
    """Return dlexp's options of a group: of one that is chosen in a list Hydra does not name them."""
    from dlexp.config.resolve import conf_directory

    return sorted(path.stem for path in (conf_directory() / group).glob("*.yaml"))


@contextlib.contextmanager
def told_in_sentences(overrides: Sequence[str] = ()) -> Iterator[None]:
    """End the program with a sentence for each problem of a configuration that shows within.

    Errors of files and values count as such where none of dlexp's own code has raised them.
    """
    try:
        yield
    except ConfigError as error:
        refuse(error.problems)
    except ALWAYS_OF_COMPOSING as error:
        refuse([explain(error, overrides)])
    except (OSError, ValueError) as error:
        if any(_is_of_dlexp(frame) for frame, _ in [*traceback.walk_tb(error.__traceback__)][2:]):
            raise
        refuse([explain(error, overrides)])


def _is_of_dlexp(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(("dlexp.", "hydra_plugins.dlexp"))


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
        with told_in_sentences(overrides):
            command()
    finally:
        os.environ.pop(FULL_ERROR, None)


def _unknown(key: str, cause: BaseException | None) -> str:
    """Word a key that is not in the configuration; OmegaConf's error names the keys beside it."""
    absent = str(getattr(cause, "full_key", None) or key)
    parent = absent.rpartition(".")[0]
    beside = getattr(cause, "parent_node", None) or ()
    return unknown_key(key, [*FIELDS, *(f"{parent}.{name}" for name in beside if parent)])


def _omegaconf(error: OmegaConfBaseException) -> str:
    key, text = getattr(error, "full_key", None) or "a value", str(error)
    if isinstance(error, InterpolationKeyError) and (found := NO_KEY.search(text)):
        return f"{key} refers to {found[1]}, which does not exist{did_you_mean(found[1], FIELDS) or '.'}"
    if isinstance(error, UnsupportedInterpolationType) and (found := NO_RESOLVER.search(text)):
        return f"{key} refers to a resolver {found[1]}, which does not exist."
    if isinstance(error, MissingMandatoryValue):
        return f"{key} is missing."
    if isinstance(error, InterpolationResolutionError):
        return f"{key} cannot be resolved: {_one_line(text)}"
    if isinstance(error, ValidationError):
        if found := OF_ANOTHER_TYPE.search(text):
            names = (found[4] or "").split(", ")
            allowed = TYPES[found[1] or found[2] or found[3]] + listed(names)
            return not_allowed(key, error.value, allowed, names)
        return f"{key}={in_words(error.value)} is not allowed: {_one_line(text)}"
    return f"{key} is not allowed: {_one_line(text)}"


def _yaml(error: MarkedYAMLError) -> str:
    mark: Any = error.problem_mark or error.context_mark
    place = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}," if mark else "A YAML file"
    return f"{place} cannot be read: {error.problem or error.context}."


def _one_line(text: str) -> str:
    """Return the first line of a message, which is its sentence; the others are OmegaConf's details."""
    first = text.strip().splitlines()[0].strip() if text.strip() else "the configuration cannot be composed"
    return first if first.endswith((".", "?")) else f"{first}."
