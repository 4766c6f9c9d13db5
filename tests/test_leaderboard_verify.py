"""An honest entry is accepted; each of many tamperings is refused, for the reason it deserves."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.leaderboards.board import BOARDS, Board, load_boards
from bench.leaderboards.entry import HASHES, RESULT, SCORES, read_entry
from bench.leaderboards.names import skeleton, wrong_name, wrong_text
from bench.leaderboards.strict import Problem
from bench.leaderboards.verify import check_entry, verify
from bench.scores import SCHEMA
from tests.leaderboard_kit import add_entry, board

PLACE = "toy-1/toy@books=2/w1"
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def made() -> Board:
    return board()


@pytest.fixture(scope="module")
def honest(made: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Submissions with one honest entry; tests copy it."""
    folder = tmp_path_factory.mktemp("honest")
    add_entry(folder / "submissions", made, folder / "scratch")
    return folder / "submissions"


@pytest.fixture
def submissions(honest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(honest, tmp_path / "submissions"))


def problems(submissions: Path, made: Board, base: Path | None = None) -> list[Problem]:
    return verify(submissions, {made.name: made}, base=str(base) if base else None).problems


def edit(file: str, change: Callable[[Any], Any]) -> Change:
    """Change a JSON file's value in place."""

    def apply(folder: Path) -> None:
        value = json.loads((folder / file).read_text())
        change(value)
        (folder / file).write_text(json.dumps(value))

    return apply


def scores(change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Change:
    """Change `scores.parquet` in place."""

    def apply(folder: Path) -> None:
        table = pq.read_table(folder / SCORES).to_pandas()
        changed = change(table)
        table = table if changed is None else changed
        pq.write_table(pa.Table.from_pandas(table, SCHEMA, preserve_index=False), folder / SCORES)

    return apply


def hashes(change: Callable[[list[dict[str, Any]]], Any]) -> Change:
    """Change the rows of `token_hashes.parquet` in place."""

    def apply(folder: Path) -> None:
        table = pq.read_table(folder / HASHES)
        rows = table.to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / HASHES)

    return apply


def row(name: str, **changes: Any) -> Change:
    return edit(RESULT, lambda r: r["tracks"]["resynthesis"][name].update(changes))


def first(table: pd.DataFrame, metric: str) -> int:
    return int(table.index[table["metric"] == metric][0])


def put(metric: str, /, **values: Any) -> Change:
    """Set fields of the first score of a metric."""

    def change(table: pd.DataFrame) -> None:
        for name, value in values.items():
            table.loc[first(table, metric), name] = value

    return scores(change)


def drop_hardest(table: pd.DataFrame) -> pd.DataFrame:
    part = table[table["metric"] == "wer"]
    return table.drop(index=part["numerator"].idxmax())


def double_easiest(table: pd.DataFrame) -> pd.DataFrame:
    part = table[table["metric"] == "wer"]
    return pd.concat([table, part.loc[[part["numerator"].idxmin()]]])


def even(metric: str) -> Change:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["metric"] == metric, "numerator"] = table["denominator"]

    return scores(change)


def raw(file: str, content: bytes) -> Change:
    return lambda folder: (folder / file).write_bytes(content) and None


def replace_text(file: str, old: str, new: str) -> Change:
    def apply(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return apply


def huge(folder: Path) -> None:
    with (folder / SCORES).open("wb") as file:
        file.truncate(2 << 30)  # sparse: takes no room


def link(folder: Path) -> None:
    (folder / "card.json").unlink()
    (folder / "card.json").symlink_to("/etc/passwd")


def linked_folder(folder: Path) -> None:
    shutil.move(folder, folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere", target_is_directory=True)


def pipe(folder: Path) -> None:
    (folder / "card.json").unlink()
    os.mkfifo(folder / "card.json")


class Harmful:
    """What a pickle may do when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("harm"),))


def swap_tokens(rows: list[dict[str, Any]]) -> None:
    short = min(rows, key=lambda r: r["seconds"])
    long = max(rows, key=lambda r: r["seconds"])
    for name in ("sha256", "counts"):
        short[name], long[name] = long[name], short[name]


def halve(rows: list[dict[str, Any]]) -> None:
    for r in rows:
        r["counts"] = [c // 2 for c in r["counts"]]


def columns(folder: Path) -> None:
    table = pq.read_table(folder / SCORES)
    pq.write_table(table.append_column("more", pa.nulls(len(table), pa.int64())), folder / SCORES)


def bomb(folder: Path) -> None:
    """A small file that unpacks to one long text."""
    table = pq.read_table(folder / SCORES).slice(0, 1).to_pylist()
    table[0]["utterance"] = "a" * 5_000_000
    pq.write_table(pa.Table.from_pylist(table, SCHEMA), folder / SCORES, compression="zstd")


DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000
TAMPERINGS: dict[str, tuple[Change, str]] = {
    "an edited average": (row("wer", value=0.1), r"wer\.value is 0\.1; the scores make"),
    "an edited interval": (row("stoi", ci95=[0.0, 0.99]), r"stoi\.ci95 is \[0, 0\.99\]; the"),
    "an edited original": (row("wer", reference=50.0), r"wer\.reference is 50; the scores make"),
    "a wrong n": (row("wer", n=84), r"wer\.n is 84; the scores make 24"),
    "hidden failures": (row("wer", failures=3), r"wer\.failures is 3; the scores make 0"),
    "another unit": (row("wer", unit="MOS"), "wer is in 'MOS', not in '%'"),
    "another direction": (row("wer", higher_is_better=True), "higher_is_better is wrong: lower"),
    "an average out of range": (row("stoi", value=1.7), r"stoi\.value is 1\.7, outside"),
    "a metric left out": (
        edit(RESULT, lambda r: r["tracks"]["resynthesis"].pop("wer")),
        r"resynthesis\.wer is missing or empty",
    ),
    "a metric nobody knows": (
        edit(RESULT, lambda r: r["tracks"]["resynthesis"].update(
            magic=r["tracks"]["resynthesis"]["wer"])),
        "'magic' is no row of this board",
    ),
    "a dropped hard utterance": (scores(drop_hardest), "wer: utterances are missing and"),
    "a duplicated easy one": (scores(double_easiest), "wer: utterances are scored twice: toy/"),
    "a changed score": (put("stoi", numerator=0.999), r"stoi\.value is .*; the scores make"),
    "a score out of range": (put("stoi", numerator=7.0), r"stoi: toy/\S+ has 7, outside -1 to"),
    "NaN among the scores": (put("wer", numerator=float("nan")), "wer: a sum is missing, NaN or"),
    "infinity among the scores": (put("wer", numerator=float("inf")), "NaN or infinite"),
    "a negative denominator": (put("wer", denominator=-1.0), "wer: a denominator is negative"),
    "a stranger's utterance": (put("wer", utterance="toy/none"), "are not of the suite: toy/none"),
    "another speaker": (put("wer", speaker="s99"), "speaker of toy/s00-000 is not the suite's"),
    "a trial of other voices": (put("speaker_eer", target=True, enrolment="toy/s05-000"),
                                "speaker_eer: "),
    "a metric scored that nobody knows": (put("wer", metric="magic"), "no row of this board"),
    "another suite version": (
        edit(RESULT, lambda r: r["suite"].update(version="2")),
        "of suite toy 2, but lies in the folder toy-1",
    ),
    "another suite's digest": (
        edit(RESULT, lambda r: r["suite"].update(digest="e" * 64)), "other utterances were measured"
    ),
    "fewer utterances": (
        edit(RESULT, lambda r: r["suite"].update(utterances=20)),
        r"suite\.utterances is 20; the suite has 24",
    ),
    "another judge": (
        edit(RESULT, lambda r: r["environment"]["judges"].update(moonshine="tiny-9")),
        "judge moonshine has version 'tiny-9'; the board takes moonshine-voice",
    ),
    "a judge not named": (
        edit(RESULT, lambda r: r["environment"]["judges"].pop("moonshine")), "lacks moonshine"
    ),
    "another metric version": (
        edit(RESULT, lambda r: r["environment"]["metrics"].update(words="7")),
        "metric words has version '7'; the board takes 1",
    ),
    "another seed": (edit(RESULT, lambda r: r.update(seed=5)), "seed is 5; the board's seed is 0"),
    "swapped tokens": (hashes(swap_tokens), r"ids in stream 'q0', whose rate of 50 Hz makes"),
    "fewer tokens": (hashes(halve), r"whose rate of 50 Hz makes"),
    "an impossible bitrate": (
        edit(RESULT, lambda r: [s.update(vocabulary=2) for s in r["tokenizer"]["streams"]]),
        r"bitrate of \S+ is .*; its token counts make",
    ),
    "an invented rate": (
        edit(RESULT, lambda r: r["tokenizer"]["streams"][0].update(measured_rate=1.0)),
        r"measured_rate is 1 Hz; its token counts make 50",
    ),
    "an edited bitrate": (
        edit(RESULT, lambda r: r["tracks"]["tokens"]["bitrate"].update(value=1.0)),
        r"bitrate\.ci95|bitrate\.value is 1; the scores make",
    ),
    "hashes of too few": (hashes(lambda rows: rows.pop()), "utterances are missing and no failure"),
    "a hash twice": (hashes(lambda rows: rows.append(rows[0])), "utterances stand twice"),
    "a hash that is none": (hashes(lambda rows: rows[0].update(sha256="x")), "its sha256 is none"),
    "one hash for all": (
        hashes(lambda rows: [r.update(sha256="a" * 64) for r in rows]),
        "24 of 24 utterances have one and the same ids",
    ),
    "a length that is not the suite's": (
        hashes(lambda rows: rows[0].update(seconds=9.0)), r"it has 9\.000 s; the suite's has"
    ),
    "an invented failure": (
        edit(RESULT, lambda r: r["failures"].append(
            {"track": "all", "utterance": "none", "stage": "encode", "reason": "x"})),
        "failures name utterances that the suite lacks: none",
    ),
    "NaN in the JSON": (replace_text(RESULT, '"seed": 0', '"seed": NaN'), "it holds NaN"),
    "Infinity in the JSON": (replace_text(RESULT, '"seed": 0', '"seed": -Infinity'), "-Infinity"),
    "a number beyond a double": (replace_text(RESULT, '"seed": 0', '"seed": 1e999'), "too large"),
    "a number of many digits": (
        replace_text(RESULT, '"seed": 0', '"seed": ' + "9" * 6000), "more than 20 digits"
    ),
    "a key twice": (
        replace_text(RESULT, '"seed": 0', '"seed": 0, "seed": 1'), "'seed' stands twice"
    ),
    "deep JSON": (raw("card.json", DEEP), "nested deeper than 12 levels"),
    "text that is no UTF-8": (raw("card.json", b'{"name": "\xff"}'), "not UTF-8"),
    "no JSON": (raw("card.json", b"hello"), "not JSON"),
    "a key too many": (
        edit(RESULT, lambda r: r.update(average=99)), "average: Extra inputs are not permitted"
    ),
    "a file of 2 GB": (huge, "2 147 483 648 bytes; at most"),
    "a pickle as scores": (raw(SCORES, pickle.dumps(Harmful())), "not a Parquet file"),
    "a pickle besides": (
        lambda f: (f / "model.pkl").write_bytes(pickle.dumps(Harmful())) and None,
        r"model\.pkl: an entry holds result\.json",
    ),
    "code besides": (
        lambda f: (f / "conftest.py").write_text("raise SystemExit") and None, r"conftest\.py: an"
    ),
    "a file that is missing": (lambda f: (f / HASHES).unlink(), "it is missing"),
    "a column too many": (columns, "its columns are not track, metric"),
    "a text that unpacks": (bomb, "more than 300 characters"),
    "a cut file": (
        lambda f: (f / SCORES).write_bytes((f / SCORES).read_bytes()[:-200]) and None,
        "not a Parquet file",
    ),
    "a symbolic link": (link, "it is a symbolic link"),
    "a linked folder": (linked_folder, "it is a symbolic link"),
    "a pipe": (pipe, "it is no plain file"),
    "a javascript: link": (
        edit("card.json", lambda c: c["links"][0].update(url="javascript:alert(1)")),
        "holds an address that runs code",
    ),
    "a data: link": (
        edit("card.json", lambda c: c["links"][0].update(url="data:text/html,x")), "runs code"
    ),
    "a link with a space": (
        edit("card.json", lambda c: c["links"][0].update(url='https://a.org/" onclick="x')),
        r"links\[0\]\.url is no plain http",
    ),
    "a contact that is none": (
        edit("card.json", lambda c: c.update(contact="call me")), "contact is neither"
    ),
    "a name of look-alikes": (
        edit("card.json", lambda c: c.update(name="L\u0443r\u0430")), "mixes the scripts"
    ),
    "a name with invisible signs": (
        edit("card.json", lambda c: c.update(name="ly\u200bra")), r"undefined sign U\+200B"
    ),
    "a name of wide letters": (
        edit("card.json", lambda c: c.update(name="\uff2cyra")), "only look like plain letters"
    ),
    "a built-in tokenizer's name": (
        edit("card.json", lambda c: c.update(name="LYRA")), "easily taken for 'lyra' that is built"
    ),
    "a name all in another script": (
        edit("card.json", lambda c: c.update(name="\u0442\u0435\u0445\u0442")),
        "easily taken for 'text' that is built in",
    ),
    "a metric that is the same for all": (even("distillmos"), "distillmos: it is 1 for each of 24"),
}  # fmt: skip


def test_an_honest_entry_is_accepted(submissions: Path, made: Board) -> None:
    assert problems(submissions, made) == []


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampering_is_refused(name: str, submissions: Path, made: Board, tmp_path: Path) -> None:
    change, reason = TAMPERINGS[name]
    change(submissions / PLACE)
    found = problems(submissions, made)
    assert found
    told = "\n".join(map(str, found))
    assert re.search(reason, told), told
    assert all(p.file and p.reason and "\n" not in p.reason for p in found)
    assert not Path("harm").exists()


def text_places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, str):
        return [path]
    if not isinstance(value, dict | list):
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [place for key, item in items for place in text_places(item, (*path, key))]


@pytest.mark.parametrize("attack", ["<script>alert(1)</script>", "a <img src=x onerror=alert(1)>"])
@pytest.mark.parametrize("file", [RESULT, "card.json"])
def test_markup_is_refused_in_every_text(
    file: str, attack: str, submissions: Path, made: Board
) -> None:
    path = submissions / PLACE / file
    value = json.loads(path.read_text())
    places = text_places(value)
    assert len(places) > 5
    for place in places:
        changed = json.loads(path.read_text())
        inner = changed
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = attack
        folder = submissions.parent / "one"
        shutil.copytree(submissions / PLACE, folder, dirs_exist_ok=True)
        (folder / file).write_text(json.dumps(changed))
        entry, refused = read_entry(folder, PLACE)
        found = refused or check_entry(entry, {})  # type: ignore[arg-type]
        assert any(file in str(p) for p in found), place


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("toy-1/..\u2215..\u2215x/w1", "not of the form"),
        ("toy-1/toy@books=../w1", "not of the form"),
        ("toy-1/t\u043ey@books=2/w1", "not of the form"),
        ("toy-1/toy@books=2/w 1", "not made of plain letters"),
        ("toy-1/toy@books=2/.w1", "not made of plain letters"),
        ("toy-1/toy@books=3/w1", "but lies in the folder toy@books=3"),
        ("toy-1/toy@books=2/w2", "its weights are 'w1', but it lies in the folder w2"),
        ("none-1/toy@books=2/w1", "there is no such board; boards are toy-1"),
        ("toy-1/toy@books=2", "files lie in"),
    ],
)
def test_an_entry_elsewhere_is_refused(
    place: str, reason: str, submissions: Path, made: Board
) -> None:
    target = submissions / place
    shutil.move(submissions / PLACE, submissions.parent / "moved")
    shutil.rmtree(submissions / "toy-1")
    target.parent.mkdir(parents=True)
    shutil.move(submissions.parent / "moved", target)
    assert any(reason in str(p) for p in problems(submissions, made))


def test_a_file_beside_the_entries_is_refused(submissions: Path, made: Board) -> None:
    (submissions / "run.sh").write_text("true")
    (submissions / "toy-1" / "setup.py").write_text("")
    assert {p.file for p in problems(submissions, made)} == {"run.sh", "toy-1/setup.py"}


# ------------------------------------------------------------------------------- plausibility
def rewrite(folder: Path, made: Board, change: Callable[[pd.DataFrame], None]) -> None:
    """Change scores and compute the result's figures from them again, as a clever liar would."""
    from bench.results import Result, dump
    from bench.scores import Spec, aggregate

    scores(lambda table: change(table))(folder)
    result = Result.model_validate_json((folder / RESULT).read_bytes())
    table = pq.read_table(folder / SCORES).to_pandas()
    specs = [
        Spec(track, made.rows[track, name].row, row.n + row.failures, row.note)
        for track, rows in result.tracks.items()
        for name, row in rows.items()
    ]
    result.tracks = aggregate(table, specs, 0)
    (folder / RESULT).write_text(dump(result))


def test_better_than_the_original_is_refused_unless_explained(
    submissions: Path, made: Board
) -> None:
    def change(table: pd.DataFrame) -> None:
        at = table["metric"] == "distillmos"
        better = table["reference_numerator"] + 0.5 + 0.01 * (table.index % 5)
        table["numerator"] = table["numerator"].mask(at, better)

    rewrite(submissions / PLACE, made, change)
    (found,) = problems(submissions, made)
    assert "distillmos: the resynthesis beats the original by 0.5" in found.reason
    card = {"distillmos": "it removes noise"}
    edit("card.json", lambda c: c.update(explanations=card))(submissions / PLACE)
    assert problems(submissions, made) == []


def test_all_words_and_no_voice_is_refused(submissions: Path, made: Board) -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["metric"] == "wer", ["numerator", "reference_numerator"]] = 0.0
        at = table["metric"] == "speaker_similarity"
        table["numerator"] = table["numerator"].mask(at, 0.001 * (table.index % 7))

    rewrite(submissions / PLACE, made, change)
    assert "no word is wrong, and no voice is kept" in str(problems(submissions, made)[0])


def test_another_tokenizer_s_ids_are_refused(
    submissions: Path, made: Board, tmp_path: Path
) -> None:
    other = add_entry(submissions, made, tmp_path / "s", name="other")
    shutil.copyfile(submissions / PLACE / HASHES, other / HASHES)
    (found,) = problems(submissions, made)
    assert found.file == f"{PLACE}/{HASHES}"  # the later one by name, without a base
    assert "24 of 24 utterances have the very ids of toy-1/other@books=2/w1" in found.reason


def test_other_originals_than_everybody_s_are_refused(
    submissions: Path, made: Board, tmp_path: Path
) -> None:
    other = add_entry(submissions, made, tmp_path / "s", name="other")

    def change(table: pd.DataFrame) -> None:
        at = table["metric"] == "dnsmos_sig"
        table.loc[at, "reference_numerator"] *= 0.9

    rewrite(other, made, change)
    base = tmp_path / "base"
    shutil.copytree(submissions, base)
    shutil.rmtree(base / "toy-1" / "other@books=2")
    found = [p for p in problems(submissions, made, base) if "originals" in p.reason]
    assert [p.file for p in found] == ["toy-1/other@books=2/w1/scores.parquet"]
    assert "dnsmos_sig: 24 originals have other scores" in found[0].reason


def test_a_name_easily_taken_for_another_s_is_refused(
    submissions: Path, made: Board, tmp_path: Path
) -> None:
    add_entry(submissions, made, tmp_path / "s", name="T0Y")
    told = [str(p) for p in problems(submissions, made)]
    assert any("easily taken for 'T0Y'" in t or "easily taken for 'toy'" in t for t in told)


# -------------------------------------------------------------------------------- append-only
def test_what_is_new_may_be_added(
    submissions: Path, honest: Path, made: Board, tmp_path: Path
) -> None:
    add_entry(submissions, made, tmp_path / "s", name="other")
    report = verify(submissions, {made.name: made}, base=str(honest))
    assert (report.problems, report.unchanged, len(report.entries)) == ([], 1, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: shutil.rmtree(f), "it was removed; entries stay"),
        (edit("card.json", lambda c: c.update(licence="MIT")), "it was changed; entries stay"),
        (row("wer", value=0.1), "it was changed; entries stay"),
        (lambda f: (f / "notes.txt").write_text("x"), "was added to an entry that was there"),
    ],
    ids=["removed", "card changed", "result changed", "file added"],
)
def test_what_was_there_stays(
    change: Change, reason: str, submissions: Path, honest: Path, made: Board
) -> None:
    change(submissions / PLACE)
    assert any(reason in str(p) for p in problems(submissions, made, honest))


def test_a_withdrawal_may_come_and_not_go(
    submissions: Path, honest: Path, made: Board, tmp_path: Path
) -> None:
    said = json.dumps({"schema_version": 1, "reason": "trained on the test set"})
    (submissions / PLACE / "withdrawal.json").write_text(said)
    assert problems(submissions, made, honest) == []
    withdrawn = tmp_path / "withdrawn"
    shutil.copytree(submissions, withdrawn)
    (submissions / PLACE / "withdrawal.json").unlink()
    (found,) = problems(submissions, made, withdrawn)
    assert found.reason == "a withdrawal cannot be taken back"


def test_the_base_may_be_a_commit(submissions: Path, made: Board) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        where = ["git", "-C", str(submissions.parent), *identity]
        subprocess.run([*where, *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", "submissions")
    git("commit", "-q", "-m", "first")
    report = verify(submissions, {made.name: made}, base="HEAD")
    assert (report.problems, report.unchanged) == ([], 1)
    edit("card.json", lambda c: c.update(licence="MIT"))(submissions / PLACE)
    report = verify(submissions, {made.name: made}, base="HEAD")
    assert [p.file for p in report.problems] == [f"{PLACE}/card.json"]


# -------------------------------------------------------------------------------- small parts
def test_the_project_s_board_is_the_bundled_suite_s() -> None:
    import yaml

    from tests.conftest import ROOT

    suite = yaml.safe_load((ROOT / "bench" / "suites" / "mini" / "suite.yaml").read_text())
    (made,) = load_boards(BOARDS).values()
    assert made.name == f"{suite['name']}-{suite['version']}"
    assert made.policy.digest == suite["digest"]
    required = [known.row.name for known in made.rows.values() if made.required(known)]
    assert {"wer", "speaker_similarity", "distillmos", "pesq", "bitrate"} <= set(required)
    assert "utmos" not in required


@pytest.mark.parametrize(
    ("one", "other"),
    [("lyra", "LYRA"), ("lyra", "1yra"), ("mimi", "m1mi"), ("mulaw", "mu-law"), ("dac", "dас"),
     ("soundstream", "s0undstream"), ("speechtokenizer", "speechtokenizęr")],
)  # fmt: skip
def test_look_alikes_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


def test_names_that_differ_have_skeletons_that_differ() -> None:
    names = ["lyra", "mulaw", "text", "units", "mimi", "snac", "dac", "xcodec", "encodec"]
    assert len({skeleton(n) for n in names}) == len(names)


@pytest.mark.parametrize(
    "name", ["Lyra v2", "HuBERT units (k = 500)", "Кодек", "音声コーデック"[:2]]
)
def test_plain_names_of_any_script_are_accepted(name: str) -> None:
    assert wrong_name(name) is None


@pytest.mark.parametrize("text", ["n < 5 and 3 > 2", "data: LibriSpeech", "A & B", "µ-law, 10 °C"])
def test_plain_texts_are_accepted(text: str) -> None:
    assert wrong_text(text) is None
