"""What the command says of itself before Hydra is asked: what there is to choose, and its version."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from dlexp.cli.listing import GROUPS, listing
from dlexp.config.resolve import conf_directory


@pytest.mark.parametrize("wanted", GROUPS)
def test_every_option_is_listed_with_a_sentence(wanted):
    lines = [line.split(maxsplit=1) for line in listing(wanted).splitlines()]
    options = {path.stem for path in (conf_directory() / GROUPS[wanted]).glob("*.yaml")}
    assert {name for name, _ in lines} == {name for name in options if name != "base" and name[0] != "_"}
    for _, sentence in lines:
        assert sentence[0].isupper() or sentence.startswith("y = ")
        assert sentence[-1] in ".?"


def test_an_unknown_list_is_one_sentence():
    with pytest.raises(SystemExit, match="--list study is not allowed: it must be one of studies, data"):
        listing("study")


@pytest.mark.parametrize(
    ("arguments", "shown"), [(["--version"], version("dlexp")), (["--list", "data"], "tent ")]
)
def test_the_command_answers_without_hydra(arguments, shown):
    code = f"import sys; sys.argv[1:] = {arguments}; from dlexp.cli.train import main; main(); "
    code += "print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown in done.stdout
    assert done.stdout.endswith("[]\n")
    assert done.stderr == ""
