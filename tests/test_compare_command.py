"""`bench compare` from the command line: what it finds, refuses, says, and how it escapes."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli import main
from tests.compared import rows, sums, trials, write
from tests.conftest import ROOT

COUNT = 60
SPEAKERS = [f"s{n % 10}" for n in range(COUNT)]
HARD = np.random.default_rng(0).gamma(1, 0.05, COUNT)
KINDS = {  # variant: word error rate, bit/s, MOS
    "lyra@quantizers=16": (0.25, 3200, 3.2),
    "lyra@quantizers=46": (0.03, 9200, 3.9),
    "soundstream": (0.24, 3000, 3.2),
    "mulaw": (0.03, 128_000, 4.2),
}


def scores(errors: float, bitrate: float, mos: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    wrong = rng.binomial(10, np.clip(HARD + errors, 0, 1))
    return {
        "wer": sums(wrong, 10),
        "distillmos": sums(mos + rng.normal(0, 0.2, COUNT)),
        "bitrate": [(bitrate * 3, 3.0)] * COUNT,
        "token_rate": [(bitrate / 4 * 3, 3.0)] * COUNT,
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for seed, (variant, kind) in enumerate(KINDS.items()):
        write(root / "mini" / variant, variant, rows(scores(*kind, seed), SPEAKERS))
    return root


def pair(tmp_path: Path, **changes: Any) -> tuple[str, str]:
    """Folders of two runs, the second one changed."""
    made = rows(scores(0.1, 3000, 3.0, 1), SPEAKERS)
    return (
        str(write(tmp_path / "a", "one", made)),
        str(write(tmp_path / "b", "two", made, **changes)),
    )


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["compare", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return json.loads(said(capsys, *arguments, "--json"))


def axis(found: Any, name: str) -> Any:
    return next(part for part in found["axes"] if part["name"] == name)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["compare", *map(str, arguments)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("bench: ") and told.count("\n") == 1
    return told


# ------------------------------------------------------------------------------------- what it says
def test_more_quantizers_beat_fewer_in_words(runs: Path, capsys: Any) -> None:
    found = data(capsys, "lyra", "soundstream", "mulaw", "--runs", runs)
    assert [r["label"] for r in found["results"]] == [
        "lyra@quantizers=16", "lyra@quantizers=46", "soundstream", "mulaw"]  # fmt: skip
    wer = axis(found, "words")["metrics"]["wer"]
    better = {frozenset((d["a"], d["b"])): d for d in wer["differences"]}
    quantizers = better[frozenset(("lyra@quantizers=16", "lyra@quantizers=46"))]
    assert quantizers["better"] == "lyra@quantizers=46"
    assert quantizers["ci95"][0] > 0 and quantizers["p"] < 0.05
    alike = better[frozenset(("lyra@quantizers=46", "mulaw"))]
    assert alike["better"] is None and alike["ci95"][0] < 0 < alike["ci95"][1]
    ranks = {label: figure["rank"] for label, figure in wer["figures"].items()}
    assert ranks == {"lyra@quantizers=16": [3, 4], "lyra@quantizers=46": [1, 2],
                     "soundstream": [3, 4], "mulaw": [1, 2]}  # fmt: skip
    assert axis(found, "words")["top"] == ["lyra@quantizers=46", "mulaw"]
    assert axis(found, "words")["tests"] == 6
    assert axis(found, "efficiency")["top"] == ["soundstream"]
    assert axis(found, "speed")["lead"] is None


def test_figures_are_ratios_of_sums_in_the_unit_shown(runs: Path, capsys: Any) -> None:
    found = data(capsys, "mulaw", "soundstream", "--runs", runs)
    wrong = scores(*KINDS["mulaw"], 3)["wer"]
    expected = 100 * sum(top for top, _ in wrong) / sum(bottom for _, bottom in wrong)
    wer = axis(found, "words")["metrics"]["wer"]
    assert wer["measure"] == "%"
    assert wer["figures"]["mulaw"]["value"] == pytest.approx(expected)
    assert found["results"][0]["bitrate"] == pytest.approx(128_000)


def test_fronts_and_groups(runs: Path, capsys: Any) -> None:
    found = data(capsys, "lyra", "soundstream", "mulaw", "--runs", runs)
    front = next(f for f in found["fronts"] if (f["axis"], f["rate"]) == ("words", "bitrate"))
    on = [p["label"] for p in front["points"] if not p["dominated_by"]]
    # The cheap two are not told apart, so both stay; nothing is proved better than the dear two.
    assert on == ["soundstream", "lyra@quantizers=16", "lyra@quantizers=46", "mulaw"]
    (group,) = found["groups"]
    assert [m["label"] for m in group] == ["soundstream", "lyra@quantizers=16"]
    assert group[0]["ranks"]["words"] == [1, 2]


def test_the_profile_orders_and_marks(runs: Path, capsys: Any, tmp_path: Path) -> None:
    def order(*extra: object) -> list[str]:
        return [a["name"] for a in data(capsys, "lyra", "mulaw", "--runs", runs, *extra)["axes"]]

    assert order("--for", "low-bitrate")[:3] == ["efficiency", "words", "voice"]
    assert order("--for", "asr-llm")[:2] == ["words", "content"]
    assert order("--for", "expressive-tts")[:2] == ["emotion", "voice"]
    own = tmp_path / "own.yaml"
    own.write_text("quality: 2\nspeed: 3.5\n")
    assert order("--for", own)[:3] == ["speed", "quality", "words"]
    shown = said(capsys, "lyra", "mulaw", "--runs", runs, "--for", own)
    assert "quality (weight 2) on top: mulaw" in shown
    assert "words (not weighed) on top: lyra@quantizers=46, mulaw" in shown
    assert "score" not in json.dumps(data(capsys, "lyra", "mulaw", "--runs", runs, "--for", own))


def test_only_the_axes_asked_for(runs: Path, capsys: Any) -> None:
    found = data(capsys, "lyra", "mulaw", "--runs", runs, "--axes", "words,quality")
    assert [a["name"] for a in found["axes"]] == ["words", "quality"]
    whole = data(capsys, "lyra", "mulaw", "--runs", runs)
    assert axis(found, "words") == axis(whole, "words")


def test_missing_utterances_are_counted_and_named(tmp_path: Path, capsys: Any) -> None:
    kind = scores(0.1, 3000, 3.0, 1)
    one = write(tmp_path / "a", "one", rows(kind, SPEAKERS))
    two = write(tmp_path / "b", "two", rows(kind, SPEAKERS, skip=[3, 7]))
    wer = axis(data(capsys, one, two), "words")["metrics"]["wer"]
    assert (wer["n"], wer["total"]) == (COUNT - 2, COUNT)
    assert wer["missing"] == {"two": ["u00003", "u00007"]}
    kept = [pair for n, pair in enumerate(kind["wer"]) if n not in (3, 7)]
    expected = 100 * sum(a for a, _ in kept) / sum(b for _, b in kept)
    assert wer["figures"]["one"]["value"] == pytest.approx(expected)
    assert "two lacks 2 (u00003, u00007)" in " ".join(said(capsys, one, two).split())


def test_a_metric_that_one_run_lacks(tmp_path: Path, capsys: Any) -> None:
    kind = scores(0.1, 3000, 3.0, 1)
    one = write(tmp_path / "a", "one", rows(kind, SPEAKERS))
    two = write(tmp_path / "b", "two", rows({"wer": kind["wer"]}, SPEAKERS))
    found = data(capsys, one, two)
    mos = axis(found, "quality")["metrics"]["distillmos"]
    assert mos["lacking"] == ["two"] and mos["differences"] == []
    assert any("without a rate" in note and "two" in note for note in found["notes"])
    said(capsys, one, two)


def test_equal_error_rates_are_compared(tmp_path: Path, capsys: Any) -> None:
    rng = np.random.default_rng(5)
    who = np.repeat(np.arange(12), 20)
    target = np.tile(np.arange(20) < 6, 12)
    other = np.where(target, who, (who + rng.integers(1, 12, len(who))) % 12)
    names = [[f"s{n}" for n in side] for side in (other, who)]
    folders = [
        write(
            tmp_path / name, name, trials(apart * target + rng.normal(0, 0.4, 240), target, *names)
        )
        for name, apart in (("keeps", 3.0), ("loses", 0.0))
    ]
    voice = axis(data(capsys, *folders), "voice")
    assert voice["lead"] == "speaker_eer"
    (difference,) = voice["metrics"]["speaker_eer"]["differences"]
    assert difference["better"] == "keeps" and difference["value"] < -30
    assert voice["metrics"]["speaker_eer"]["reference"] is not None


def test_rows_without_scores_are_stated_and_not_ranked(tmp_path: Path, capsys: Any) -> None:
    row = {"value": 0.61, "ci95": [0.5, 0.7], "n": 9, "unit": "", "higher_is_better": True,
           "reference": None, "difference": None, "difference_ci95": None, "clusters": "speaker",
           "n_clusters": 5, "failures": 0}  # fmt: skip
    found = data(capsys, *pair(tmp_path, tracks={"tokens": {"pnmi": row}}))
    content = axis(found, "content")
    assert content["lead"] is None and content["tests"] == 0
    assert [s["values"] for s in content["stated"] if s["name"] == "pnmi"] == [{"two": 0.61}]


def test_figures_of_result_json_are_never_trusted(tmp_path: Path, capsys: Any) -> None:
    folders = pair(tmp_path)
    before = axis(data(capsys, *folders), "words")
    path = Path(folders[1]) / "result.json"
    content = json.loads(path.read_text())
    content["tracks"] = {"resynthesis": {"wer": {
        "value": 0.0, "ci95": [0, 0], "n": 60, "unit": "%", "higher_is_better": False,
        "reference": None, "difference": None, "difference_ci95": None, "clusters": "speaker",
        "n_clusters": 10, "failures": 0}}}  # fmt: skip
    path.write_text(json.dumps(content))
    assert axis(data(capsys, *folders), "words") == before


def test_old_results_are_compared(tmp_path: Path, capsys: Any) -> None:
    for version in (ROOT / "tests" / "historic_results").iterdir():
        copy = tmp_path / version.name
        shutil.copytree(version, copy)
        (wer,) = axis(data(capsys, version, copy / "result.json"), "words")["metrics"].values()
        assert [d["value"] for d in wer["differences"]] == [0]
        assert len(wer["figures"]) == 2


def test_equal_input_equal_output(runs: Path, capsys: Any, tmp_path: Path) -> None:
    made = []
    for name in ("a.html", "b.html"):
        text = said(capsys, "lyra", "mulaw", "--runs", runs, "--html", tmp_path / name, "--csv")
        made.append((text, (tmp_path / name).read_bytes()))
    assert made[0] == made[1]


# ------------------------------------------------------------------------------------ what it finds
def test_names_variants_and_folders(runs: Path, capsys: Any) -> None:
    def labels(*names: object) -> list[str]:
        return [r["label"] for r in data(capsys, *names, "--runs", runs)["results"]]

    variant = "lyra@quantizers=46"
    assert labels("mulaw", variant) == ["mulaw", variant]
    assert labels(runs / "mini" / "mulaw", runs / "mini" / variant / "result.json") == [
        "mulaw", variant]  # fmt: skip
    assert labels(variant, "lyra", "lyra") == [variant, "lyra@quantizers=16"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("text", "no result of text on mini"),
        ("lyra@quantizers=30", "bench eval lyra --suite mini --set quantizers=30 --out"),
        ("mulow", "did you mean 'mulaw'?"),
        ("no/such/folder", "is no run"),
        ("nowhere/result.json", "is no run"),
        ("x; rm -rf", "unknown tokenizer"),
    ],
)
def test_what_is_not_there(runs: Path, capsys: Any, name: str, told: str) -> None:
    assert told in refused(capsys, "mulaw", name, "--runs", runs)


def test_a_quick_look_is_looked_up_and_told_as_such(runs: Path, capsys: Any) -> None:
    told = refused(capsys, "mulaw", "text", "--runs", runs, "--suite", "mini-limit6")
    assert "bench eval mulaw --suite mini --limit 6" in told


def test_one_result_is_not_compared(runs: Path, capsys: Any) -> None:
    assert "two results or more" in refused(capsys, "mulaw", "mulaw", "--runs", runs)


# ---------------------------------------------------------------------------------- what it refuses
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"suite__digest": "f" * 64}, "the suite is mini 1, digest e008dc2772b5 in one but mini 1, "
                                      "digest ffffffffffff in two"),
        ({"suite__version": "2"}, "the suite is mini 1"),
        ({"seed": 1}, "the seed is 0 in one but 1 in two"),
        ({"environment__judges": {"moonshine": "2"}},
         "the version of judge moonshine is 1 in one but 2 in two"),
        ({"environment__metrics": {"words": "9"}}, "the version of metric words is 1 in one but 9"),
    ],
)  # fmt: skip
def test_results_that_are_not_alike(
    tmp_path: Path, capsys: Any, changes: dict[str, Any], told: str
) -> None:
    message = refused(capsys, *pair(tmp_path, **changes))
    assert told in message and "cannot be compared" in message


def test_everything_unlike_is_told_at_once(tmp_path: Path, capsys: Any) -> None:
    told = refused(capsys, *pair(tmp_path, seed=1, environment__judges={"moonshine": "2"}))
    assert "the seed" in told and "judge moonshine" in told


def test_a_judge_that_only_one_run_had_is_no_difference(tmp_path: Path, capsys: Any) -> None:
    judges = {"moonshine": "1", "utmos": "1"}
    assert data(capsys, *pair(tmp_path, environment__judges=judges))


def test_other_machines_are_noted(tmp_path: Path, capsys: Any) -> None:
    found = data(capsys, *pair(tmp_path, environment__device="cuda"))
    assert any("the device is cpu in one but cuda in two" in note for note in found["notes"])


def records() -> list[dict[str, Any]]:
    return rows(scores(0.1, 3000, 3.0, 1), SPEAKERS)


def spoil(tmp_path: Path, change: Any) -> tuple[str, str]:
    changed = records()
    change(changed)
    one = write(tmp_path / "a", "one", records())
    return str(one), str(write(tmp_path / "b", "two", changed))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r.append(dict(r[0])), "two scores of 'wer'"),
        (lambda r: r[0].update(numerator=float("nan")), "a score of 'wer' is no number"),
        (lambda r: r[0].update(numerator=float("inf")), "a score of 'wer' is no number"),
        (lambda r: r[0].update(denominator=None), "a score of 'wer' is no number"),
        (lambda r: r[0].update(denominator=-1.0), "a score of 'wer' is no number"),
        (lambda r: [x.update(speaker="else") for x in r if x["utterance"] == "u00004"],
         "'u00004' has another speaker"),
        (lambda r: r[0].update(speaker=None), "a row has no speaker"),
        (lambda r: r[0].update(target=True), "not every trial of 'wer'"),
    ],
)  # fmt: skip
def test_damaged_scores(tmp_path: Path, capsys: Any, change: Any, told: str) -> None:
    assert told in refused(capsys, *spoil(tmp_path, change))


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "cannot be read"), (b"PAR1 no PAR1", "cannot be read"), (None, "cannot be read")],
)
def test_a_file_that_is_no_table(
    tmp_path: Path, capsys: Any, content: bytes | None, told: str
) -> None:
    one, two = pair(tmp_path, artifacts={})
    path = Path(two) / "scores.parquet"
    path.unlink() if content is None else path.write_bytes(content)
    assert told in refused(capsys, one, two)


def test_a_table_of_something_else(tmp_path: Path, capsys: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    one, two = pair(tmp_path, artifacts={})
    pq.write_table(pa.table({"utterance": ["a"]}), Path(two) / "scores.parquet")
    assert "is no table of scores (it lacks track" in refused(capsys, one, two)


def test_scores_of_another_run(tmp_path: Path, capsys: Any) -> None:
    one, two = pair(tmp_path)
    write(Path(one), "one", rows(scores(0.2, 3000, 3.0, 2), SPEAKERS))
    shutil.copy(Path(one) / "scores.parquet", Path(two) / "scores.parquet")
    assert "is not the file that its result.json speaks of" in refused(capsys, one, two)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("word: 3\n", "did you mean 'words'?"),
        ("words: -1\n", "must be a number from 0 up"),
        ("words: .nan\n", "must be a number from 0 up"),
        ("words: true\n", "must be a number from 0 up"),
        ("words: 0\n", "no axis has a weight above 0"),
        ("- words\n", "must map axes to weights"),
        ("", "must map axes to weights"),
        ("words: [", "is not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "is not valid YAML"),
    ],
)
def test_wrong_weights(runs: Path, capsys: Any, tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(content)
    assert told in refused(capsys, "lyra", "--runs", runs, "--for", path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--for", "asr"], "did you mean 'asr-llm'?"),
        (["--axes", "word"], "did you mean 'words'?"),
        (["--html", "/proc/nowhere/x.html"], "cannot be written"),
    ],
)
def test_wrong_arguments(runs: Path, capsys: Any, arguments: list[str], told: str) -> None:
    assert told in refused(capsys, "lyra", "--runs", runs, *arguments)


# ------------------------------------------------------------------------------- how it is laid out
def test_the_table_fits_100_columns(runs: Path, tmp_path: Path, capsys: Any) -> None:
    long = "units@" + ",".join(f"option{n}=a-long-value-{n}" for n in range(6))
    folder = write(tmp_path / "long", long, rows(scores(0.1, 900, 3.0, 9), SPEAKERS))
    for extra in ([], ["--all"], ["--for", "expressive-tts"]):
        text = said(capsys, "lyra", "mulaw", "soundstream", folder, "--runs", runs, *extra)
        assert max(map(len, text.splitlines())) <= 100
        assert "lyra@quantizers=46 better than lyra@quantizers=16" in text


def test_csv_has_a_line_for_each_pair_and_metric(runs: Path, capsys: Any) -> None:
    lines = list(
        csv.DictReader(io.StringIO(said(capsys, "lyra", "mulaw", "--runs", runs, "--csv")))
    )
    assert len(lines) == 3 * 4
    wer = [line for line in lines if line["metric"] == "wer"]
    assert {line["lead"] for line in wer} == {"True"}
    for line in wer:
        difference = float(line["value_a"]) - float(line["value_b"])
        assert float(line["difference"]) == pytest.approx(difference)


HOSTILE = [
    "<script>alert(1)</script>\"'onload=x",
    "=cmd|' /C calc'!A0",
    "\\input{/etc/passwd}$x_{1}^2 & 5% ~#",
    "a|b `c` [d](javascript:alert(1)) ![e](http://x/y) **f**",
    "\x1b]0;title\x07\x1b[31mred\u202eevil[bold]x[/bold]",
    "+1@SUM(A1)",
    "{{ 7 * 7 }}{% raw %}",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs with hostile text in every field that is shown, and hostile names of utterances."""
    root = tmp_path_factory.mktemp("hostile")
    folders = []
    for number, name in enumerate(HOSTILE):
        made = rows(scores(0.02 * number, 3000, 3.0, number), SPEAKERS, skip=[number])
        for record in made:
            record["utterance"] = f"{record['utterance']}{HOSTILE[0]}{HOSTILE[2]}{HOSTILE[4]}"
        changes = {"tokenizer__name": name, "tokenizer__weights": name, "suite__name": HOSTILE[0],
                   "suite__version": HOSTILE[2], "environment__packages": {name: name},
                   "environment__device": name}  # fmt: skip
        folders.append(write(root / str(number), name, made, **changes))
    return folders


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def page(path: Path) -> Seen:
    seen = Seen()
    seen.feed(path.read_text(encoding="utf-8"))
    return seen


def test_hostile_names_are_text_in_the_page(
    hostile: list[Path], capsys: Any, tmp_path: Path
) -> None:
    said(capsys, *hostile, "--html", tmp_path / "x.html")
    seen = page(tmp_path / "x.html")
    assert not {"script", "img", "iframe", "bold"} & {*seen.tags}
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    links = [value for name, value in seen.attributes if name in ("href", "src", "action")]
    assert links and all(value and value.startswith("#") for value in links)
    for name in HOSTILE:
        if "\x1b" not in name:
            assert name in seen.text
    assert not {"\x1b", "\x07", "\u202e"} & {*(tmp_path / "x.html").read_text()}


def test_hostile_names_reach_no_terminal_control(hostile: list[Path], capsys: Any) -> None:
    for extra in ([], ["--all"], ["--markdown"], ["--latex"], ["--csv"], ["--json"]):
        text = said(capsys, *hostile, *extra)
        assert not {"\x1b", "\x07", "\u202e"} & {*text}
    assert "[bold]" in said(capsys, *hostile)


def test_hostile_names_are_no_formula(hostile: list[Path], capsys: Any) -> None:
    lines = list(csv.DictReader(io.StringIO(said(capsys, *hostile, "--csv"))))
    texts = [line[name] for line in lines for name in ("a", "b", "better")]
    assert any(text.startswith("'=cmd") for text in texts)
    assert not [text for text in texts if text.lstrip()[:1] in ("=", "+", "-", "@")]


def test_hostile_names_are_text_in_markdown_and_latex(hostile: list[Path], capsys: Any) -> None:
    markdown = said(capsys, *hostile, "--markdown")
    assert not re.search(r"<[a-zA-Z/!]", markdown)
    assert not re.search(r"(?<!\\)[\[\]`]", markdown)
    assert "http://" not in markdown
    columns = {len(re.findall(r"(?<!\\)\|", line))
               for line in markdown.splitlines() if line.startswith("| a |")}  # fmt: skip
    assert columns == {7}
    latex = said(capsys, *hostile, "--latex")
    own = r"textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|ldots|hline"
    own += r"|textquotedbl|textasciigrave|textquotesingle|begin|end|caption|uparrow|downarrow"
    own += r"|bullet|pm"
    assert {*re.findall(r"\\([a-zA-Z]+)", latex)} <= {*own.split("|")}
    assert not re.search(r"(?<!\\)[#^~]", latex)


def test_the_page_is_readable_by_a_machine(runs: Path, capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "made" / "x.html"
    assert "Page: " in said(capsys, "lyra", "mulaw", "soundstream", "--runs", runs, "--html", path)
    seen = page(path)
    text = path.read_text(encoding="utf-8")
    assert ("lang", "en") in seen.attributes and seen.tags.count("h1") == 1
    assert seen.tags.count("main") == 1 and "nav" in seen.tags
    assert seen.tags.count("caption") == seen.tags.count("table") > 5
    assert seen.tags.count("th") == len([n for n, _ in seen.attributes if n == "scope"])
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len({*ids})
    assert {v[1:] for n, v in seen.attributes if n == "href" and v} <= {*ids}
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown", "--latex"])
def test_a_form_is_printed_alone(runs: Path, capsys: Any, form: str) -> None:
    text = said(capsys, "lyra", "mulaw", "--runs", runs, form)
    assert "lyra@quantizers=46" in text
    if form == "--json":
        json.loads(text)
