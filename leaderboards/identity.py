"""Checks of who an entry is: its folder, its texts, its board's versions, and its likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.leaderboards.board import Board
from bench.leaderboards.entry import CARD, RESULT, WITHDRAWAL, Entry, suite_folder
from bench.leaderboards.names import (
    LINK,
    MAIL,
    MAX_VARIANT,
    REVISION,
    VARIANT,
    leaves,
    safe_revision,
    skeleton,
    wrong_name,
    wrong_text,
)

Found = Iterator[tuple[str, str]]


def wrong_place(place: str) -> str | None:
    """Why a path below the submissions is no place of an entry, or None."""
    parts = place.split("/")
    if len(parts) != 3:
        return "an entry lies in <suite>-<version>/<variant>/<revision>/"
    _, variant, revision = parts
    if len(variant) > MAX_VARIANT or not VARIANT.fullmatch(variant):
        return (
            f"the variant {variant!a} is not of the form name@option=value,... in plain "
            f"letters, digits and ._+-, at most {MAX_VARIANT} characters"
        )
    if not REVISION.fullmatch(revision):
        return f"the revision {revision!a} is not made of plain letters, digits and ._-"
    return None


def check_place(entry: Entry) -> Found:
    """The folder says what the result says."""
    suite, variant, revision = entry.place.split("/")
    t, s = entry.result.tokenizer, entry.result.suite
    if suite != suite_folder(s.name, s.version):
        yield RESULT, f"it is of suite {s.name} {s.version}, but lies in the folder {suite}"
    if variant != t.variant:
        yield RESULT, f"it is of variant {t.variant!a}, but lies in the folder {variant}"
    if variant.split("@")[0] != t.name:
        yield RESULT, f"tokenizer.name is {t.name!a}, but the variant is {variant}"
    if revision.split("+")[0] != safe_revision(t.weights):
        yield (
            RESULT,
            (f"its weights are {t.weights[:60]!a}, but it lies in the folder {revision}"),
        )


def check_texts(entry: Entry) -> Found:
    """Every text of every JSON file is plain; links and contact lead where they may."""
    for file, value in sorted(entry.raw.items()):
        for where, text in leaves(value):
            reason = wrong_text(text)
            if reason:
                yield file, f"{where.lstrip('.')} {reason}"
    card = entry.card
    reason = wrong_name(card.name)
    if reason:
        yield CARD, f"name {reason}"
    for at, link in enumerate(card.links):
        if not LINK.fullmatch(link.url):
            yield CARD, f"links[{at}].url is no plain http or https address"
    if not (MAIL.fullmatch(card.contact) or LINK.fullmatch(card.contact)):
        yield CARD, "contact is neither an e-mail nor an http(s) address"
    rows = {name for track in entry.result.tracks.values() for name in track}
    for name in card.explanations:
        if name not in rows:
            yield CARD, f"explanations names '{name}', which is no row of the result"
    if entry.withdrawal is not None and not entry.withdrawal.reason.strip():
        yield WITHDRAWAL, "its reason is empty"


def check_board(entry: Entry, board: Board) -> Found:
    """Suite digest, seed, and the versions of judges, metrics and tracks."""
    policy, result = board.policy, entry.result
    if result.suite.digest != policy.digest:
        yield (
            RESULT,
            (
                f"suite.digest is {result.suite.digest[:12]!a}, the board's suite has "
                f"{policy.digest[:12]}: other utterances were measured"
            ),
        )
    if result.seed != policy.seed:
        yield RESULT, f"seed is {result.seed}; the board's seed is {policy.seed}"
    environment = result.environment
    for kind, accepted, required in (
        ("judges", policy.judges, sorted(policy.judges)),
        ("metrics", policy.metrics, sorted(policy.metrics)),
        ("tracks", policy.tracks, []),
    ):
        yield from _versions(kind, environment.get(kind, {}), accepted, required, policy)
    for name in ("bench", "python", "machine", "device"):
        if not isinstance(environment.get(name), str):
            yield RESULT, f"environment.{name} is missing"
    packages = environment.get("packages")
    if not isinstance(packages, dict) or "numpy" not in packages:
        yield RESULT, "environment.packages is missing"


def _versions(
    kind: str,
    found: object,
    accepted: Mapping[str, Sequence[str]],
    required: Sequence[str],
    policy: object,
) -> Found:
    if not isinstance(found, dict):
        yield RESULT, f"environment.{kind} is no table of versions"
        return
    for name in required:
        if name not in found:
            yield RESULT, f"environment.{kind} lacks {name}: the board needs it"
    optional = getattr(policy, "optional_judges", ())
    for name, version in found.items():
        if kind == "judges" and name in optional:
            continue
        if name not in accepted:
            yield RESULT, f"environment.{kind} names {ascii(name)[:60]}, which this board lacks"
        elif version not in accepted[name]:
            yield (
                RESULT,
                (
                    f"{kind[:-1]} {name} has version {ascii(version)[:80]}; the board takes "
                    f"{' or '.join(accepted[name])}"
                ),
            )


def check_names(entries: Sequence[Entry], old: frozenset[str], built_in: Sequence[str]) -> Found:
    """Names that are easily taken for another tokenizer's; the newer one is at fault.

    old: places of the entries that were there before.
    """
    owners: dict[str, tuple[str, str]] = {skeleton(name): (name, "") for name in built_in}
    ordered = sorted(entries, key=lambda e: (e.place not in old, e.place))
    for entry in ordered:
        name = entry.result.tokenizer.name
        for shown, file in ((name, RESULT), (entry.card.name, CARD)):
            owner, place = owners.setdefault(skeleton(shown), (name, entry.place))
            if owner != name:
                taken = f"of {place}" if place else "that is built in"
                yield (
                    f"{entry.place}/{file}",
                    (f"the name {shown!a} is easily taken for {owner!a} {taken}"),
                )
