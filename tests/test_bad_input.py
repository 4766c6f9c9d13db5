"""A person's mistakes: one sentence and the mend, exit status 2, no traceback, nothing begun."""

from __future__ import annotations

import shutil
import sys

import pytest

from bench.cli import main
from tests.conftest import lyra_weights


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["eval", "mulow"], "did you mean 'mulaw'"),
        (["eval", ","], "wants the name of a tokenizer"),
        (["eval", "mulaw", "--set", "bit=8"], "did you mean 'bits'"),
        (["eval", "mulaw", "--set", "bits=99"], "choose 2 to 16"),
        (["eval", "mulaw", "--set", "bits"], "key=value"),
        (["eval", "lyra", "--set", "quantizers=17"], "choose 16, 30, 46"),
        (["eval", "lyra", "--set", "weights=/nowhere"], "does not exist"),
        (["eval", "mulaw", "--suite", "maxi"], "unknown suite 'maxi': did you mean 'mini'"),
        (["eval", "mulaw", "--suite", "no/such.yaml"], "does not exist"),
        (["eval", "mulaw", "--tracks", "resynthesys"], "did you mean 'resynthesis'"),
        (["eval", "mulaw", "--metrics", "weer"], "did you mean 'wer'"),
        (["eval", "mulaw", "--limit", "0"], "--limit wants"),
        (["eval", "mulaw", "--batch-seconds", "0"], "--batch-seconds wants"),
        (["eval", "mulaw", "--threads", "0"], "--threads wants"),
        (["eval", "mulaw", "--out", "/proc/none/x"], "cannot be made"),
    ],
)
def test_wrong_use(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert sentence in error
    assert out == ""
    assert len(error.strip().splitlines()) == 1


def test_cuda_asked_for_where_there_is_none(capsys, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA: set CUDA_VISIBLE_DEVICES= to hide it")
    assert main(["eval", "mulaw", "--device", "cuda", "--out", str(tmp_path)]) == 2
    assert "sees no CUDA device" in capsys.readouterr().err


MANIFEST = "utterance,file,language,speaker,text\n"


@pytest.mark.parametrize(
    ("suite", "manifest", "sentence"),
    [
        (
            "name: a\nversion: '1'\nmanifest: m.csv\n",
            "file,language,speaker\nx.flac,en,s\n",
            "lacks the column 'utterance'",
        ),
        (
            "name: a\nversion: '1'\nmanifest: m.csv\n",
            MANIFEST + "u,x.flac,en,s,\nu,y.flac,en,s,\n",
            "'u' stands twice",
        ),
        (
            "name: a\nversion: '1'\nmanifest: m.csv\n",
            MANIFEST + "u,../x.flac,en,s,\n",
            "leaves the manifest's folder",
        ),
        (
            "name: a\nversion: '1'\nmanifest: m.csv\n",
            MANIFEST + "u,/etc/hosts,en,s,\n",
            "leaves the manifest's folder",
        ),
        ("name: a\nversion: '1'\nmanifest: m.csv\n", MANIFEST + "u,x.flac,en,,\n", "no speaker"),
        ("name: a\nversion: '1'\nmanifest: m.csv\n", MANIFEST, "has no rows"),
        ("name: a\nversion: '1'\nmanifest: other.csv\n", MANIFEST, "does not exist beside it"),
        (
            "name: a\nversion: '1'\nmanifest: m.csv\ndigest: '12'\n",
            MANIFEST + "u,x.flac,en,s,\n",
            "the corpus was changed",
        ),
        ("name: a\nversion: '1'\n", MANIFEST, "either `manifest` or `corpora`"),
        ("name: a\nversion: '1'\nmanifest: m.csv\ncolour: red\n", MANIFEST, "colour"),
        ("name: ../../x\nversion: '1'\nmanifest: m.csv\n", MANIFEST, "name"),
        ("name: [unclosed", MANIFEST, "not valid YAML"),
        ("", MANIFEST, "suite.yaml"),
    ],
)
def test_wrong_suites(suite, manifest, sentence, capsys, tmp_path):
    (tmp_path / "suite.yaml").write_text(suite)
    (tmp_path / "m.csv").write_text(manifest)
    path = str(tmp_path / "suite.yaml")
    assert main(["eval", "mulaw", "--suite", path, "--out", str(tmp_path / "o")]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_weights_that_are_not_the_published_ones_are_refused(capsys, tmp_path, data_dir):
    weights = lyra_weights(data_dir)
    shutil.copytree(weights, tmp_path / "lyra", copy_function=shutil.copyfile)
    with (tmp_path / "lyra" / "quantizer.tflite").open("ab") as file:
        file.write(b"x")
    arguments = ["eval", "lyra", "--set", f"weights={tmp_path / 'lyra'}", "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "not the published file" in capsys.readouterr().err


def test_a_missing_package_is_told_with_the_mend(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert main(["eval", "lyra", "--out", str(tmp_path)]) == 2
    assert "bench doctor" in capsys.readouterr().err
