"""Times of words: what the aggregator knows of them, and frames from predicted lengths.

S symbols, W words, F frames of 24 ms, T frames of 20 ms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.contracts import Ids
from bench.nn.soundstream import HOP as SOUND_HOP
from bench.nn.taste_listen import HOP, Floats
from bench.nn.taste_text import Script

LENGTHS = 3
"""Of a word, natural logs of 1 + frames: the word, the slot after it, the slot before the first."""
PLACES = 4
"""Of a frame: how far into its symbol and its word, log lengths of both."""
LONGEST = 250
"""Frames that a predicted word or pause is limited to."""


def lengths_of(text: Script, pace: Ids) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    """What the aggregator knows of times: lengths [W, LENGTHS], inside [W, F], place [F, 2]."""
    words = text.words
    own = np.bincount(text.word[~text.slot], pace[~text.slot], words)
    after = pace[text.slot][1:]
    lead = np.zeros(words)
    lead[0] = pace[0]
    lengths = np.log1p(np.stack([own, after, lead], axis=1)).astype(np.float32)
    at = np.repeat(np.arange(len(pace)), pace)
    inside = (text.word[at] == np.arange(words)[:, None]) & ~text.slot[at]
    first = inside.argmax(axis=1)
    place = np.where(text.slot[at], 0, (np.arange(len(at)) + 0.5 - first[text.word[at]])
                     / np.maximum(own, 1)[text.word[at]]).astype(np.float32)  # fmt: skip
    return lengths, inside, np.stack([place, place**2], axis=1)


def lay_out(text: Script, lengths: Tensor, parts: Tensor) -> Tensor:
    """Frames of each symbol, int64 [S], from predicted lengths [W, LENGTHS] and log shares [S].

    A word gets at least a frame a phone; boundaries are rounded, not lengths, so that errors do
    not add up.
    """
    told = (lengths.double().exp() - 1).round().clamp(0, LONGEST).long()
    frames = torch.zeros(len(text.symbols), dtype=torch.long)
    word, slot = torch.from_numpy(text.word), torch.from_numpy(text.slot)
    frames[0] = told[0, 2]
    ends = slot.nonzero()[1:, 0]
    frames[ends] = told[:, 1]
    for n in range(text.words):
        own = ((word == n) & ~slot).nonzero()[:, 0]
        spare = int(told[n, 0].clamp(min=len(own))) - len(own)
        share = parts[own].double().exp()
        bounds = (share.cumsum(0) / share.sum() * (spare + len(own))).round().long()
        order = torch.arange(len(own))
        bounds = torch.maximum(bounds, order + 1)
        bounds = (bounds - order).cummax(0).values + order  # a frame a phone
        bounds = torch.minimum(bounds, spare + 1 + order)  # and one for each still to come
        frames[own] = bounds.diff(prepend=bounds.new_zeros(1))
    return frames


def spread(text: Script, pace: Ids) -> tuple[Ids, Floats]:
    """(at int64 [F], places float32 [F, PLACES]) of symbols that last `pace` frames each."""
    at = np.repeat(np.arange(len(pace)), pace)
    starts = np.cumsum(pace) - pace
    own = np.where(text.slot, text.words + np.arange(len(pace)), text.word)  # a slot is no word
    first = np.full(own.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, own, starts)
    whole = np.bincount(own, pace, minlength=len(first))
    step = np.arange(len(at)) + 0.5
    places = np.stack([
        (step - starts[at]) / pace[at],
        (step - first[own[at]]) / whole[own[at]],
        np.log1p(pace[at]) - 1.5,
        np.log1p(whole[own[at]]) - 2.5,
    ], axis=1).astype(np.float32)  # fmt: skip
    return at, places


def fine_frames(start: int, frames: int) -> Ids:
    """For the 20 ms frames whose middles lie in `frames` frames of 24 ms from `start` on: the
    frame of each, counted from `start`; int64 [T]."""
    first = int(np.ceil(start * HOP / SOUND_HOP - 0.5))
    last = int(np.ceil((start + frames) * HOP / SOUND_HOP - 0.5))
    middle = (np.arange(first, last) + 0.5) * SOUND_HOP
    return np.clip((middle // HOP).astype(np.int64) - start, 0, frames - 1)
