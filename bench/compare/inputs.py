"""The runs to compare: found by folder or by name, read, and checked to be comparable."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import registry
from bench.compare.table import Key, Names, Part, plain, read_scores
from bench.errors import UserError
from bench.results import Result, read_result

Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Run:
    """One run. label: its variant as it may be shown, unique among the runs compared."""

    label: str
    folder: Path
    result: Result
    scores: Mapping[Key, Part]


def find(names: Sequence[str], runs: Path, suite: str) -> list[Path]:
    """Folders of the runs that are meant, each once, in the order given.

    A name is the folder of a run, its `result.json`, a tokenizer (all its variants under
    `runs/<suite>`) or a variant (`lyra@quantizers=46`; options left out may have any value).
    UserError, with the command that makes the run, where there is none.
    """
    found: dict[Path, Path] = {}
    for name in names:
        path = Path(name)
        folder = path.parent if path.name == "result.json" else path
        if (folder / "result.json").is_file():
            matches = [folder]
        elif path.name == "result.json" or "/" in name.partition("@")[0]:
            raise UserError(
                f"{name} is no run: give a folder that `bench eval` wrote, or a tokenizer's name"
            )
        else:
            matches = _by_name(name, runs, _suite_name(suite), suite)
        for match in matches:
            found.setdefault(match.resolve(), match)
    return list(found.values())


def _suite_name(suite: str) -> str:
    """The name under which runs of a suite lie; a suite's own file tells it."""
    if "/" not in suite and not suite.endswith((".yaml", ".yml")):
        return suite
    from bench.suites.schema import read_suite, suite_path

    return read_suite(suite_path(suite)).name


def _by_name(name: str, runs: Path, suite_name: str, suite: str) -> list[Path]:
    stem, _, options = name.partition("@")
    wanted = {part for part in options.split(",") if part}
    folders = sorted(p.parent for p in (runs / suite_name).glob("*/result.json"))
    matches = [
        folder
        for folder in folders
        for own, _, has in [folder.name.partition("@")]
        if own == stem and wanted <= {*has.split(",")}
    ]
    if matches:
        return matches
    known = sorted({*registry.plugins("tokenizers"), *(f.name.split("@")[0] for f in folders)})
    if stem not in known:
        raise UserError(f"unknown tokenizer '{stem}': {registry.did_you_mean(stem, known)}")
    base, limit = re.fullmatch(r"(.*?)(?:-limit(\d+))?", suite).groups()  # type: ignore[union-attr]
    command = ["bench", "eval", stem, "--suite", base]
    command += [word for part in options.split(",") if part for word in ("--set", part)]
    command += ["--limit", limit] if limit else []
    command += ["--out", str(runs)] if str(runs) != "runs" else []
    raise UserError(
        f"no result of {name} on {suite_name} under {runs} yet; make one with: "
        f"{shlex.join(command)}"
    )


def load(folders: Sequence[Path]) -> tuple[list[Run], Names, list[str]]:
    """The runs, the names that their scores share, and what a reader must know of them.

    UserError for fewer than two, for a damaged run, and for runs that are not of the same suite,
    seed, judges, metrics and tracks.
    """
    if len(folders) < 2:
        raise UserError("bench compare wants two results or more; see `bench compare --help`")
    results = [read_result(folder / "result.json") for folder in folders]
    labels = _labels(results, folders)
    refuse_unlike(dict(zip(labels, results, strict=True)))
    names = Names()
    runs = []
    for label, folder, result in zip(labels, folders, results, strict=True):
        path = folder / "scores.parquet"
        _check_digest(path, result)
        runs.append(Run(label, folder, result, read_scores(path, names)))
    _refuse_other_speakers(runs, names)
    return runs, names, list(_notes(dict(zip(labels, results, strict=True))))


def _labels(results: Sequence[Result], folders: Sequence[Path]) -> list[str]:
    variants = [plain(result.tokenizer.variant) for result in results]
    return [
        variant if variants.count(variant) == 1 else f"{variant} ({plain(folder)})"
        for variant, folder in zip(variants, folders, strict=True)
    ]


def _check_digest(path: Path, result: Result) -> None:
    stated = result.artifacts.get("scores")
    if stated is None:
        return
    try:
        own = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); run `bench eval` for it again"
        ) from error
    if own != stated.sha256:
        raise UserError(
            f"{path} is not the file that its result.json speaks of (sha256 {own[:12]}, not "
            f"{plain(stated.sha256[:12])}); run `bench eval` for it again"
        )


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    """What must be the same in two results that are compared: what it is → how it is."""
    suite = result.suite
    yield "the suite", f"{suite.name} {suite.version}, digest {suite.digest[:12]}"
    yield "the seed", str(result.seed)
    for kind in ("judges", "metrics", "tracks"):
        versions = result.environment.get(kind)
        if isinstance(versions, dict):
            for name, version in versions.items():
                yield f"the version of {kind[:-1]} {name}", str(version)


def _unlike(facts: Mapping[str, Facts]) -> Iterator[str]:
    """A clause for each fact that two results state differently."""
    stated: dict[str, dict[str, list[str]]] = {}
    for label, pairs in facts.items():
        for what, how in pairs:
            stated.setdefault(what, {}).setdefault(how, []).append(label)
    for what, ways in stated.items():
        if len(ways) > 1:
            told = " but ".join(
                f"{plain(how)} in {', '.join(labels)}" for how, labels in ways.items()
            )
            yield f"{plain(what)} is {told}"


def refuse_unlike(results: Mapping[str, Result]) -> None:
    """UserError that names every suite, seed and version in which results (by label) differ."""
    found = list(_unlike({label: list(_facts(result)) for label, result in results.items()}))
    if found:
        raise UserError(
            f"these results cannot be compared: {'; '.join(found)}; run `bench eval` for them "
            "with the same suite, seed and versions"
        )


def _refuse_other_speakers(runs: Sequence[Run], names: Names) -> None:
    speaker_of = np.full(len(names.known), -1, dtype=np.int64)
    for run in runs:
        for part in run.scores.values():
            new = speaker_of[part.utterances] < 0
            speaker_of[part.utterances[new]] = part.speakers[new]
            other = speaker_of[part.utterances] != part.speakers
            if other.any():
                name = names.known[part.utterances[int(np.argmax(other))]]
                raise UserError(
                    f"{run.folder}: utterance '{plain(name)}' has another speaker than in the "
                    "other scores; run `bench eval` for it again"
                )


def _notes(results: Mapping[str, Result]) -> Iterator[str]:
    """Differences that need not change a score, but may."""
    facts: dict[str, Facts] = {}
    for label, result in results.items():
        packages = result.environment.get("packages")
        facts[label] = [("the device", str(result.environment.get("device")))]
        if isinstance(packages, dict):
            facts[label] += [(f"the package {n}", str(v)) for n, v in packages.items()]
    for clause in _unlike(facts):
        yield f"{clause}: this may change scores a little"
