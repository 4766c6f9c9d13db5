"""`--set key=value`: options of a plugin, checked against the signature of its `load`."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from bench.errors import UserError
from bench.registry import Plugin, did_you_mean

# Options that say where the weights are, not what the tokenizer does: `info.revision` covers them.
NOT_IDENTITY = {"weights"}
_RESERVED = {"device", "threads"}
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def parse_settings(settings: Iterable[str]) -> dict[str, str]:
    """`["a=1,b=2", "c=3"]` → `{"a": "1", "b": "2", "c": "3"}`."""
    parsed: dict[str, str] = {}
    for part in (p for s in settings for p in s.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UserError(f"--set wants key=value, not '{part}'; for example --set bits=8")
        if key.strip() in parsed:
            raise UserError(f"--set gives '{key.strip()}' twice; give it once")
        parsed[key.strip()] = value.strip()
    return parsed


def resolve(plugin: Plugin, settings: Mapping[str, str]) -> dict[str, Any]:
    """All options of `plugin`, defaults included, converted to the types its `load` declares."""
    parameters = {
        name: p
        for name, p in inspect.signature(plugin.module.load).parameters.items()
        if p.kind is p.KEYWORD_ONLY and name not in _RESERVED
    }
    try:
        hints = typing.get_type_hints(plugin.module.load)
    except (NameError, TypeError) as error:
        raise UserError(
            f"{plugin.name}: the annotations of its `load` cannot be read ({error}); annotate "
            "with int, float, bool, str or Literal[...]"
        ) from error
    for key in settings:
        if key not in parameters:
            raise UserError(
                f"{plugin.name} has no option '{key}': {did_you_mean(key, list(parameters))}"
            )
    options = {}
    for name, parameter in parameters.items():
        if name in settings:
            options[name] = _convert(plugin.name, name, settings[name], hints.get(name, str))
        elif parameter.default is parameter.empty:
            raise UserError(f"{plugin.name} needs --set {name}=...")
        else:
            options[name] = parameter.default
        if not isinstance(options[name], str | int | float | bool | None):
            raise UserError(
                f"{plugin.name}: option {name} is {options[name]!r}; options are numbers, true or "
                "false, and text"
            )
    return options


def _convert(plugin: str, key: str, text: str, hint: Any) -> Any:
    choices = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        for choice in choices:
            if text == str(choice):
                return choice
        raise UserError(
            f"{plugin}: {key}={text} is not possible; choose {', '.join(map(str, choices))}"
        )
    kinds = [c for c in choices if c is not type(None)] or [hint]
    for kind in kinds:
        if kind is bool and text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        if kind in (int, float, str):
            try:
                value = kind(text)
            except ValueError:
                continue
            if kind is float and not math.isfinite(value):
                continue
            return value
    wanted = " or ".join(getattr(k, "__name__", str(k)) for k in kinds)
    raise UserError(f"{plugin}: {key} wants {wanted}, not '{text}'")


def variant_name(name: str, options: Mapping[str, Any]) -> str:
    """The resolved variant: `lyra@quantizers=46`; also the name of the run's folder."""
    parts = [
        f"{key}={str(value).lower() if isinstance(value, bool) else value}"
        for key, value in sorted(options.items())
        if key not in NOT_IDENTITY and value is not None
    ]
    safe = ",".join(parts).replace("/", "_").replace("\\", "_")
    return f"{name}@{safe}" if safe else name
