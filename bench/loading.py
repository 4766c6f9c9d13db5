"""A tokenizer found by its name, loaded with its options and checked."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench import registry
from bench.checks import check_info
from bench.contracts import Tokenizer, TokenizerInfo
from bench.errors import UserError
from bench.options import resolve


@dataclass(frozen=True)
class Loaded:
    """A tokenizer with its resolved options; code: sha256 of the plugin's file."""

    tokenizer: Tokenizer
    info: TokenizerInfo
    options: dict[str, Any]
    code: str


def load_tokenizer(name: str, settings: Mapping[str, str], where: str) -> Loaded:
    """UserError for an unknown name, wrong options, missing packages or weights."""
    plugin = registry.plugin("tokenizers", name)
    options = resolve(plugin, settings)
    try:
        tokenizer = plugin.load(device=where, **options)
    except ImportError as error:
        raise UserError(
            f"tokenizer '{name}' needs a package that is not installed ({error}); "
            "run `bench doctor` for the command that installs it"
        ) from error
    source = plugin.source_file
    code = hashlib.sha256(source.read_bytes()).hexdigest() if source else ""
    return Loaded(tokenizer, check_info(getattr(tokenizer, "info", None)), options, code)


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """One call at a time goes into the tokenizer, so torch may have all processors."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
