"""The site: reproducible, escaped, ranked as the data allow, and working in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.leaderboards import actions, verification
from bench.leaderboards.board import Board
from bench.leaderboards.pages import _Pages, _safe, _script, render
from bench.leaderboards.standings import Standings, slug_of, standings
from bench.leaderboards.verify import verify
from tests.conftest import ROOT
from tests.leaderboard_kit import add_entry, board

WER = ("resynthesis", "wer")
PESQ = ("resynthesis", "pesq")


@pytest.fixture(scope="module")
def made() -> Board:
    return board()


@pytest.fixture(scope="module")
def submissions(made: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five entries: a good, a middling and a bad codec, a reference, and a withdrawn one."""
    folder = tmp_path_factory.mktemp("site")
    below = folder / "submissions"
    for name, skill, streams in (("good", 0.95, 4), ("middling", 0.5, 2), ("bad", 0.05, 1)):
        add_entry(below, made, folder / "s", name=name, skill=skill, streams=streams)
    add_entry(below, made, folder / "s", name="control", skill=0.9, family="reference")
    gone = add_entry(below, made, folder / "s", name="gone", skill=0.99, streams=3)
    (gone / "withdrawal.json").write_text('{"schema_version": 1, "reason": "a mistake"}')
    return below


@pytest.fixture(scope="module")
def stood(submissions: Path, made: Board) -> Standings:
    report = verify(submissions, {made.name: made}, deep=False)
    assert report.problems == []
    return standings(report.entries, {}, made)


@pytest.fixture(scope="module")
def files(stood: Standings) -> dict[str, bytes]:
    return render([stood])


def slug(stood: Standings, name: str) -> str:
    return next(x.slug for x in stood.lines if x.variant.startswith(f"{name}@"))


def test_ranks_are_intervals_of_those_that_may_be_ranked(stood: Standings) -> None:
    column = stood.columns[PESQ]
    ranks = {n: column.rank(slug(stood, n)) for n in ("good", "middling", "bad", "control", "gone")}
    assert ranks == {
        "good": (1, 1), "middling": (2, 2), "bad": (3, 3), "control": None, "gone": None
    }  # fmt: skip
    assert (slug(stood, "good"), slug(stood, "bad")) in column.better()
    assert not stood.columns[("tokens", "bitrate")].declared


def test_ranks_are_those_of_the_comparison(stood: Standings) -> None:
    """The pairs' claims count up to the rank intervals, in every column."""
    for column in stood.columns.values():
        won = column.better()
        for at, name in enumerate(column.slugs):
            assert column.low[at] == 1 + sum(worse == name for _, worse in won)
            assert column.high[at] == len(column.slugs) - sum(best == name for best, _ in won)


def test_the_same_entries_give_the_same_bytes(
    files: dict[str, bytes], submissions: Path, made: Board, tmp_path: Path
) -> None:
    again = actions.site_files(
        Path(shutil.copytree(submissions, tmp_path / "submissions")), {made.name: made}
    )
    assert again == files
    actions.write_site(files, tmp_path / "site")
    assert actions.differing(files, tmp_path / "site") == []
    (tmp_path / "site" / "index.html").write_text("changed")
    (tmp_path / "site" / "more.html").write_text("more")
    (tmp_path / "site" / "assets" / "site.js").unlink()
    assert actions.differing(files, tmp_path / "site") == [
        "assets/site.js", "index.html", "more.html"
    ]  # fmt: skip
    actions.write_site(files, tmp_path / "site")
    assert actions.differing(files, tmp_path / "site") == []


def test_a_folder_of_something_else_is_left_alone(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="something else than a site"):
        actions.write_site(files, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "x"


def test_the_committed_site_is_what_the_committed_entries_make() -> None:
    from bench.leaderboards.board import load_boards
    from bench.leaderboards.verify import SUBMISSIONS

    assert actions.differing(actions.site_files(SUBMISSIONS, load_boards()), actions.SITE) == []


class Page(HTMLParser):
    """Tags with their attributes, and the text outside scripts."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_pages_are_closed_and_their_parts_have_names(files: dict[str, bytes]) -> None:
    pages = {n: Page(d) for n, d in files.items() if n.endswith(".html")}
    assert len(pages) > 8
    for name, page in pages.items():
        (policy,) = [m for m in page.all("meta") if m.get("http-equiv")]
        assert "default-src 'none'" in str(policy["content"])
        assert "unsafe" not in str(policy["content"])
        assert all(s.get("src") for s in page.all("script")), name  # none inline
        assert not any(k.startswith("on") or k == "style" for _, a in page.tags for k in a), name
        assert len(page.all("h1")) == 1
        assert len(page.all("main")) == 1
        assert page.all("html")[0]["lang"] == "en"
        assert all(i.get("alt") for i in page.all("img")), name
        assert len(page.all("caption")) == len(page.all("table")), name
        for link in page.all("a") + page.all("link") + page.all("script") + page.all("img"):
            target = str(link.get("href") or link.get("src") or "")
            if not re.match(r"https?://|#", target):
                path = (Path(name).parent / target.partition("#")[0]).as_posix()
                parts: list[str] = []
                for part in path.split("/"):
                    parts = parts[:-1] if part == ".." else [*parts, part]
                assert "/".join(parts).removeprefix("./") in files, (name, target)


def test_what_an_entry_says_is_escaped_and_only_http_is_a_link() -> None:
    """Even if a check were missed: the templates escape, and other addresses become no link."""
    from types import SimpleNamespace as Some

    evil = '"><script>alert(1)</script>'
    line = Some(
        variant=evil, badge="self-reported", unranked=evil, verification=None, slug="x",
        entry=Some(
            place=evil, revision=evil,
            card=Some(
                name=evil, description=evil, licence=evil, training_data=evil, contact=evil,
                explanations={evil: evil},
                links=[Some(url="javascript:alert(1)", label=evil), Some(url=evil, label=evil)],
            ),
            result=Some(
                tokenizer=Some(
                    family=evil, weights=evil, streams=[], sample_rate=1, parameters=1,
                    causal=True, source=evil,
                ),
                failures=[Some(utterance=evil, stage=evil, reason=evil)],
                environment=dict.fromkeys(("bench", "python", "machine", "device"), evil)
                | {"packages": {evil: evil}, "judges": {evil: evil}},
            ),
        ),
    )  # fmt: skip
    facts = {"name": evil, "tracks": [evil], "entries": 1}
    html = _Pages().page("entry.html", "../", line=line, rows=[], board=facts)
    assert b"<script>alert" not in html
    assert b"&lt;script&gt;" in html
    page = Page(html)
    assert not any("javascript" in str(a.get("href")) for a in page.all("a"))
    assert [s.get("src") for s in page.all("script")] == ["../assets/site.js"]


def test_data_inside_a_script_stays_data() -> None:
    data = _script({"a": "</script><script>alert(1)//", "b": "\u2028 <!-- &"})
    assert b"<" not in data
    assert b"\xe2\x80\xa8" not in data
    assert json.loads(data)["a"].startswith("</script>")


def test_a_spreadsheet_runs_no_formula() -> None:
    assert [_safe(x) for x in ("=1+1", "-a", "+a", "@a", "lyra", -1.5)] == [
        "'=1+1", "'-a", "'+a", "'@a", "lyra", -1.5
    ]  # fmt: skip


def test_downloads_hold_every_figure(files: dict[str, bytes], stood: Standings) -> None:
    import pyarrow.parquet as pq

    told = json.loads(files["toy-1/data.json"])
    rows = list(csv.DictReader(io.StringIO(files["toy-1/data.csv"].decode())))
    table = pq.read_table(io.BytesIO(files["toy-1/data.parquet"])).to_pylist()
    assert len(told) == len(rows) == len(table) > 5 * 20
    assert told == table
    good = next(r for r in told if r["variant"] == "good@books=4" and r["metric"] == "pesq")
    row = next(x for x in stood.lines if x.variant == "good@books=4").row(PESQ)
    assert row is not None
    assert (good["value"], good["rank_low"], good["rank_high"]) == (row.value, 1, 1)


def test_plots_tell_their_finding_in_words(files: dict[str, bytes]) -> None:
    page = Page(files["toy-1/resynthesis.html"])
    alts = [str(i["alt"]) for i in page.all("img")]
    assert any("pesq (higher is better) against bit/s: 3 tokenizers." in a for a in alts)
    svg = files["toy-1/plots/pesq-bitrate-light.svg"].decode()
    assert "good@books=4" in svg
    assert "<script" not in svg
    assert "<dc:date>" not in svg


def test_published_figures_have_sources_and_no_ranks(files: dict[str, bytes]) -> None:
    html = files["published.html"].decode()
    for source in ("2409.14085", "2506.10274", "2504.07053"):
        assert source in html
    assert 'class="rank"' not in html
    assert b"Codec-SUPERB" not in files["toy-1/resynthesis.html"]


def test_a_verification_holds_for_the_very_files(
    submissions: Path, made: Board, tmp_path: Path
) -> None:
    below = Path(shutil.copytree(submissions, tmp_path / "submissions"))
    entries = verify(below, {made.name: made}, deep=False).entries
    entry = next(e for e in entries if "good" in e.place)
    signed = verification.Verification(
        digest=entry.digest, by="A maintainer", seed=3, utterances=20, scores=400, device="cpu"
    )
    path = verification.record(below, entry, signed)
    found, problems = verification.read(below, entries)
    assert (list(found), problems) == ([entry.place], [])
    assert standings(entries, found, made).lines[3].badge == "verified"
    path.write_text(path.read_text().replace(entry.digest, "0" * 64))
    found, problems = verification.read(below, entries)
    assert found == {}
    assert "of other files than the entry has now" in problems[0].reason
    with pytest.raises(UserError, match="holds markup"):
        verification.record(below, entry, signed.model_copy(update={"by": "<b>me</b>"}))


def test_slugs_are_safe_and_differ() -> None:
    places = ["b/a@x=1/w", "b/a@x=1/W", "b/a-x-1/w", "b/a@x=1,y=2/w", "b/a@x=1/w+2"]
    slugs = [slug_of(p) for p in places]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[A-Za-z0-9-]+", s) for s in slugs)


def test_the_server_listens_on_this_machine_alone(files: dict[str, bytes], tmp_path: Path) -> None:
    actions.write_site(files, tmp_path / "site")
    server = actions.make_server(tmp_path / "site", 0)
    try:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(UserError, match="cannot be used"):
            actions.make_server(tmp_path / "site", server.server_address[1])
    finally:
        server.server_close()


# --------------------------------------------------------------------------- in a real browser
@pytest.fixture(scope="module")
def address(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    site = tmp_path_factory.mktemp("served") / "site"
    actions.write_site(files, site)
    server = actions.make_server(site, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with sync.sync_playwright() as play:
        made = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A page that fails the test for any console message, error or request to elsewhere."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    made = context.new_page()
    made.set_default_timeout(60_000)
    complaints: list[str] = []
    made.on("console", lambda message: complaints.append(message.text))
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on(
        "request",
        lambda r: None if r.url.startswith(f"{address}/") else complaints.append(r.url),
    )
    yield made
    context.close()
    assert complaints == []


def names(page: Any) -> list[str]:
    found: list[str] = page.locator("tbody tr:visible th a").all_inner_texts()
    return [name.split("@")[0] for name in found]


@pytest.mark.slow
def test_tables_are_sorted_and_filtered_by_keyboard(page: Any, address: str) -> None:
    page.goto(f"{address}/toy-1/resynthesis.html")
    assert names(page) == ["bad", "control", "gone", "good", "middling"]
    head = page.locator('th[data-name="pesq"]')
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"  # the best first
    assert names(page)[0] in ("good", "gone", "control")
    assert names(page)[-1] == "bad"
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page)[0] == "bad"
    page.get_by_label("Badge").select_option("withdrawn")
    assert names(page) == ["gone"]
    page.get_by_label("Badge").select_option("")
    page.get_by_label("Name").fill("MIDD")
    assert names(page) == ["middling"]
    assert page.get_by_role("status").inner_text() == "1 of 5 shown"
    page.reload()  # sorting and filter stand in the address
    assert names(page) == ["middling"]
    page.get_by_label("Name").fill("")
    page.get_by_label("At most").fill("0.21")  # 1 stream of 4 bits at 50 Hz is 0.2 kbit/s
    assert names(page) == ["bad"]
    more = page.locator('th[data-name="f0_rmse"]')
    assert not more.is_visible()
    page.get_by_label("all metrics").check()
    assert more.is_visible()


@pytest.mark.slow
def test_the_compare_view_is_in_its_address(page: Any, address: str, stood: Standings) -> None:
    page.goto(f"{address}/toy-1/compare.html")
    page.get_by_label("Entry 1").select_option(slug(stood, "good"))
    page.get_by_label("Entry 2").select_option(slug(stood, "bad"))
    assert "good@books=4 (w1), bad@books=1 (w1)" in page.locator("caption").inner_text()
    row = page.locator("#comparison tbody tr", has=page.locator("th", has_text="pesq"))
    assert row.locator("td").count() == 3
    assert "better" in row.locator("td").nth(2).inner_text()
    assert "±" in row.locator("td").nth(2).inner_text()
    shared = page.url
    assert slug(stood, "good") in shared
    page.goto("about:blank")
    page.goto(shared.replace(slug(stood, "good"), slug(stood, "middling")))
    assert "middling@books=2" in page.locator("caption").inner_text()
    page.goto(f"{address}/toy-1/compare.html?entries=<script>alert(1)</script>,none")
    assert page.locator("caption").inner_text() == "Nothing is chosen yet."


@pytest.mark.slow
def test_every_control_has_a_name_and_nothing_spills_on_a_phone(
    browser: Any, address: str, stood: Standings
) -> None:
    places = [
        "index.html", "toy-1/resynthesis.html", "toy-1/compare.html", "published.html",
        f"toy-1/{slug(stood, 'good')}.html", "methodology.html",
    ]  # fmt: skip
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    for place in places:
        page.goto(f"{address}/{place}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, place
        for role in ("button", "link", "textbox", "combobox", "checkbox", "region", "table", "img"):
            for control in page.get_by_role(role).all():
                told = control.aria_snapshot().splitlines()[0]
                assert '"' in told, (place, told)
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == "rgb(21, 24, 28)"
    context.close()


@pytest.mark.slow
def test_pages_work_from_disk(browser: Any, files: dict[str, bytes], tmp_path: Path) -> None:
    actions.write_site(files, tmp_path / "site")
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "site" / "toy-1" / "resynthesis.html").as_uri())
    page.locator('th[data-name="pesq"] button').click()
    assert names(page)[-1] == "bad"
    page.close()
    assert errors == []


def test_the_picture_in_the_documents_is_there() -> None:
    assert (ROOT / "docs" / "leaderboard.png").stat().st_size > 10_000


# --------------------------------------------------------------------------------- measured
@pytest.mark.benchmark
def test_two_hundred_entries(benchmark: Any, made: Board, tmp_path: Path) -> None:
    """The site of 200 entries; their scores are those of one, spread by name."""
    below = tmp_path / "submissions"
    first = add_entry(below, made, tmp_path / "s", name="n000")
    for n in range(1, 200):
        name = f"n{n:03d}"
        folder = below / "toy-1" / f"{name}@books=2" / "w1"
        shutil.copytree(first, folder)
        result = (folder / "result.json").read_text()
        (folder / "result.json").write_text(result.replace("n000", name))
    files = benchmark.pedantic(
        actions.site_files, args=(below, {made.name: made}), rounds=1, iterations=1
    )
    assert sum(name.startswith("toy-1/n") for name in files) == 200
