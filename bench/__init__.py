"""Measure speech tokenizers: resynthesis, probes, tokens, language-model cost and speed."""

from pathlib import Path

__version__ = "0.1.0"

# A checkout keeps the plugin folders beside `bench/`; a wheel holds them inside it. Extending the
# search path makes `bench.tokenizers` the same module either way, without ever putting a folder
# called `tokenizers` in front of Hugging Face's package of that name.
if not Path(__file__).with_name("tokenizers").is_dir():
    __path__.append(str(Path(__file__).resolve().parent.parent))
