"""Results: every figure comes from the stored sums, old files load, the table fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError
from rich.console import Console

from bench.collect import collect
from bench.contracts import MetricRow
from bench.errors import UserError
from bench.plan import make_plan
from bench.progress import Quiet
from bench.results import Failure, Result, Row, dump, read_result
from bench.run import Measured, Pass
from bench.scores import Spec, aggregate
from bench.show import WIDTH, show
from bench.suites.load import load_suite
from bench.write import sha256, write_run

HISTORIC = Path(__file__).parent / "historic_results"
METRICS = ("rms", "stoi", "wer", "speaker_eer", "utmos", "bitrate", "token_rate")


@pytest.fixture(scope="module")
def done(
    testkit: Path, small_suite: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Measured, Result, Path]:
    """One evaluation with ratios, trials, an absent judge and metrics that hear samples."""
    import importlib

    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(testkit))
        patch.setenv("BENCH_WEIGHTS_DIR", str(out / "no-weights"))
        importlib.invalidate_caches()
        plan = make_plan("mulaw", {"bits": "4"}, device="cpu", metrics=METRICS)
        measured = Pass(
            plan,
            load_suite(str(small_suite)),
            cache=out / ".cache",
            where="cpu",
            reporter=Quiet(),
            batch_seconds=30.0,
            threads=2,
        ).run()
        return measured, write_run(measured, out / "run", where="cpu", seed=3), out / "run"


def test_every_row_is_recomputed_from_the_stored_scores(done: Any) -> None:
    measured, _, folder = done
    _, failures, specs = collect(measured)
    stored = read_result(folder / "result.json")
    again = aggregate(pd.read_parquet(folder / "scores.parquet"), specs, stored.seed)
    assert again == stored.tracks
    assert [list(rows) for rows in again.values()] == [list(r) for r in stored.tracks.values()]
    assert failures == stored.failures
    assert {"rms", "stoi", "wer", "speaker_eer"} <= set(stored.tracks["resynthesis"])
    assert stored.tracks["resynthesis"]["rms"].n == 6


def test_figures_are_ratios_of_the_stored_sums(done: Any) -> None:
    _, result, folder = done
    scores = pd.read_parquet(folder / "scores.parquet")
    for name, scale in {"rms": 1, "stoi": 1, "wer": 100, "bitrate": 1, "token_rate": 1}.items():
        rows = result.tracks["tokens" if "rate" in name else "resynthesis"]
        part = scores[scores.metric == name]
        value = scale * part.numerator.sum() / part.denominator.sum()
        assert rows[name].value == pytest.approx(value, rel=1e-12)
        assert rows[name].n == part.utterance.nunique()


def test_files_have_the_sums_that_the_result_states(done: Any) -> None:
    _, result, folder = done
    assert set(result.artifacts) == {"scores", "tokens"}
    for artifact in result.artifacts.values():
        assert sha256(folder / artifact.file) == artifact.sha256


def test_a_result_comes_back_from_its_file_as_it_was(done: Any) -> None:
    _, result, folder = done
    path = folder / "result.json"
    assert read_result(path) == result
    assert dump(read_result(path)) == path.read_text(encoding="utf-8")


# --------------------------------------------------------------------------- what is no result
@pytest.mark.parametrize("where", [(), ("tokenizer",), ("suite",), ("tracks", "tokens", "bitrate")])
def test_unknown_fields_are_refused(done: Any, where: tuple[str, ...]) -> None:
    content = json.loads(dump(done[1]))
    part = content
    for key in where:
        part = part[key]
    part["colour"] = "red"
    with pytest.raises(ValidationError, match="colour"):
        Result.model_validate(content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is not a result"),
        (b"{", "is not a result"),
        (b"[1, 2]", "is not a result"),
        (b"\xff\xfe", "is not a result"),
        (b'{"schema_version": 1}', "tokenizer: Field required"),
        (b'{"schema_version": 99}', "schema_version"),
    ],
)
def test_what_is_no_result_is_told_in_a_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=sentence) as caught:
        read_result(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_no_figure_is_infinite_or_nan(done: Any) -> None:
    content = json.loads(dump(done[1]))
    content["tracks"]["tokens"]["bitrate"]["value"] = float("nan")
    with pytest.raises(ValidationError, match="finite"):
        Result.model_validate(content)


# -------------------------------------------------------------------------------- old results
BOUNDED = {"stoi": (-1.0, 1.0), "estoi": (-1.0, 1.0), "rms": (0.0, 1.0)}
"""Bounds that the metrics of old results had; the others start at zero."""


def _spec(track: str, name: str, row: Row) -> Spec:
    return Spec(
        track,
        MetricRow(
            name,
            row.unit,
            row.higher_is_better,
            "",
            "",
            scale=100.0 if row.unit == "%" else 1.0,
            bounds=BOUNDED.get(name, (0.0, float("inf"))),
        ),
        row.n + row.failures,
        row.note,
    )


@pytest.mark.parametrize("folder", sorted(HISTORIC.iterdir()), ids=lambda f: f.name)
def test_old_results_load_and_their_scores_still_give_their_figures(folder: Path) -> None:
    result = read_result(folder / "result.json")
    assert sha256(folder / "scores.parquet") == result.artifacts["scores"].sha256
    specs = [_spec(t, n, row) for t, rows in result.tracks.items() for n, row in rows.items()]
    again = aggregate(pd.read_parquet(folder / "scores.parquet"), specs, result.seed)
    for track, rows in result.tracks.items():
        for name, row in rows.items():
            made, kept = again[track][name].model_dump(), row.model_dump()
            for field, value in kept.items():
                exact = value is None or isinstance(value, str)
                expected = value if exact else pytest.approx(value, rel=1e-9, abs=1e-12)
                assert made[field] == expected, (name, field)
    show(result, Console(width=WIDTH, record=True, quiet=True), "runs/x")


# ---------------------------------------------------------------------------------- the table
def rendered(result: Result, width: int) -> list[str]:
    with Path("/dev/null").open("w") as nowhere:
        console = Console(width=width, record=True, file=nowhere, highlight=False)
        show(result, console, "runs/small/x")
    return console.export_text().splitlines()


def crowded(result: Result) -> Result:
    """The result with long names, large figures, missing utterances and awkward reasons."""
    made = result.model_copy(deep=True)
    made.tokenizer.variant = "encodec@" + ",".join(f"some_long_option_{i}={i}" for i in range(9))
    large = Row(
        value=-1234567.8,
        ci95=(-1334567.8, -1134567.8),
        n=12345,
        unit="bit/s",
        higher_is_better=False,
        reference=-1234567.8,
        difference=-1234567.8,
        difference_ci95=(-1334567.8, -1134567.8),
        clusters="utterance",
        n_clusters=9,
        failures=123,
        note="[/bold] is no tag here, nor is [red]",
    )
    made.tracks["resynthesis"]["a_metric_with_a_rather_long_name"] = large
    made.failures = [
        Failure(
            track="resynthesis",
            utterance=f"u{i}",
            stage="judge:with-a-long-name",
            reason=f"ValueError: no key [unit{i}] in [/bold] of shape [1, 2]; " + "long " * 40,
        )
        for i in range(12)
    ]
    return made


def table_of(lines: list[str]) -> list[str]:
    """The lines of the table: up to the first that is a sentence."""
    end = next(
        i for i, line in enumerate(lines) if line.startswith(("*", "utmos")) or "s of" in line
    )
    return lines[:end]


def test_the_table_fits_a_hundred_columns_and_hides_no_figure(done: Any) -> None:
    lines = rendered(done[1], WIDTH)
    table = table_of(lines)
    assert max(map(len, table)) <= WIDTH
    text = "\n".join(table)
    for track, rows in done[1].tracks.items():
        assert track in text
        for name in rows:
            assert any(line.strip().startswith(f"{name} ") for line in table)
    assert f"{done[1].tracks['tokens']['bitrate'].value:,.0f}" in text
    assert text.count("…") == sum(
        (row.ci95 is not None) + (row.difference_ci95 is not None)
        for rows in done[1].tracks.values()
        for row in rows.values()
    )


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_crowded_table_stays_inside_and_shows_reasons_as_they_are(done: Any, width: int) -> None:
    lines = rendered(crowded(done[1]), width)
    assert max(map(len, table_of(lines))) <= min(width, WIDTH)
    text = "\n".join(lines)
    assert "12 failures, listed in result.json" in text
    assert "1 × judge:with-a-long-name: ValueError: no key [unit0] in [/bold] of shape [1" in text
    assert "a_metric_with_a_rather_long_name: [/bold] is no tag here, nor is [red]" in text


def test_the_variant_stands_in_the_title_whole(done: Any) -> None:
    crowd = crowded(done[1])
    crowd.tokenizer.variant = "mine@weights=[red]x"
    assert rendered(crowd, WIDTH)[0].startswith("mine@weights=[red]x on small 1: 6 utterances")
