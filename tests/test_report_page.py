"""The page of `bench report`: its text, and itself in headless Chromium, of two real runs."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bench.cli import main
from bench.results import read_result
from bench.show import figure
from tests.test_report import RUN, edit

CLIPS = 4
VOID = {"meta", "link", "br", "input", "img"}
CHROMIUM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)
WAIT = 120_000  # ms; the machine may be busy


class Page(HTMLParser):
    """Elements with their attributes and text; fails where a tag is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.raw: dict[str, str] = {}
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("style", "script"):
            self.raw[self._open[-1]] = self.raw.get(self._open[-1], "") + data
        else:
            self.words += data

    def of(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.fixture(scope="session")
def runs(small_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """µ-law of 8 and of 3 bits on six utterances."""
    out = tmp_path_factory.mktemp("reported")
    for bits in ("8", "3"):
        status = main(
            ["eval", "mulaw", "--set", f"bits={bits}", "--suite", str(small_suite), "--threads",
             "1", "--tracks", "resynthesis,tokens", "--metrics", "wer,stoi,bitrate", "--out",
             str(out), "--json"]
        )  # fmt: skip
        assert status == 0
    return [out / "small" / f"mulaw@bits={bits},rate=16000" / "partial" for bits in ("8", "3")]


def report(runs: list[Path], suite: Path, out: Path) -> str:
    one, two = map(str, runs)
    arguments = [one, "--with", two, "--suite", str(suite), "--clips", str(CLIPS), "-o", str(out)]
    assert main(["report", *arguments]) == 0
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def written(runs: list[Path], small_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "report.html"
    report(runs, small_suite, out)
    return out


@pytest.fixture(scope="session")
def page(written: Path) -> Page:
    return Page(written.read_text(encoding="utf-8"))


# --------------------------------------------------------------------------------------- as text
def test_nothing_in_the_page_comes_from_elsewhere(page: Page) -> None:
    for tag, attributes in page.found:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (
                tag,
                attributes[name][:80],
            )
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    (policy,) = (
        m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.raw[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_ids_are_unique_and_what_points_to_them_finds_them(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.found:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(attributes.get(name, "").split()) <= set(ids)
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_the_page_can_be_read_aloud(page: Page) -> None:
    assert page.of("html")[0]["lang"] == "en"
    assert len(page.of("h1")) == len(page.of("main")) == len(page.of("header")) == 1
    levels = [int(tag[1]) for tag, _ in page.found if tag in ("h1", "h2", "h3", "h4")]
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert len(page.of("table")) == len(page.of("caption")) >= 3
    assert all(t["scope"] in ("row", "col") for t in page.of("th"))
    pictures = page.of("svg")
    assert len(pictures) >= 2 + CLIPS
    for picture in pictures:
        assert picture["role"] == "img"
        assert len(picture["aria-label"]) > 40
        assert any(sign.isdigit() for sign in picture["aria-label"])
    assert len({a["aria-label"] for a in page.of("audio")}) == 3 * CLIPS


def test_every_metric_of_the_run_is_in_the_page(page: Page, runs: list[Path]) -> None:
    result = read_result(runs[0] / "result.json")
    assert {"resynthesis", "tokens"} <= set(result.tracks)
    for rows in result.tracks.values():
        for name, row in rows.items():
            assert name in page.words
            assert figure(row.value, row.unit) in page.words
            assert figure(row.reference, row.unit) in page.words
    sums = [float(d["data-sort"]) for d in page.of("td") if "data-sort" in d]
    assert result.tracks["resynthesis"]["wer"].value in sums


def test_players_hold_what_was_measured(page: Page, small_suite: Path) -> None:
    heard = {}
    for one in page.of("audio"):
        data = base64.b64decode(one["src"].removeprefix("data:audio/flac;base64,"))
        heard[one["aria-label"]], rate = soundfile.read(io.BytesIO(data), dtype="float32")
        assert rate == 16_000
    originals = [label for label in heard if label.endswith(", original")]
    assert len(originals) == CLIPS
    for label in originals:
        name = label.partition(",")[0]
        recorded = soundfile.read(small_suite.parent / f"{name}.flac", dtype="float32")[0]
        np.testing.assert_array_equal(heard[label], recorded)
        fine, coarse = (
            np.abs(heard[f"{name}, mulaw@bits={bits},rate=16000"] - recorded).mean()
            for bits in (8, 3)
        )
        assert 0 < fine < coarse / 4


def test_without_caches_the_ids_give_the_same_page(
    written: Path, runs: list[Path], small_suite: Path, tmp_path: Path
) -> None:
    moved = []
    for n, run in enumerate(runs):
        moved.append(tmp_path / f"moved{n}")
        shutil.copytree(run, moved[-1])
    again = report(moved, small_suite, tmp_path / "again.html")
    assert again == written.read_text(encoding="utf-8")
    made = sorted(p.name for p in (tmp_path / "again").iterdir())
    assert "spectrogram_01.png" in made
    for name in made:
        kept = (written.with_suffix("") / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == kept, name


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> ' \" {{ 7*7 }} $x$ \x01"


def test_text_of_a_result_stays_text(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(RUN, run)
    for key in ("name", "variant", "licence", "source", "training_data", "weights"):
        edit(run, "tokenizer", key, value=HOSTILE)
    edit(run, "suite", "version", value=HOSTILE)
    edit(run, "environment", "device", value=HOSTILE)
    rows = json.loads((run / "result.json").read_text())["tracks"]["resynthesis"]
    edit(run, "tracks", "resynthesis", value={HOSTILE: rows["stoi"] | {"note": HOSTILE}, **rows})
    failure = dict.fromkeys(("track", "utterance", "stage", "reason"), HOSTILE)
    edit(run, "failures", value=[failure])
    assert main(["report", str(run), "--clips", "0"]) == 0
    made = Page((run / "report.html").read_text(encoding="utf-8"))
    assert len(made.of("script")) == len(made.of("style")) == 1
    assert made.of("img") == []
    assert not [a for _, a in made.found for name in a if name.startswith("on")]
    assert made.words.count(HOSTILE) >= 10


# ---------------------------------------------------------------------------------- in a browser
@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="the extra `test` is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
            timeout=WAIT,
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def opened(chromium: Any, written: Path) -> Iterator[Any]:
    """The page on a phone, in dark mode; fails where it says anything or asks for anything."""
    tab = chromium.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    tab.set_default_timeout(WAIT)
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(written.as_uri())
    yield tab
    tab.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [written.as_uri()]


def until(tab: Any, expression: str) -> None:
    """Wait until it holds. Playwright's own way needs `eval`, which the page's policy forbids."""
    for _ in range(WAIT // 50):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(expression)


def test_it_fits_a_phone_and_is_dark(opened: Any, tmp_path: Path) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle("
    paper, ink = opened.evaluate(f"{colours}document.querySelector('.plot text')).fill]")
    levels = [sum(map(int, c.removeprefix("rgb(")[:-1].split(","))) for c in (paper, ink)]
    assert levels[0] < 150 < 600 < levels[1]
    picture = opened.screenshot(path=tmp_path / "phone.png")
    assert len(picture) > 10_000


def test_every_recording_loads_and_one_plays(opened: Any) -> None:
    until(opened, "[...document.querySelectorAll('audio')].every(a => a.duration > 0)")
    assert opened.evaluate("document.querySelectorAll('audio').length") == 3 * CLIPS
    opened.evaluate("document.querySelector('audio').play()")
    until(opened, "document.querySelector('audio').currentTime > 0.05")
    opened.evaluate("document.querySelectorAll('audio')[1].play()")
    until(opened, "document.querySelectorAll('audio')[1].currentTime > 0.05")
    assert opened.evaluate("document.querySelector('audio').paused")
    opened.evaluate("document.querySelectorAll('audio').forEach(a => a.pause())")


def test_a_table_sorts_by_keyboard(opened: Any) -> None:
    head = "table.metrics thead th:nth-child(2)"
    values = (
        "[...document.querySelector('table.metrics').tBodies[0].rows]"
        ".map(r => r.cells[1].dataset.sort).filter(v => v !== undefined).map(Number)"
    )
    opened.focus(f"{head} button")
    opened.keyboard.press("Enter")
    assert opened.get_attribute(head, "aria-sort") == "ascending"
    rising = opened.evaluate(values)
    assert rising == sorted(rising)
    opened.keyboard.press("Space")
    assert opened.get_attribute(head, "aria-sort") == "descending"
    assert opened.evaluate(values) == rising[::-1] != rising


def test_the_blind_comparison_by_keyboard(opened: Any) -> None:
    opened.focus("#abx")
    for answered, key in enumerate("12", 1):
        opened.keyboard.press("x")
        pressed = "document.querySelector('#abx [data-key=x]').getAttribute('aria-pressed')"
        assert opened.evaluate(pressed) == "true"
        opened.keyboard.press("a")
        opened.keyboard.press(key)
        told = opened.inner_text("#abx-told")
        assert told.startswith(("Right: X was ", "Wrong: X was "))
        assert {"original", "mulaw@bits=8,rate=16000"} == {
            told.partition("A was ")[2].partition(", B was ")[0],
            told.partition(", B was ")[2].rstrip("."),
        }
        assert f"of {answered} right" in opened.inner_text("#abx-count")
        opened.keyboard.press(key)  # a second answer does not count
        assert f"of {answered} right" in opened.inner_text("#abx-count")
        opened.keyboard.press("n")
        assert opened.inner_text("#abx-told") == "Ready: play A, B and X."
    opened.keyboard.press("Escape")
    assert opened.evaluate("localStorage.length + sessionStorage.length") == 0
    assert opened.evaluate("document.cookie") == ""


def test_what_can_be_operated_has_a_name(opened: Any) -> None:
    snapshot = opened.locator("main").aria_snapshot()
    for line in snapshot.splitlines():
        kind = line.strip().removeprefix("- ").partition(" ")[0].rstrip(":")
        if kind in ("button", "combobox", "link", "img", "table", "region", "group"):
            assert '"' in line or kind == "group", line
    for name in ("Play A", "X is B", "Utterance", "wer against bitrate"):
        assert name in snapshot
