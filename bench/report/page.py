"""One HTML file from what was gathered; everything that comes from data is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"


def render(context: Mapping[str, Any]) -> str:
    """The page. Its policy lets nothing be fetched and no script or style run but its own two."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = ((TEMPLATES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    policy = (
        "default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_allowed(style)}; script-src {_allowed(script)}"
    )
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        context, policy=policy, style=Markup(style), script=Markup(script)
    )


def _allowed(text: str) -> str:
    """The source expression that allows an element with exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
