"""`bench train taste`: from recordings with transcripts to a run."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path
from typing import Any

import torch

from bench import checkpoint
from bench.device import resolve
from bench.errors import UserError
from bench.kmeans import load_kmeans
from bench.nn.taste import TasteConfig
from bench.nn.taste_listen import READER, PhoneReader
from bench.nn.taste_spelling import FOLDER, LEXICON
from bench.nn.taste_text import Phones, Pronouncer, read_lexicon, write_lexicon
from bench.nn.vocoder import KIND as VOCODER
from bench.ssl_encoders import MoonshineEncoder
from bench.train import corpus
from bench.train.gan import falling
from bench.train.runs import Rows, drive, keep_list, speech
from bench.train.taste import Settings, Trainer
from bench.train.taste_data import Prepared, Said, Windows, octave_of, prepare, said, train_reader
from bench.train.taste_spelling import train_speller

HELD = 24
CARD = """# taste

Text-aligned speech tokens (TASTE, Tseng et al. 2025): one group of ids for each token of
Moonshine's transcript, cross-attention over Moonshine's encoder (query: the word's phones; key:
its last layer; value: its first layer with log-mels and pitch), a residual quantizer, and a
detokenizer that gives durations, units, pitch and sound, in one voice ({voice})."""


def train_taste(arguments: argparse.Namespace) -> int:
    """Prepare the speech that `arguments` choose and run the trainer; the exit status."""
    steps = [arguments.warmup, arguments.dropout_from, arguments.sound_from,
             arguments.adversarial_from]  # fmt: skip
    if sorted(steps) != steps or steps[0] < 1:
        raise UserError(
            "--warmup, --dropout-from, --sound-from and --adversarial-from must be above 0 and "
            "in this order"
        )
    folder, device = Path(arguments.out), resolve(arguments.device)
    units = checkpoint.find("moonshine-k500", arguments.units)
    vocoder = checkpoint.load(Path(arguments.vocoder or units / "vocoder"), VOCODER)
    kmeans = load_kmeans(units / "kmeans")
    kmeans.fits(MoonshineEncoder(device=device))
    if vocoder.config["kmeans"] != kmeans.revision:
        raise UserError(f"{vocoder.folder} speaks the units of another k-means than {units}")
    heard, held = speech(arguments, "train"), speech(arguments, "validation")
    voice = _voice(arguments.voice, vocoder, heard)
    lexicon = _lexicon(arguments.lexicon)
    torch.set_num_threads(arguments.threads or torch.get_num_threads())

    def prepared(rows: Rows) -> list[Prepared]:
        return prepare(rows, corpus.clips, kmeans.ids, folder / "prepared" / kmeans.revision)

    known, unheard = prepared(heard), prepared(held)
    learnt = {p.clip.utterance for p in known}
    heard = [row for row in heard if row["utterance"] in learnt]
    keep_list(folder, heard)
    reader = _reader(known, folder / "prepared" / "reader", arguments.seed)
    speakers = [voice, *sorted({p.clip.speaker for p in known} - {voice})]
    octave = octave_of(known, voice)
    pronouncer = Pronouncer(lexicon, _unknown)

    def told(found: list[Prepared]) -> list[Said]:
        made = [said(p, reader, pronouncer, speakers, octave) for p in found
                if p.clip.speaker in speakers and _all_known(p.text, pronouncer)]  # fmt: skip
        return [s for s in made if s is not None]

    model = TasteConfig(vocoder.config, tuple(speakers), octave, arguments.codebooks,
                        arguments.entries)  # fmt: skip
    settings = Settings(model, arguments.seed, arguments.batch, arguments.others,
                        warmup=arguments.warmup,
                        dropout=arguments.dropout_from, sound_from=arguments.sound_from,
                        adversarial_from=arguments.adversarial_from, mel=arguments.mel,
                        discriminators=arguments.discriminators,
                        start=vocoder.revision)  # fmt: skip
    train, validation = told(known), told(unheard)
    trainer = Trainer(settings, Windows(train, settings.batch, settings.others, settings.seed),
                      Windows(validation, HELD, 0, settings.seed), device,
                      falling(arguments.steps, arguments.anneal))  # fmt: skip
    trainer.start_from(vocoder, reader.state_dict())
    print(f"{len(train)} of {len(known)} recordings, each at two tempos, have words "
          f"that the lexicon knows; {len(validation)} held out")  # fmt: skip
    write_lexicon(folder / LEXICON, lexicon)

    def complete(place: Path) -> None:
        train_speller(lexicon, folder / FOLDER, arguments.seed)
        if place != folder:
            for name in (LEXICON, checkpoint.DATA):
                shutil.copy(folder / name, place / name)
            shutil.copytree(folder / FOLDER, place / FOLDER, dirs_exist_ok=True)

    trainer.complete = complete
    digest = hashlib.sha256((folder / LEXICON).read_bytes()).hexdigest()[:12]
    return drive(arguments, trainer, settings.to_dict() | {"lexicon": digest},
                 CARD.format(voice=voice), heard)  # fmt: skip


def _voice(wanted: str | None, vocoder: checkpoint.Checkpoint, heard: Rows) -> str:
    """Whose voice is learned: the one that the vocoder was trained on, or the wanted one."""
    voice = wanted
    if voice is None:
        speakers = vocoder.speakers() or ()
        if len(speakers) != 1:
            raise UserError(f"{vocoder.folder} does not tell one speaker; give --voice SPEAKER")
        voice = speakers[0]
    if voice not in {row["speaker"] for row in heard}:
        raise UserError(f"no recording of '{voice}' is in --data; give --voice SPEAKER")
    return voice


def _lexicon(given: str | None) -> dict[str, Phones]:
    """The words of a dictionary file, else those of PocketSphinx's."""
    if given is not None:
        path = Path(given)
        if not path.is_file():
            raise UserError(f"--lexicon {given}: no such file")
        return read_lexicon(path)
    try:
        from pocketsphinx import get_model_path
    except ImportError as error:
        raise UserError(
            "bench train taste needs a lexicon: give --lexicon FILE, or pip install pocketsphinx"
        ) from error
    return read_lexicon(Path(get_model_path()) / "en-us" / "cmudict-en-us.dict")


def _unknown(word: str) -> Phones:
    return ()


def _all_known(text: str, pronouncer: Pronouncer) -> bool:
    from bench.nn.taste_text import spoken_words

    return all(w in pronouncer for chunk in text.split() for w in spoken_words(chunk))


def _reader(known: list[Prepared], folder: Path, seed: int) -> PhoneReader:
    """Trained once and kept, so that a resumed run has the same times."""
    reader = PhoneReader()
    if (folder / checkpoint.WEIGHTS).is_file():
        checkpoint.load(folder, READER).fill(reader)
        return reader.eval().requires_grad_(False)
    if not any(p.labels.max(initial=-1) >= 0 for p in known):
        raise UserError(
            "no recording has aligned phones to learn from: give a manifest with a column "
            "'phones', add --data mini, or pip install pocketsphinx"
        )
    reader = train_reader(known, seed)
    about: dict[str, Any] = {"recordings": len({p.clip.utterance for p in known})}
    checkpoint.save(folder, READER, about, reader.state_dict())
    return reader
