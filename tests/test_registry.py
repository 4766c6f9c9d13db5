"""Names, suggestions, options, entry points; and that listing imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench import registry
from bench.errors import UserError
from bench.options import parse_settings, resolve, variant_name


def test_builtin_plugins_are_their_files():
    assert {"mulaw", "text", "lyra"} <= set(registry.plugins("tokenizers"))


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UserError, match="did you mean 'mulaw'"):
        registry.plugin("tokenizers", "mulow")


def test_third_party_plugins_come_by_entry_point(plugins):
    found = registry.plugins("tokenizers")
    assert found["identity"].origin == "bench-testkit"
    assert found["identity"].module.load().info.name == "identity"
    assert "loudness" in registry.plugins("judges")
    assert "level" in registry.plugins("metrics")


def test_every_builtin_plugin_has_load_and_a_summary():
    for kind in registry.KINDS:
        for plugin in registry.plugins(kind).values():
            assert callable(plugin.module.load), plugin.name
            assert plugin.summary(), plugin.name


@pytest.mark.parametrize("command", [["--help"], ["list"], ["eval", "--help"]])
def test_help_and_list_import_no_torch(command):
    code = (
        "import sys, bench.cli\n"
        "try: bench.cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'transformers', 'datasets', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_hugging_face_tokenizers_is_not_shadowed():
    code = "import bench, tokenizers; assert hasattr(tokenizers, 'Tokenizer')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_options_are_converted_by_their_annotations():
    mulaw = registry.plugin("tokenizers", "mulaw")
    assert resolve(mulaw, {"bits": "6"}) == {"bits": 6, "rate": 16_000}
    assert variant_name("mulaw", resolve(mulaw, {})) == "mulaw@bits=8,rate=16000"
    lyra = registry.plugin("tokenizers", "lyra")
    assert variant_name("lyra", resolve(lyra, {"weights": "/x"})) == "lyra@quantizers=46"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"bit": "6"}, "did you mean 'bits'"),
        ({"bits": "six"}, "wants int, not 'six'"),
    ],
)
def test_wrong_options_are_told(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        resolve(registry.plugin("tokenizers", "mulaw"), settings)


def test_settings_are_parsed_and_checked():
    assert parse_settings(["a=1,b=x", "c=2"]) == {"a": "1", "b": "x", "c": "2"}
    for wrong in ("a", "=1", "a="):
        with pytest.raises(UserError, match="key=value"):
            parse_settings([wrong])
    with pytest.raises(UserError, match="twice"):
        parse_settings(["a=1", "a=2"])
