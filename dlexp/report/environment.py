"""The templates: everything put into them is escaped, and a page's policy lets it load nothing."""

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from dlexp.report.verdicts import LOOKS

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **context: Any) -> str:
    """Render a page from the package's templates, with style and script inside it."""
    script = _source("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template(template)
    return page.render(script=script, script_digest=digest, style=_source("style.css"), **context)


def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dlexp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["looks"] = LOOKS
    return environment
