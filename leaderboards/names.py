"""Names, texts and addresses that a submission may carry: bounded, plain, unmistakable."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?"
_OPTION = r"[A-Za-z_][A-Za-z0-9_]{0,39}=[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,63}"
VARIANT = re.compile(rf"{NAME}(?:@{_OPTION}(?:,{_OPTION})*)?", re.ASCII)
REVISION = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9])?(?:\+[2-9][0-9]?)?", re.ASCII
)
MAX_VARIANT = 140
MAX_TEXT = 2000
LINK = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?"
    r"(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]{0,400})?",
    re.ASCII,
)
MAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.ASCII)
_MARKUP = re.compile(r"<[A-Za-z!/?]|&#|&[A-Za-z]+;", re.ASCII)
_SCHEME = re.compile(r"\b(?:javascript|vbscript)\s*:|\bdata:[a-z]+/", re.ASCII | re.IGNORECASE)

# Letters of other scripts and the Latin ones they look like (the plain part of Unicode's
# confusables.txt).
_LOOKS = (
    "аa вb гr ԁd еe һh нh іi јj кk мm оo рp ԛq сc ѕs тt уy ԝw хx "
    "αa εe ηn ιi κk μu νv οo ρp τt υu χx ωw"
)
_LATIN = {ord(pair[0]): pair[1] for pair in _LOOKS.split()}


def skeleton(name: str) -> str:
    """What a hasty reader sees: equal for names that are easily taken for one another."""
    seen = unicodedata.normalize("NFKC", name).casefold().translate(_LATIN)
    seen = "".join(c for c in unicodedata.normalize("NFKD", seen) if not unicodedata.combining(c))
    seen = re.sub(r"[\s_.·-]", "", seen).replace("rn", "m").replace("vv", "w")
    return seen.translate(str.maketrans("1i|0", "lllo"))


def scripts(text: str) -> set[str]:
    """Scripts of the letters of `text`, by the first word of their Unicode names."""
    return {unicodedata.name(c, "UNKNOWN").split()[0] for c in text if c.isalpha()}


def wrong_text(text: str, limit: int = MAX_TEXT) -> str | None:
    """Why a text is refused, or None: too long, invisible or reordering signs, markup, scripts."""
    if len(text) > limit:
        return f"has {len(text)} characters; at most {limit} are accepted"
    for sign in text:
        if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn"):
            return f"holds the invisible or undefined sign U+{ord(sign):04X}"
    if unicodedata.normalize("NFC", text) != text:
        return "is not in Unicode's normal form NFC"
    if _MARKUP.search(text):
        return "holds markup; write plain text"
    if _SCHEME.search(text):
        return "holds an address that runs code"
    return None


def wrong_name(name: str) -> str | None:
    """Why a displayed name is refused, or None."""
    reason = wrong_text(name, 80)
    if reason:
        return reason
    if not name.strip() or name != name.strip():
        return "is empty or has spaces around it"
    if unicodedata.normalize("NFKC", name) != name:
        return "holds signs that only look like plain letters (its NFKC form differs)"
    if len(scripts(name)) > 1:
        return f"mixes the scripts {' and '.join(sorted(s.title() for s in scripts(name)))}"
    return None


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a JSON value with its place; keys of objects are texts too."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.(key)", key
            yield from leaves(item, f"{path}.{key[:40]}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaves(item, f"{path}[{at}]")


def safe_revision(weights: str) -> str:
    """A revision of weights as a folder's name: signs other than letters, digits, `._-` are `-`."""
    made = re.sub(r"[^A-Za-z0-9_.-]+", "-", weights)[:80]
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9]+$", "", made) or "none"
