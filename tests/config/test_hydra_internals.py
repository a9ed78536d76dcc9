"""The texts of Hydra's and OmegaConf's errors that are read: provoked, so that an upgrade is noticed."""

import os
import re

import pytest
from hydra.errors import OverrideParseException
from hydra.types import RunMode

from dlexp.config import hydra_internals as module
from dlexp.config.compose import composer_of
from dlexp.config.errors import ConfigError
from dlexp.config.hydra_internals import COMPOSITION_ERRORS

PROVOKED = [
    ("NOT_OVERRIDDEN", "model.widht=5"),
    ("NOT_APPENDED", "+model.width=5"),
    ("NOT_DELETED", "~nothing"),
    ("NOT_APPENDED", "+data=tent"),
    ("NOT_DELETED", "~hydra"),
    ("OF_ANOTHER_TYPE", "hydra.launcher.memory_gib=big"),
    ("OF_ANOTHER_TYPE", "hydra.launcher.workers=big"),
    ("OF_ANOTHER_TYPE", "hydra.launcher.together=big"),
    ("OF_ANOTHER_TYPE", "hydra.mode=MULTRUN"),
    ("A_SWEEP", "seed=1,2"),
    ("A_SWEEP", "seed=range(3)"),
    ("NOT_MERGED", "data=listed"),
    ("NO_OPTION", "model=null"),
]


@pytest.mark.parametrize(("pattern", "override"), PROVOKED)
def test_a_text_is_as_it_is_read(pattern, override, composer):
    search_path = composer.master.hydra.overrides.hydra
    with pytest.raises(COMPOSITION_ERRORS) as error:
        composer.loader.load_configuration("train", [*search_path, override], RunMode.RUN)
    texts = f"{error.value}\n{error.value.__cause__}"
    assert getattr(module, pattern).search(texts)


def test_every_pattern_is_provoked():
    patterns = {name for name, value in vars(module).items() if isinstance(value, re.Pattern)}
    elsewhere = {"NO_KEY", "NO_RESOLVER", "NOT_MADE"}  # in test_bad_input.py, as whole sentences
    assert patterns == {name for name, _ in PROVOKED} | elsewhere


def test_what_is_not_recognised_is_told_in_one_line():
    error = ValueError("first line\nsecond line")
    assert module.explain(error) == "The configuration is not allowed: first line."
    assert module.explain(error, ["model=mine", "data.noise=1"]) == "model=mine is not allowed: first line."


def test_the_command_lines_own_errors_are_sentences_too():
    with pytest.raises(ConfigError, match=r"did you mean model\.width\?"):
        composer_of(["model.widht=5"])
    with pytest.raises(ConfigError, match=r"did you mean double_descent\?"):
        composer_of(["study=duoble_descent"])


def test_a_command_ends_with_the_sentence(monkeypatch):
    def fail():
        raise OverrideParseException("a b=1", "LexerNoViableAltException")

    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit, match=r"a b=1 cannot be read: it must be key=value"):
        module.run_worded(fail, [])
    assert "HYDRA_FULL_ERROR" not in os.environ
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(OverrideParseException):
        module.run_worded(fail, [])
