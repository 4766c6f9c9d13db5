"""Weights of published codecs: where they are looked for, and what is told when they are wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError, WeightsUnavailable
from tests import published
from tests.conftest import ROOT, bench
from tests.published import open_tokenizer

pytest.importorskip("transformers", reason="the extra `codecs` is not installed")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def encodec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a whole EnCodec of small size; tests copy it before they spoil it."""
    root = tmp_path_factory.mktemp("weights")
    yield published.save("encodec-24khz", published.small_encodec, root / "encodec")
    shutil.rmtree(root)


@pytest.fixture
def folder(encodec: Path, tmp_path: Path) -> Path:
    return shutil.copytree(encodec, tmp_path / "encodec")


def _edit_config(folder: Path, **changed: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def _edit_state(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), r"lacks config\.json"),
    "config no JSON": (lambda f: (f / "config.json").write_text("{"), "is not JSON"),
    "config no table": (lambda f: (f / "config.json").write_text("[1]"), "holds no configuration"),
    "other model": (lambda f: _edit_config(f, model_type="mimi"), "type 'mimi', not 'encodec'"),
    "no model type": (lambda f: (f / "config.json").write_text("{}"), "type 'None'"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"lacks the weights model\.safe"),
    "only a pickle": (_only_a_pickle, r"only pickles \(pytorch_model\.bin\)"),
    "cut short": (_cut, "not a whole safetensors file"),
    "no safetensors": (
        lambda f: (f / "model.safetensors").write_bytes(b"\x80\x04pickle"),
        "not a whole safetensors file",
    ),
    "a weight missing": (
        lambda f: _edit_state(f, lambda s: s.pop("quantizer.layers.3.codebook.embed")),
        r"lacks 1 weights, such as quantizer\.layers\.3",
    ),
    "a weight too many": (
        lambda f: _edit_state(f, lambda s: s.update(more=torch.zeros(1))),
        "has more than the model: 1 weights, such as more",
    ),
    "another shape": (lambda f: _edit_config(f, hidden_size=64), "does not fit"),
    "impossible": (lambda f: _edit_config(f, codebook_size=1000), "does not fit"),
}


@pytest.mark.parametrize("what", list(SPOILT))
def test_spoilt_weights_are_told_in_a_sentence(what: str, folder: Path) -> None:
    spoil, sentence = SPOILT[what]
    spoil(folder)
    with pytest.raises(UserError, match=sentence) as told:
        open_tokenizer("encodec-24khz", folder)
    assert str(told.value).startswith("encodec: ")
    assert "\n" not in str(told.value)


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the folder weights=.*none does not exist"):
        open_tokenizer("encodec-24khz", tmp_path / "none")


# ------------------------------------------------------------------------------------- checkpoints
class _Payload:
    """What a hostile pickle does when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture(params=["speechtokenizer", "snac-24khz"])
def checkpoint(request: Any, tmp_path: Path) -> tuple[str, Path]:
    """(label, file of weights) of a package that publishes pickled tensors."""
    published.installed(request.param.partition("-")[0])
    make = {"speechtokenizer": published.small_speechtokenizer, "snac-24khz": published.snac}
    folder = published.save(request.param, make[request.param], tmp_path / "weights")
    return request.param, folder / published.FILES[request.param.partition("-")[0]]


def test_a_checkpoint_is_read_as_tensors_only(checkpoint: tuple[str, Path]) -> None:
    label, path = checkpoint
    mark = path.with_name("ran")
    torch.save({"x": _Payload(mark)}, path)
    with pytest.raises(UserError, match="holds more than tensors, which is not opened"):
        open_tokenizer(label, path.parent)
    assert not mark.exists()


def test_spoilt_checkpoints_are_told_in_a_sentence(checkpoint: tuple[str, Path]) -> None:
    label, path = checkpoint
    config = path.with_name("config.json")
    whole, told = path.read_bytes(), config.read_text()
    state = torch.load(path, weights_only=True)
    name = next(iter(state))
    for spoilt, sentence in (
        ({k: v for k, v in state.items() if k != name}, f"lacks 1 weights, such as {name}"),
        ({**state, "more": torch.zeros(1)}, "has more than the model: 1 weights"),
        ({**state, name: torch.zeros(3, 3, 3)}, f"another shape .* such as {name}"),
        ([torch.zeros(1)], "no table of named tensors"),
        ({"step": 3}, "no table of named tensors"),
    ):
        torch.save(spoilt, path)
        with pytest.raises(UserError, match=sentence):
            open_tokenizer(label, path.parent)
    for data in (whole[:-500], b"", b"not a checkpoint"):
        path.write_bytes(data)
        with pytest.raises(UserError, match="is damaged"):
            open_tokenizer(label, path.parent)
    path.write_bytes(whole)
    rate = {k: v for k, v in json.loads(told).items() if k in ("sample_rate", "sampling_rate")}
    config.write_text(json.dumps({**rate, "strides": "x", "foreign": 1}))
    with pytest.raises(UserError, match="holds no configuration of a"):
        open_tokenizer(label, path.parent)
    config.write_text(told)
    path.unlink()
    with pytest.raises(UserError, match=f"lacks the weights {path.name}"):
        open_tokenizer(label, path.parent)


def test_safetensors_are_preferred_to_a_checkpoint(checkpoint: tuple[str, Path]) -> None:
    from safetensors.torch import save_file

    label, path = checkpoint
    state = torch.load(path, weights_only=True)
    save_file({k: v.contiguous() for k, v in state.items()}, path.with_name("model.safetensors"))
    path.write_bytes(b"never opened")
    assert open_tokenizer(label, path.parent).info.parameters > 0


# ------------------------------------------------------------------------------------------ the hub
@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """A hub that can be reached or not, with one repository; `asked` lists what was fetched."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    monkeypatch.setenv("BENCH_WEIGHTS_DIR", str(tmp_path / "kept"))
    state: dict[str, Any] = {"cached": None, "online": None, "asked": []}

    def snapshot_download(
        repository: str, *, allow_patterns: list[str], local_files_only: bool = False, **_: Any
    ) -> str:
        found = state["cached" if local_files_only else "online"]
        if not local_files_only:
            state["asked"].append((repository, allow_patterns))
        if found is None:
            raise LocalEntryNotFoundError("Name or service not known")
        return str(found)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return state


def load_published(name: str, **chosen: Any) -> Any:
    from bench import registry

    return registry.plugin("tokenizers", name).load(device="cpu", **chosen)


COMMANDS = {
    "encodec": "facebook/encodec_24khz config.json model.safetensors",
    "dac": "descript/dac_16khz config.json model.safetensors",
    "mimi": "kyutai/mimi config.json model.safetensors",
    "xcodec": "hf-audio/xcodec-hubert-librispeech config.json model.safetensors",
    "speechtokenizer": "fnlp/SpeechTokenizer speechtokenizer_hubert_avg/config.json "
    "speechtokenizer_hubert_avg/SpeechTokenizer.pt",
    "snac": "hubertsiuzdak/snac_24khz config.json pytorch_model.bin",
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_weights_that_cannot_be_fetched_come_with_the_command_that_gets_them(
    name: str, hub: dict[str, Any], tmp_path: Path
) -> None:
    if name in ("speechtokenizer", "snac"):
        published.installed(name)
    repository = COMMANDS[name].partition(" ")[0]
    place = tmp_path / "kept" / repository.partition("/")[2]
    with pytest.raises(WeightsUnavailable, match="Name or service not known") as told:
        load_published(name)
    assert told.value.command == f"hf download {COMMANDS[name]} --local-dir {place}"
    assert [asked for asked, _ in hub["asked"]] == [repository]


def test_the_command_s_folder_is_where_weights_are_looked_for(
    hub: dict[str, Any], encodec: Path, tmp_path: Path
) -> None:
    shutil.copytree(encodec, tmp_path / "kept" / "encodec_24khz")
    assert load_published("encodec").info.name == "encodec"
    assert load_published("encodec", weights="facebook/encodec_24khz").info.name == "encodec"
    with pytest.raises(WeightsUnavailable, match="hub id facebook/encodec_48khz"):
        load_published("encodec", model="48khz")


def test_cached_weights_need_no_network(hub: dict[str, Any], encodec: Path) -> None:
    hub["cached"] = encodec
    assert load_published("encodec").info.sample_rate == 24_000
    assert hub["asked"] == []


def test_half_a_cache_is_completed(hub: dict[str, Any], folder: Path, encodec: Path) -> None:
    (folder / "model.safetensors").unlink()
    hub["cached"], hub["online"] = folder, encodec
    assert load_published("encodec", weights="someone/encodec").info.sample_rate == 24_000
    assert hub["asked"] == [("someone/encodec", ["config.json", "model.safetensors"])]


def test_the_command_line_tells_missing_weights_in_a_sentence(tmp_path: Path) -> None:
    done = bench(
        "eval",
        "encodec",
        "--limit",
        "1",
        HF_HUB_OFFLINE="1",
        HF_HOME=str(tmp_path / "hub"),
        BENCH_WEIGHTS_DIR=str(tmp_path),
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    command = " ".join(done.stderr.split())
    assert f"hf download {COMMANDS['encodec']} --local-dir {tmp_path}/encodec_24khz" in command


# ------------------------------------------------------------------------------------------ imports
NAMES = ("encodec", "dac", "mimi", "xcodec", "speechtokenizer", "snac")


def test_no_plugin_imports_torch_before_it_loads() -> None:
    code = "import sys, importlib\n" + "\n".join(
        f"importlib.import_module('bench.tokenizers.{name}')" for name in NAMES
    )
    code += "\nprint(sorted({'torch', 'transformers', 'snac'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["speechtokenizer", "snac", "mimi"])
def test_a_missing_package_is_told_with_the_command_that_installs_it(
    name: str, encodec: Path, hub: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = "transformers" if name == "mimi" else name
    monkeypatch.setitem(sys.modules, lacking, None)
    sentence = f"the package {lacking} is not installed; get it with: pip install .*codecs"
    with pytest.raises(UserError, match=sentence):
        load_published(name, weights=str(encodec))
    assert hub["asked"] == []


def test_speechtokenizer_imports_without_its_trainer() -> None:
    """The trainer needs tensorboard and more; what stands in for it does not stay behind."""
    published.installed("speechtokenizer")
    from bench.tokenizers.speechtokenizer import architecture

    assert architecture().__name__ == "SpeechTokenizer"
    assert architecture() is architecture()
    assert "speechtokenizer.trainer" not in sys.modules
