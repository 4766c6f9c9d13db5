"""A metric on that judge."""

from bench.contracts import MetricInfo, MetricRow, Sums


class Level:
    info = MetricInfo(
        "level",
        "1",
        "signal",
        (MetricRow("rms", "", True, "test", "root mean square", bounds=(0.0, 1.0)),),
        judges=("loudness",),
    )

    def score(self, utterance, original, audio):
        return {"rms": Sums(audio.outputs["loudness"]["rms"])}


def load() -> Level:
    return Level()
