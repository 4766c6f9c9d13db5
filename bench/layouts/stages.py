"""Layouts of several models in a row: coarse to fine (AudioLM), AR + NAR (VALL-E)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from bench.contracts import Stream
from bench.errors import UserError
from bench.layouts.base import Cost, Form, Layout, Places, row_places
from bench.layouts.flatten import interleaved


class CoarseToFine(Layout):
    """Semantic ids, then the first books flattened, then the rest flattened: three large models.

    The first `semantic` streams are the semantic ones and may have a rate of their own; the
    others are acoustic books of one rate, of which the first `coarse` are coarse. Each model
    reads what the one before it wrote, so the longest context is semantic + coarse or coarse +
    fine. No audio before the fine model starts: the first frame waits for the whole utterance.
    """

    name = "coarse-to-fine"
    source = "AudioLM (Borsos et al., 2022), section III"

    def __init__(
        self, streams: Sequence[Stream], *, coarse: int | None = None, semantic: int = 0
    ) -> None:
        """coarse: how many acoustic streams are coarse (half of them, rounded up, if None)."""
        super().__init__(streams)
        acoustic = len(streams) - semantic
        if not 0 <= semantic <= len(streams):
            raise UserError(
                f"layout {self.name}: semantic={semantic}; give 0 to {len(streams)} of the streams"
            )
        coarse = (acoustic + 1) // 2 if coarse is None else coarse
        if not min(1, acoustic) <= coarse <= acoustic:
            raise UserError(
                f"layout {self.name}: coarse={coarse}; give 1 to {acoustic} of the acoustic streams"
            )
        cut = semantic + coarse
        groups = {
            "semantic": tuple(range(semantic)),
            "coarse": tuple(range(semantic, cut)),
            "fine": tuple(range(cut, len(streams))),
        }
        for group in (groups["semantic"], tuple(range(semantic, len(streams)))):
            if group:
                self._one_rate(group)
        self._groups = {name: group for name, group in groups.items() if group}
        self.forms = tuple(Form(name, (group,)) for name, group in self._groups.items())

    def places(self, lengths: Sequence[int]) -> tuple[Places, ...]:
        """[N, 1] for each model; the streams of one model must have one length."""
        for group in self._groups.values():
            self._one_length(group, lengths)
        return tuple(interleaved(self.streams, g, lengths) for g in self._groups.values())

    def cost_of(self, counts: Sequence[float]) -> Cost:
        made = [sum(counts[k] for k in group) for group in self._groups.values()]
        held = [made[0], *(before + now for before, now in pairwise(made))]
        # The first frame is complete once the last model has begun: all frames of the others.
        slowest = min(counts)
        first = slowest if len(made) > 1 else 1.0
        return Cost(max(held), sum(made), 0.0, 0, 1, first)


class ArNar(Layout):
    """The first book autoregressively, each other one in one pass over all frames.

    K sequences of T positions; a pass predicts all T ids of its book at once from the books
    before it. F large steps a second and K − 1 passes in all; no audio before the last frame.
    """

    name = "ar+nar"
    source = "VALL-E (Wang et al., 2023), section 4"

    def __init__(self, streams: Sequence[Stream]) -> None:
        super().__init__(streams)
        self._one_rate(range(len(streams)))
        self.forms = tuple(
            Form("ar" if k == 0 else f"nar{k + 1}", ((k,),)) for k in range(len(streams))
        )

    def places(self, lengths: Sequence[int]) -> tuple[Places, ...]:
        """K maps [T, 1]."""
        frames = self._one_length(range(len(self.streams)), lengths)
        return tuple(row_places([k], [0], frames) for k in range(len(self.streams)))

    def cost_of(self, counts: Sequence[float]) -> Cost:
        passes = len(self.streams) - 1
        return Cost(counts[0], counts[0], 0.0, passes, 1, counts[0] if passes else 1.0)
