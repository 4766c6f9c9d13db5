"""English ASR by Moonshine tiny-en (arXiv:2410.15608), whose weights come with a package.

Output: `text`, as the model writes it (case, punctuation). Runs on the CPU whatever the device:
about 30 times real time a core. An utterance is transcribed alone, so nothing else in the list
changes its text; at most 6.5 tokens a second, so a model that loops on noise or silence stops.
"""

from __future__ import annotations

from bench.contracts import JudgeInfo, Judgement, Samples
from bench.errors import ItemFailure
from bench.judges._common import SAMPLE_RATE, check
from bench.moonshine import Moonshine

REVISION = 1


class MoonshineJudge:
    """ASR; see the module."""

    def __init__(self, model: Moonshine) -> None:
        self.model = model
        self.info = JudgeInfo(
            name="moonshine",
            version=f"{model.revision}+r{REVISION}",
            sample_rate=SAMPLE_RATE,
            outputs=("text",),
            licence="MIT",
            source="https://arxiv.org/abs/2410.15608",
            max_batch_seconds=120.0,
            concurrent=True,
        )

    def judge(self, audio: list[Samples]) -> list[Judgement | Exception]:
        """`{"text": str}` of each utterance; ItemFailure under 0.1 s."""
        results: list[Judgement | Exception] = [{} for _ in audio]
        usable: list[int] = []
        for n, item in enumerate(audio):
            try:
                check(item)
                usable.append(n)
            except ItemFailure as failure:
                results[n] = failure
        ids = self.model.transcribe_ids([audio[n] for n in usable])
        for n, found in zip(usable, ids, strict=True):
            results[n] = {"text": self.model.detokenize(found)}
        return results


def load(*, device: str = "cpu", threads: int | None = None) -> MoonshineJudge:
    """threads: utterances at a time (default: the number of cores). The device is not used."""
    return MoonshineJudge(Moonshine(threads))
