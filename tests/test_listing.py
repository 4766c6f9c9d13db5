"""`bench list`: the table of tokenizers, and that cards tell what the tokenizers do."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.cards import Card, card
from bench.contracts import TokenizerInfo
from bench.listing import show_list
from bench.registry import Plugin
from tests.conftest import lyra_weights

GOOD = {
    "family": "codec",
    "sample_rate": 16_000,
    "frame_rate": 50.0,
    "streams": ((2, 1024),),
    "kbps": 1.0,
    "licence": "MIT",
    "weights": (),
}


def plugin_of(folder: Path, source: str) -> Plugin:
    path = folder / "made.py"
    path.write_text(source)
    return Plugin("tokenizers", "made", "built-in", path=path)


def card_of(folder: Path, **changed: Any) -> Card | None:
    return card(plugin_of(folder, f"import no_such_package\nCARD = { ({**GOOD, **changed})!r}\n"))


def table(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """First word → line of `bench list tokenizers`."""
    assert show_list("tokenizers", as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tokenizers"
    return {line.split()[0]: line for line in lines[1:]}


# ------------------------------------------------------------------------------- what is printed
def test_the_table_has_a_row_for_each_tokenizer(capsys):
    lines = table(capsys)
    assert lines["name"].split() == [
        *("name", "family", "kHz", "Hz", "streams", "kbit/s", "licence", "weights", "summary")
    ]
    assert lines["mulaw"].split()[1:9] == [
        *("reference", "16", "16000", "1×256", "128", "none", "at", "hand")
    ]
    assert lines["lyra"].split()[1:6] == ["codec", "16", "50", "46×16", "9.2"]
    assert set(lines) == {"name", *registry.plugins("tokenizers")}
    starts = {line.index("reference") for line in lines.values() if "reference" in line}
    assert starts == {lines["name"].index("family")}  # columns stand below their heads


def test_a_plugin_without_a_card_shows_dashes(plugins, capsys):
    assert table(capsys)["identity"].split() == ["identity", *"–" * 7, "from", "bench-testkit"]


def test_json_has_every_field(capsys):
    assert show_list("tokenizers", as_json=True) == 0
    told = json.loads(capsys.readouterr().out)["tokenizers"]
    assert told["lyra"]["streams"] == [[46, 16]]
    assert told["lyra"]["needs"][0] == "package:ai-edge-litert"
    assert told["mulaw"] | {"summary": ""} == {
        "summary": "",
        "origin": "built-in",
        "family": "reference",
        "sample_rate": 16_000,
        "frame_rate": [16_000.0],
        "streams": [[1, 256]],
        "kbps": 128.0,
        "licence": "none",
        "needs": [],
        "weights": "at hand",
    }


def test_listing_imports_nothing_heavy():
    """What keeps `bench list` under half a second."""
    code = (
        "import sys, bench.cli\n"
        "assert bench.cli.main(['list', 'tokenizers']) == 0\n"
        "heavy = {'torch', 'numpy', 'transformers', 'rich', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------------- what is at hand
def test_a_card_is_read_without_importing_its_file(tmp_path):
    found = card_of(tmp_path)
    assert found is not None
    assert (found.streams, found.frame_rate, found.lack()) == (((2, 1024),), (50.0,), "at hand")
    assert card(plugin_of(tmp_path, "import no_such_package\n")) is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"more": 1}, "exactly the keys"),
        ({"streams": ((1, 2), (1, 4)), "frame_rate": (1.0,)}, "another number of frame rates"),
        ({"weights": ("https://x",)}, "package:, file:, hub: or shipped:"),
        ({"streams": 8}, "CARD is wrong"),
    ],
)
def test_a_wrong_card_is_told_in_its_row(tmp_path, monkeypatch, capsys, changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        card_of(tmp_path, **changed)
    made = plugin_of(tmp_path, f'"""Mine."""\nCARD = { ({**GOOD, **changed})!r}\n')
    monkeypatch.setattr(registry, "plugins", lambda kind: {"made": made})
    line = table(capsys)["made"]
    assert "Mine. [ValueError: CARD" in line


def test_a_card_that_calls_something_is_not_run(tmp_path):
    made = plugin_of(tmp_path, "CARD = __import__('os').getcwd()\n")
    with pytest.raises(ValueError, match="malformed"):
        card(made)


def test_what_is_lacking(tmp_path, monkeypatch):
    weights, hub = tmp_path / "weights", tmp_path / "hf"
    monkeypatch.setenv("BENCH_WEIGHTS_DIR", str(weights))
    monkeypatch.setenv("HF_HOME", str(hub))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)

    def lack(*stated: str) -> str:
        found = card_of(tmp_path, weights=stated)
        assert found is not None
        return found.lack()

    assert lack("package:numpy") == "at hand"
    assert lack("package:no-such-thing", "file:x") == "needs package no-such-thing"
    assert lack("file:a/x.bin") == lack("shipped:x.bin") == lack("hub:me/model") == "to fetch"
    (weights / "a").mkdir(parents=True)
    (weights / "a" / "x.bin").write_text("x")
    assert lack("package:numpy", "file:a/x.bin") == "at hand"
    assert lack("file:a/x.bin", "file:a/y.bin") == "to fetch"
    (tmp_path / "x.bin").write_text("x")
    assert lack("shipped:x.bin") == "at hand"
    snapshot = hub / "hub" / "models--me--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    assert lack("hub:me/model") == "to fetch"  # an empty folder is what a broken download leaves
    (snapshot / "config.json").write_text("{}")
    assert lack("hub:me/model") == "at hand"
    (weights / "other").mkdir()
    assert lack("hub:me/other") == "at hand"


# ------------------------------------------------------------------------------ cards against info
def agree(told: Card, info: TokenizerInfo) -> None:
    """The card says of the default variant what the loaded tokenizer says."""
    rates = [
        rate
        for rate, (count, _) in zip(told.frame_rate, told.streams, strict=True)
        for _ in range(count)
    ]
    vocabularies = [vocabulary for count, vocabulary in told.streams for _ in range(count)]
    assert (told.family, told.sample_rate, told.licence) == (
        info.family,
        info.sample_rate,
        info.licence,
    )
    assert vocabularies == [stream.vocabulary for stream in info.streams]
    assert rates == [s.rate if s.rate is None else pytest.approx(s.rate) for s in info.streams]


@pytest.mark.parametrize("name", ["mulaw", "text", "lyra"])
def test_a_card_agrees_with_the_loaded_tokenizer(name, data_dir):
    plugin = registry.plugin("tokenizers", name)
    told = card(plugin)
    assert told is not None
    options = {}
    if name == "lyra":
        weights = lyra_weights(data_dir)
        options["weights"] = str(weights)
    if told.lack().startswith("needs package"):
        pytest.skip(f"{name} {told.lack()}")
    agree(told, plugin.module.load(device="cpu", **options).info)


@pytest.mark.parametrize(
    ("name", "architecture", "configuration"),
    [
        ("encodec", "Encodec", {}),
        ("dac", "Dac", {"n_codebooks": 12, "downsampling_ratios": [2, 4, 5, 8]}),
        ("mimi", "Mimi", {}),
        ("xcodec", "Xcodec", {}),
    ],
)
def test_a_card_agrees_with_the_architecture(name, architecture, configuration, monkeypatch):
    """The model of the published configuration, without memory for its weights."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    import torch

    from bench.compat import ensure_torchaudio

    ensure_torchaudio()
    config = getattr(transformers, f"{architecture}Config")(**configuration)
    with torch.device("meta"):
        model = getattr(transformers, f"{architecture}Model")(config)

    class Found:
        name = folder = file = "none"

        def revision(self) -> str:
            return "none"

    plugin = registry.plugin("tokenizers", name)
    monkeypatch.setattr(plugin.module, "find", lambda *_: Found())
    monkeypatch.setattr(plugin.module, "pretrained", lambda *_: model)
    told = card(plugin)
    assert told is not None
    agree(told, plugin.module.load(device="cpu").info)


def with_a_bitrate() -> list[str]:
    """Tokenizers whose card states one; where the rate varies there is none."""
    cards = {name: card(found) for name, found in registry.plugins("tokenizers").items()}
    return sorted(name for name, told in cards.items() if told and told.kbps is not None)


@pytest.mark.parametrize("name", with_a_bitrate())
def test_a_card_s_bitrate_follows_from_its_streams(name):
    told = card(registry.plugin("tokenizers", name))
    assert told is not None
    assert told.kbps is not None
    bits = sum(
        count * rate * math.log2(vocabulary)
        for rate, (count, vocabulary) in zip(told.frame_rate, told.streams, strict=True)
        if rate is not None
    )
    assert told.kbps == pytest.approx(bits / 1000, rel=0.01)
