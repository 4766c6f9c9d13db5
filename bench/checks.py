"""Checks what a tokenizer returns against the contract, before anything is stored or scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from bench.contracts import Batching, Family, Samples, TokenizerInfo, Tokens
from bench.errors import ContractError, UserError

SLACK_SECONDS = 0.25  # by how much a fixed-rate tokenizer's audio may differ in length


def check_info(info: Any) -> TokenizerInfo:
    """`info` if it can be used; UserError with what the plugin must mend."""
    if not isinstance(info, TokenizerInfo):
        raise UserError(
            "the tokenizer's `info` is not a TokenizerInfo; see docs/add-a-tokenizer.md"
        )
    problems = {
        f"family must be one of {', '.join(get_args(Family))}": info.family in get_args(Family),
        f"batching must be one of {', '.join(get_args(Batching))}": info.batching
        in get_args(Batching),
        "sample_rate must be whole, and 1 Hz or more": info.sample_rate >= 1
        and info.sample_rate == int(info.sample_rate),
        "streams must not be empty": len(info.streams) > 0,
        "every vocabulary must be 1 or more": all(s.vocabulary >= 1 for s in info.streams),
        "stream names must differ": len({s.name for s in info.streams}) == len(info.streams),
        "no stream may be called 'utterance' or 'seconds'": not {"utterance", "seconds"}
        & {s.name for s in info.streams},
        "rates must be above 0, or None": all(
            s.rate is None or 0 < s.rate < math.inf for s in info.streams
        ),
        "side_info_bits must be a number from 0 up": 0 <= info.side_info_bits < math.inf,
    }
    for problem, fine in problems.items():
        if not fine:
            raise UserError(f"tokenizer '{info.name}': {problem}")
    return info


def check_count(returned: Any, expected: int, what: str) -> Sequence[Any]:
    if not isinstance(returned, list | tuple) or len(returned) != expected:
        size = len(returned) if hasattr(returned, "__len__") else type(returned).__name__
        raise ContractError(f"{what} returned {size} for {expected} utterances")
    return returned


def check_tokens(tokens: Any, info: TokenizerInfo) -> Tokens:
    """The same ids as int64; ContractError for floats, wrong shapes or ids out of range."""
    if not isinstance(tokens, Tokens):
        raise ContractError(f"encode returned {type(tokens).__name__}, not Tokens")
    if len(tokens.streams) != len(info.streams):
        raise ContractError(
            f"encode returned {len(tokens.streams)} streams, not {len(info.streams)}"
        )
    checked = []
    for ids, stream in zip(tokens.streams, info.streams, strict=True):
        ids = np.asarray(ids)
        if not np.issubdtype(ids.dtype, np.integer):
            raise ContractError(f"stream '{stream.name}' holds {ids.dtype}, not integers")
        if ids.ndim != 1:
            raise ContractError(f"stream '{stream.name}' has {ids.ndim} dimensions, not one")
        if ids.size and (ids.min() < 0 or ids.max() >= stream.vocabulary):
            raise ContractError(
                f"stream '{stream.name}' has ids from {ids.min()} to {ids.max()}, "
                f"outside its vocabulary of {stream.vocabulary}"
            )
        checked.append(ids.astype(np.int64))
    return Tokens(tuple(checked))


def check_audio(audio: Any, info: TokenizerInfo, seconds: float) -> Samples:
    """Decoded audio as float32 [L] in [-1, 1]; ContractError for NaN, shape or length."""
    audio = np.asarray(audio)
    if audio.ndim != 1 or not np.issubdtype(audio.dtype, np.floating):
        raise ContractError(f"decode returned {audio.dtype} {list(audio.shape)}, not mono floats")
    if audio.size == 0:
        raise ContractError("decode returned no audio")
    if not np.isfinite(audio).all():
        raise ContractError("decode returned NaN or infinity")
    made = audio.size / info.sample_rate
    rates = [stream.rate for stream in info.streams]
    if all(rate is not None for rate in rates):
        slack = SLACK_SECONDS + 2 / min(rate for rate in rates if rate is not None)
        if abs(made - seconds) > slack:
            raise ContractError(f"decode returned {made:.2f} s for an utterance of {seconds:.2f} s")
    elif made > 10 * seconds + 10:
        raise ContractError(f"decode returned {made:.0f} s for an utterance of {seconds:.2f} s")
    return np.clip(audio, -1.0, 1.0).astype(np.float32)
