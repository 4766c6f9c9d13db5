"""Tokenizers whose ids follow the text: what a second costs, told for each token of the text."""

from __future__ import annotations

import numpy as np

from bench.rates import bits
from bench.tokenstats.counts import Counts
from bench.tokenstats.entropy import entropy
from bench.tracks.contract import TokenContext, TrackResult
from bench.tracks.token_code import number_or_none
from bench.tracks.token_corpus import Corpus

TEXT = "text"


def per_text_token(context: TokenContext, corpus: Corpus, result: TrackResult) -> None:
    """Details of a tokenizer of the family "text-aligned", told when the whole track is; its text
    is the stream `text`, else the first."""
    if corpus.info.family != "text-aligned" or not result.details:
        return
    names = [stream.name for stream in corpus.info.streams]
    text = names.index(TEXT) if TEXT in names else 0
    spoken = sum(len(tokens.streams[text]) for tokens in corpus.tokens)
    if not spoken:
        return
    seconds = sum(item.seconds for item in corpus.items)
    ids = sum(len(stream) for tokens in corpus.tokens for stream in tokens.streams)
    streams = {}
    for number, stream in enumerate(corpus.info.streams):
        counts = Counts.of(np.concatenate(corpus.stream(number)))
        held = entropy(counts, stream.vocabulary) * counts.total / spoken
        streams[stream.name] = {
            "ids": counts.total / spoken,
            "entropy": number_or_none(held),
        }
    result.details["per_text_token"] = {
        "text_stream": names[text],
        "text_tokens": spoken,
        "seconds": seconds / spoken,
        "ids": ids / spoken,
        "bits": sum(bits(tokens, corpus.info) for tokens in corpus.tokens) / spoken,
        "streams": streams,
    }
