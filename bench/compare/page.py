"""A comparison as one HTML page that needs no network; Jinja2 escapes whatever it is given."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from bench.compare import words
from bench.compare.model import Comparison
from bench.compare.plain_forms import closing
from bench.errors import UserError
from bench.show import figure


def render(comparison: Comparison) -> str:
    """The page. No script; equal comparisons give equal bytes."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("bench.compare").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        c=comparison,
        axes=words.with_data(comparison),
        words=words,
        figure=figure,
        closing=closing(comparison),
    )


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page; UserError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(comparison), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--html {path} cannot be written ({error.strerror}): choose another file"
        ) from error
