"""The parts of `bench report`: what is chosen, what differs, what is drawn, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from bench.cli import main
from bench.contracts import MetricRow
from bench.report import figures
from bench.report.choose import Score, by_utterance, choose, leads
from bench.report.clips import player
from bench.report.curves import detail_plots
from bench.report.plots import against_bitrate, told
from bench.report.runs import Run, read_run
from bench.report.tables import verdict
from bench.report.words import Piece, difference
from bench.results import Row

(RUN,) = (p.parent for p in (Path(__file__).parent / "historic_results").glob("v1/**/result.json"))
WER = MetricRow("wer", "%", False, "", "", scale=100.0)
MOS = MetricRow("distillmos", "MOS", True, "", "")
KNOWN = {"wer": WER, "distillmos": MOS}


def row(value: float, low: float, high: float, *, higher: bool = False) -> Row:
    return Row(
        value=value, ci95=(value - 1, value + 1), n=9, unit="%", higher_is_better=higher,
        reference=5.0, difference=value - 5.0, difference_ci95=(low, high), clusters="speaker",
        n_clusters=9, failures=0,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(RUN, folder)
    return folder


def scored(folder: Path, lines: list[tuple[str, str, float, float, float]]) -> Run:
    """A run whose scores are (metric, utterance, numerator, denominator, reference numerator)."""
    found = read_run(str(folder))
    table = pd.DataFrame(
        [
            {
                "metric": m, "utterance": u, "numerator": a, "denominator": b, "target": None,
                "reference_numerator": r, "reference_denominator": b,
            }
            for m, u, a, b, r in lines
        ]
    )  # fmt: skip
    found.__dict__["scores"] = table
    return found


# ------------------------------------------------------------------------------------- choosing
def test_the_worst_lost_most_against_the_original(run: Path) -> None:
    lines = [
        ("wer", "always-wrong", 10, 10, 10),
        ("wer", "lost-two", 2, 10, 0),
        ("wer", "lost-one", 1, 10, 0),
        ("wer", "lost-one-dull", 1, 10, 0),
        ("distillmos", "lost-one", 4.0, 1, 4.0),
        ("distillmos", "lost-one-dull", 3.0, 1, 4.0),
        ("distillmos", "no-text", 1.0, 1, 4.0),
    ]
    found = scored(run, lines)
    scores = by_utterance(found, KNOWN)
    assert scores["wer"]["lost-two"] == Score(20.0, 0.0)
    chosen = choose(found, 6, ["wer", "distillmos"], scores, KNOWN)
    worst = [c.utterance for c in chosen if c.why == "worst"]
    assert worst == ["lost-two", "lost-one-dull", "lost-one", "always-wrong"]
    assert [c.utterance for c in chosen if c.why == "drawn"] == ["no-text"]
    assert choose(found, 6, ["wer", "distillmos"], scores, KNOWN) == chosen
    assert len(choose(found, 3, ["wer"], scores, KNOWN)) == 3


def test_leading_rows_are_those_with_a_value() -> None:
    assert leads(read_run(str(RUN))) == ["wer", "stoi"]


@pytest.mark.parametrize(
    ("low", "high", "higher", "said"),
    [
        (-1.0, 3.0, False, "No difference from the original beyond the interval"),
        (1.0, 3.0, False, "Worse than the original"),
        (1.0, 3.0, True, "Better than the original"),
    ],
)
def test_a_verdict_says_no_more_than_the_interval(
    low: float, high: float, higher: bool, said: str
) -> None:
    assert verdict(row(7.0, low, high, higher=higher)).startswith(said)


# ------------------------------------------------------------------------------------ transcripts
def test_the_difference_of_words() -> None:
    assert difference("Press one, please now!", "press two now now", "en") == [
        Piece("same", "press", "press"),
        Piece("changed", "one please", "2 now"),
        Piece("same", "now", "now"),
    ]
    assert difference("stay", "", "en") == [Piece("missing", "stay", "")]
    assert difference("...", "uh huh yes", "fr") == [Piece("added", "", "uh huh yes")]


# --------------------------------------------------------------------------------------- figures
def test_an_inline_figure_has_no_style_and_no_foreign_id() -> None:
    def draw() -> str:
        with figures.style():
            drawn = figures.make_figure(2)
            axes = drawn.subplots()
            axes.plot([1, 2], [1, 2], "o", color=figures.SERIES[0], label="<b>a$ & b$</b>")
            axes.legend()
            return figures.svg_of(drawn)

    text = draw()
    assert text == draw()
    made = figures.inline(text, "one", 'a "finding" <i>')
    root = ElementTree.fromstring(made)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'a "finding" <i>'
    tags = {element.tag for element in root.iter()}
    assert not tags & {"style", "script", "metadata", "b", "i"}
    ids = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))
    assert all(i.startswith("one-") for i in ids)
    for element in root.iter():
        assert "style" not in element.attrib
        if element.tag == "use":
            assert element.attrib["href"][1:] in ids
        if "clip-path" in element.attrib:
            assert element.attrib["clip-path"][5:-1] in ids
    classes = {e.attrib.get("class") for e in root.iter()}
    assert "fill-c0 stroke-c0" in classes
    assert "<b>a$ & b$</b>" in [e.text for e in root.iter("text")]


def test_a_figure_tells_what_it_shows() -> None:
    plot = against_bitrate("wer", [read_run(str(RUN))])
    assert plot is not None
    assert "256,000 bit/s: 6.2 % (0.0 … 31.6)" in plot.finding
    assert plot.finding.endswith("original 6.2 %.")
    assert told(row(7.0, 1, 3)) == "7.0 % (6.0 … 8.0)"


def test_curves_of_tracks_are_drawn_and_nonsense_is_left_out() -> None:
    many = {f"q{n}": [[1, n + 1], [1000, n + 2]] for n in range(46)}
    curve = {
        "shares": [0.5, 1.0],
        "phone_error": [{"value": 50.0, "ci95": [48, 52]}, {"value": 40}],
    }
    arms = {"tokens": {"value": 40.0}, "books:1": {"value": 60.0, "ci95": None}, "mel": {}}
    models = {"bits_flat": {"bits_a_second": [900, 800]}, "odd": {"bits_a_second": "no"}}
    details = {
        "tokens": {"curves": {"used_of_ids": many, "broken": {"a": "no", "b": [[1], ["x", 2]]}}},
        "probe": {
            "phone": {"linear": {"learning_curve": curve, "rows": {"phone_error": {"arms": arms}}}},
            "speaker": [3],
        },
        "lm": {"lm": {"train_seconds": [60, 120], "models": models}},
        "other": [1, 2],
    }
    used, learnt, books, language = detail_plots(details, 8)
    assert used.title == "Tokens: used of ids"
    assert "6 of 46 series" in used.caption
    assert "q0: 1 at 1, 2 at 1,000" in used.finding
    assert "q45: 46 at 1, 47 at 1,000" in used.finding
    assert "phone, phone_error: 50 at 0.5, 40 at 1" in learnt.finding
    assert "phone, phone_error: 60 at 1, 40 at 8" in books.finding
    assert "bits_flat: 900 at 60, 800 at 120" in language.finding
    assert "odd" not in language.finding
    assert detail_plots({}, 8) == []
    assert detail_plots({"tokens": 3, "probe": {"phone": {"linear": None}}, "lm": []}, 8) == []


def test_a_player_holds_the_samples_without_loss() -> None:
    import base64
    import io

    import soundfile

    samples = (np.arange(-8000, 8000) / 32768).astype(np.float32)
    made = player("original", np.tile(samples, 30))
    assert made.cut
    assert made.seconds == 20
    kind, _, coded = made.source.partition(",")
    assert kind == "data:audio/flac;base64"
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(coded)), dtype="float32")
    assert rate == 16_000
    np.testing.assert_array_equal(heard[:16_000], samples)


# -------------------------------------------------------------------------------------- refusals
def edit(folder: Path, *keys: str, value: object) -> None:
    path = folder / "result.json"
    result = json.loads(path.read_text())
    inner = result
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(result))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["report", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("bench: ")
    assert told.count("\n") == 1
    return told


def test_what_is_no_run_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "holds no result.json" in refused(capsys, str(tmp_path))


def test_changed_scores_are_refused(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    with (run / "scores.parquet").open("ab") as file:
        file.write(b"x")
    assert "is not the file that result.json was made with" in refused(capsys, str(run))


def test_missing_scores_are_refused(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    (run / "scores.parquet").unlink()
    assert "lacks its scores.parquet" in refused(capsys, str(run))


@pytest.mark.parametrize(
    ("keys", "value", "sentence"),
    [
        (("suite", "digest"), "0" * 64, "measured on other utterances"),
        (("environment", "judges", "moonshine"), "9", "its judge moonshine was 9, not moonshine-"),
        (("environment", "metrics", "words"), "9", "its metric words was 9, not 1"),
    ],
)
def test_runs_that_differ_are_not_set_side_by_side(
    capsys: pytest.CaptureFixture[str],
    run: Path,
    keys: tuple[str, ...],
    value: str,
    sentence: str,
) -> None:
    edit(run, *keys, value=value)
    assert sentence in refused(capsys, str(RUN), "--with", str(run))


def test_wrong_arguments(capsys: pytest.CaptureFixture[str], run: Path, small_suite: Path) -> None:
    assert "ends in .html" in refused(capsys, str(run), "-o", "report.pdf")
    assert "from 0 to 100" in refused(capsys, str(run), "--clips", "-1")
    assert "other utterances than the run" in refused(capsys, str(run), "--suite", str(small_suite))


def test_without_its_suite_a_run_has_a_report_that_says_so(
    capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    assert main(["report", str(run), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["clips"] == 0
    (note,) = made["notes"]
    assert note.startswith("nothing to be heard")
    page = (run / "report.html").read_text()
    assert "What is missing here" in page
    assert made["bytes"] == len(page.encode())
    assert (run / "report" / "wer_against_bitrate.svg").is_file()
    assert (run / "report" / "wer_against_bitrate.png").is_file()
