"""Builds the data of the bundled suite `mini` from Debian packages.

    python -m bench.suites.build_mini --work DIR --out bench/suites/mini
    python -m bench.suites.build_mini --out bench/suites/mini --describe
    python -m bench.suites.build_mini --out bench/suites/mini --wer

The first form needs apt-get, dpkg-deb, ffmpeg and the extra `build`. DIR receives (or already
holds) the packages and what is unpacked from them. The same package versions give the same bytes.
`corrections.csv`, `affect.csv` and `LICENSES.md` in the output folder are written by hand.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile as sf
import yaml

from bench import registry
from bench.contracts import Judged, Utterance
from bench.errors import ItemFailure
from bench.suites.mini_select import normalise, select
from bench.suites.mini_sources import LICENCES, RATE, candidates, decode, fetch

SPAN = [("start", pa.float64()), ("end", pa.float64())]
SCHEMA = pa.schema([
    ("utterance", pa.string()), ("file", pa.string()), ("corpus", pa.string()),
    ("language", pa.string()), ("speaker", pa.string()), ("split", pa.string()),
    ("seconds", pa.float64()), ("text", pa.string()), ("normalised_text", pa.string()),
    ("affect", pa.string()),
    ("phones", pa.list_(pa.struct([("phone", pa.string()), *SPAN]))),
    ("words", pa.list_(pa.struct([("word", pa.string()), *SPAN]))),
    ("licence", pa.string()), ("tasks", pa.list_(pa.string())),
])  # fmt: skip
DESCRIPTION = ("English, Spanish, French, Italian and Russian telephone prompts, acted lines of a "
               "game in five languages and a few read sentences: real speech with free licences, "
               "small enough to be bundled.")  # fmt: skip
SPLITS = ("test", "validation", "train")


def build(work: Path, out: Path) -> None:
    """Write audio, manifest, sums and suite.yaml below `out`."""
    from bench.suites.load import load_suite
    from bench.suites.mini_align import Aligner

    work.mkdir(parents=True, exist_ok=True)
    fetch(work)
    with (out / "affect.csv").open(encoding="utf-8", newline="") as file:
        affects = {r["line"]: r["affect"] or None for r in csv.DictReader(file)}
    rows = select(candidates(work, out / "corrections.csv"), affects)
    shutil.rmtree(out / "audio", ignore_errors=True)
    aligner = Aligner()
    sums = []
    for row in rows:
        pcm = decode(row.pop("source"))
        row["file"] = f"audio/{row['utterance']}.flac"
        row["seconds"] = len(pcm) / RATE
        row["licence"] = LICENCES[row["corpus"]]
        path = out / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, pcm, RATE, format="FLAC", subtype="PCM_16", compression_level=1.0)
        sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {row['file']}\n")
        if "signal" in row["tasks"] and not _measurable(pcm):
            row["tasks"].remove("signal")
        aligned = None
        if row["language"] == "en" and row["text"]:
            aligned = aligner.align(pcm, row["text"])
        row["words"], row["phones"] = aligned or (None, None)
    manifest = out / "manifest.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), manifest, compression="zstd")
    sums.append(f"{hashlib.sha256(manifest.read_bytes()).hexdigest()}  manifest.parquet\n")
    (out / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    suite = {"name": "mini", "version": "1", "description": DESCRIPTION,
             "manifest": manifest.name, "split": "test"}  # fmt: skip
    _write_yaml(out / "suite.yaml", suite)
    suite["digest"] = load_suite(str(out / "suite.yaml")).digest
    _write_yaml(out / "suite.yaml", suite)


def _measurable(pcm: Any) -> bool:
    """Whether every metric that compares samples (int16 [L], 16 kHz) can score a perfect copy.

    A shout of 0.5 s may have too few voiced frames for a pitch correlation. That is a property of
    the recording, and would count against every tokenizer alike.
    """
    judged = Judged(audio=pcm.astype(np.float32) / 2**15)
    utterance = Utterance("", "", "", "", len(pcm) / RATE)
    for plugin in registry.plugins("metrics").values():
        metric = plugin.module.load()
        if metric.info.needs_audio and metric.info.task == "signal":
            try:
                metric.score(utterance, judged, judged)
            except ItemFailure:
                return False
    return True


def _write_yaml(path: Path, content: dict[str, str]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, width=96), encoding="utf-8")


def read(out: Path) -> list[dict[str, Any]]:
    """The manifest's rows."""
    rows: list[dict[str, Any]] = pq.read_table(out / "manifest.parquet").to_pylist()
    return rows


def describe(out: Path) -> str:
    """The counts of docs/suite-mini.md, as Markdown."""
    rows = read(out)
    parts = [_table(rows, "corpus"), _table(rows, "language"), _table(rows, "speaker")]
    tasks: dict[str, Counter[str]] = defaultdict(Counter)
    affects: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for task in row["tasks"]:
            tasks[task][row["split"]] += 1
        if row["affect"]:
            affects[row["affect"]][row["split"]] += 1
    parts += [_counts("task", tasks), _counts("affect", affects)]
    english = [r for r in rows if r["language"] == "en" and r["text"]]
    aligned = sum(r["phones"] is not None for r in english)
    with (out / "corrections.csv").open(encoding="utf-8", newline="") as file:
        listed = {r["utterance"] for r in csv.DictReader(file)}
    used = [r for r in rows if r["utterance"] in listed]
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    speakers = {r["speaker"] for r in rows}
    parts.append(
        f"Aligned: {aligned} of {len(english)} English utterances with text. "
        f"Corrected transcripts: {len(used)}, of them {sum(r['split'] == 'test' for r in used)} "
        f"in the test split. Speakers: {len(speakers)}. Size: {size / 1e6:.1f} MB."
    )
    return "\n\n".join(parts)


def _table(rows: list[dict[str, Any]], key: str) -> str:
    lines = [f"| {key} | test | validation | train | all |", "|---|---|---|---|---|"]
    for name in [*sorted({r[key] for r in rows}), "**all**"]:
        cells = []
        for split in (*SPLITS, "all"):
            hit = [r for r in rows if name in (r[key], "**all**") and split in (r["split"], "all")]
            seconds = sum(r["seconds"] for r in hit)
            cells.append(f"{len(hit)} ({seconds:.0f} s)" if hit else "–")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _counts(key: str, counts: dict[str, Counter[str]]) -> str:
    lines = [f"| {key} | test | validation | train |", "|---|---|---|---|"]
    for name in sorted(counts):
        lines.append(f"| {name} | " + " | ".join(str(counts[name][s]) for s in SPLITS) + " |")
    return "\n".join(lines)


def wer(out: Path) -> str:
    """WER of the bundled recogniser on the test split: published against corrected transcripts."""
    import jiwer

    from bench.judges.moonshine import load

    with (out / "corrections.csv").open(encoding="utf-8", newline="") as file:
        published = {r["utterance"]: r["published"] for r in csv.DictReader(file)}
    rows = [r for r in read(out) if r["split"] == "test" and "transcription" in r["tasks"]]
    judge = load()
    before, after, said, lines = [], [], [], []
    for row in rows:
        pcm, _ = sf.read(out / row["file"], dtype="float32")
        judged = judge.judge([pcm])[0]
        if isinstance(judged, Exception):
            raise judged
        heard = normalise(str(judged["text"]), "en") or ""
        old = normalise(published.get(row["utterance"], row["text"]), "en") or ""
        before.append(old)
        after.append(row["normalised_text"])
        said.append(heard)
        if heard != row["normalised_text"]:
            lines.append(f"{row['utterance']}\n  text:  {row['normalised_text']}\n  heard: {heard}")
    words = sum(len(text.split()) for text in after)
    summary = (f"{len(rows)} utterances, {words} words; WER published "
               f"{100 * jiwer.wer(before, said):.2f} %, corrected "
               f"{100 * jiwer.wer(after, said):.2f} %")  # fmt: skip
    return "\n".join([*lines, summary])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, help="folder of the packages")
    parser.add_argument("--out", type=Path, required=True, help="folder of the suite")
    parser.add_argument("--describe", action="store_true", help="print the counts, build nothing")
    parser.add_argument("--wer", action="store_true", help="print the WER, build nothing")
    args = parser.parse_args()
    if args.describe or args.wer:
        print(describe(args.out) if args.describe else wer(args.out))
    elif args.work is None:
        parser.error("--work is needed to build")
    else:
        build(args.work.resolve(), args.out)
        print(describe(args.out))


if __name__ == "__main__":
    main()
