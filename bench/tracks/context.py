"""The engine's side of the contract: splits of the suite, encoded once, and changed audio."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import audio
from bench.batching import batches
from bench.codec import Codec, encoded, robustly
from bench.contracts import Samples, Tokens
from bench.errors import ItemFailure
from bench.originals import Originals
from bench.plan import Plan
from bench.progress import Reporter
from bench.rates import ROWS as RATE_ROWS
from bench.store import Store, key_of, pack_tokens, unpack_audio, unpack_tokens
from bench.suites.load import Suite, other_split
from bench.tracks.contract import OWN, TokenItem

RATES = {row.name for row in RATE_ROWS}  # cost nothing, so they are always wanted


@dataclass(frozen=True)
class Split:
    """One split with its recordings and ids."""

    name: str
    suite: Suite
    originals: Originals
    codec: Codec

    @property
    def stage(self) -> str:
        """Name of its progress bar."""
        return "encode" if self.name == OWN else f"encode {self.name}"

    def items(self) -> list[TokenItem]:
        return [self._item(i) for i in self.originals.good if not self.codec.unencoded(i)]

    def _item(self, index: int) -> TokenItem:
        item = self.suite.items[index]
        return TokenItem(
            utterance=item.utterance,
            split=self.name,
            seconds=self.originals.seconds(index),
            phones=item.phones,
            words=item.words,
            read=lambda: self.codec.ids(index),
            hear=lambda rate: self.originals.at(index, rate),
            pair=item.pair,
            good=item.good,
        )


class EngineContext:
    """What `bench.tracks.contract.TokenContext` describes, over one run's codec."""

    def __init__(
        self, plan: Plan, own: Split, cache: Path, reporter: Reporter, *, seed: int, threads: int
    ) -> None:
        self.tokenizer, self.info = plan.tokenizer, plan.tokenizer.info
        self.identity: Mapping[str, Any] = {**plan.identity, "revision": self.info.revision}
        self.options: Mapping[str, Any] = plan.options
        self.cache, self.reporter = cache, reporter
        self.seed, self.threads = seed, threads
        self.batch_seconds = own.codec.batch_seconds
        self._plan = plan
        self._splits: dict[str, Split | None] = {OWN: own}
        self._items: dict[str, list[TokenItem]] = {}
        self._changed: Store | None = None

    # ------------------------------------------------------------------------------------ splits
    def split(self, name: str) -> Split | None:
        """The split with its recordings read, ids perhaps yet to come; None where there is none."""
        if name not in self._splits:
            own = self._splits[OWN]
            assert own is not None
            found = other_split(own.suite, name)
            self._splits[name] = None if found is None else self._opened(name, found)
        return self._splits[name]

    def _opened(self, name: str, suite: Suite) -> Split:
        originals = Originals(suite)
        codec = Codec(
            self.tokenizer,
            self._plan.identity,
            originals,
            self.cache,
            self.reporter,
            self.batch_seconds,
        )
        return Split(name, suite, originals, codec)

    def others(self) -> list[Split]:
        """The splits besides the run's own that were opened."""
        return [s for n, s in self._splits.items() if n != OWN and s is not None]

    def items(self, split: str = OWN) -> Sequence[TokenItem]:
        found = self.split(split)
        if found is None:
            return []
        if split not in self._items:
            if split != OWN:  # nothing to do where the engine encoded it beside other work
                for part in found.codec.plan():
                    for batch in part:
                        found.codec.encode(batch)
            self._items[split] = found.items()
        return self._items[split]

    def expected(self, split: str = OWN) -> int:
        found = self.split(split)
        return 0 if found is None else len(found.suite.items)

    def wanted(self, row: str) -> bool:
        return row in RATES or self._plan.chosen(row)

    # ---------------------------------------------------------------------------- changed audio
    def encode(
        self,
        clips: Sequence[Samples],
        texts: Sequence[str | None],
        stage: str,
        *,
        alone: bool = False,
    ) -> list[Tokens | Exception]:
        if self._changed is None:
            key = key_of(kind="tokens of samples", **self.identity)
            self._changed = Store(self.cache / "tokens" / f"{key}.sqlite")
        store = self._changed
        keys = [_key(x, t) for x, t in zip(clips, texts, strict=True)]
        made: dict[str, Tokens | Exception] = {}
        todo: dict[str, int] = {}
        for index, key in enumerate(keys):
            data = store.get(key)
            if data is None:
                todo.setdefault(key, index)
            else:
                made[key] = unpack_tokens(data)

        def call(indices: list[int]) -> list[Tokens | Exception]:
            return encoded(self.tokenizer, [clips[i] for i in indices], [texts[i] for i in indices])

        rate = self.info.sample_rate
        order = list(todo.values())
        self.reporter.total(stage, sum(len(clips[i]) for i in order) / rate)
        limit = int(self.batch_seconds * rate)
        batching = "single" if alone else self.info.batching
        for batch in batches([len(clips[i]) for i in order], batching, limit):
            part = [order[j] for j in batch]
            results = robustly(call, part, self.reporter.warn)
            made.update({keys[i]: result for i, result in results.items()})
            store.put(
                {keys[i]: pack_tokens(t) for i, t in results.items() if isinstance(t, Tokens)}
            )
            self.reporter.done(stage, sum(len(clips[i]) for i in part) / rate)
        return [made[key] for key in keys]

    # ------------------------------------------------------------------------------------ decode
    def decode(self, items: Sequence[TokenItem]) -> list[Samples | Exception]:
        own = self._splits[OWN]
        assert own is not None
        at = {item.utterance.id: i for i, item in enumerate(own.suite.items)}
        made: list[Samples | Exception] = []
        for item in items:
            index = at[item.utterance.id]
            if own.codec.process([index]):
                data = own.codec.audio.get(own.codec.row(index))
                made.append(unpack_audio(data) if data is not None else ItemFailure("no audio"))
            else:
                made.append(ItemFailure(own.codec.failures[index][1]))
        return made

    def close(self) -> None:
        """Close what was opened here; the run's own codec is closed by the run."""
        for split in self.others():
            split.codec.close()
        if self._changed is not None:
            self._changed.close()


def _key(samples: Samples, text: str | None) -> str:
    told = "none" if text is None else hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{audio.digest(samples)}:{told}"
