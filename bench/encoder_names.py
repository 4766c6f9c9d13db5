"""Encoders that units can be made of; apart, so that the command line can name them cheaply."""

from __future__ import annotations

from typing import Literal, get_args

EncoderName = Literal["moonshine", "hubert", "wav2vec2", "wavlm", "whisper"]
NAMES: tuple[str, ...] = get_args(EncoderName)
