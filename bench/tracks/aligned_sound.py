"""What the experiments of the track `aligned` share: audio of ids that are on no disk, and ears."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from bench import audio, registry
from bench.checks import check_audio
from bench.contracts import Judgement, Samples, Tokens
from bench.nn.taste_align import RATE
from bench.store import pack_tokens, unpack_tokens
from bench.tracks.contract import TokenContext, TokenItem


def original(context: TokenContext, item: TokenItem) -> Samples:
    """The recording as the aligner hears it, float32 [L] at 16 kHz."""
    rate = context.info.sample_rate
    return audio.resample(item.audio(rate), rate, RATE)


def decoded(context: TokenContext, tokens: Tokens, seconds: float) -> Samples:
    """Checked audio of ids, at 16 kHz; they go the way that stored ones go."""
    made = context.tokenizer.decode([unpack_tokens(pack_tokens(tokens))])[0]
    sound = check_audio(made, context.info, seconds)
    return audio.resample(sound, context.info.sample_rate, RATE)


@cache
def _judge(name: str) -> Any:
    return registry.plugin("judges", name).load(device="cpu", threads=1)


def _answer(judge: str, sound: Samples) -> Judgement:
    found: Judgement | Exception = _judge(judge).judge([sound])[0]
    if isinstance(found, Exception):
        raise found
    return found


def likeness(one: Samples, other: Samples) -> float:
    """Cosine of the voice embeddings of two recordings at 16 kHz; ItemFailure where one has no
    voice."""
    first, second = (_answer("resemblyzer", x)["embedding"] for x in (one, other))
    return float(np.dot(np.asarray(first), np.asarray(second)))


def transcript(sound: Samples) -> str:
    """What Moonshine hears at 16 kHz."""
    return str(_answer("moonshine", sound)["text"])
