"""An interval for a figure that no sums divide into: leave one group of speakers out at a time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

GROUPS = 20


def grouped(labels: Sequence[str], most: int = GROUPS) -> npt.NDArray[np.int64]:
    """Labels (speakers, or utterances) → group [N] in [0, G), G ≤ `most`.

    Labels beyond `most` share a group: the one with the n-th smallest sha256 is in group n mod
    `most`, so that groups differ by at most one label.
    """
    order = sorted(set(labels), key=lambda label: hashlib.sha256(label.encode()).hexdigest())
    of = {label: n % most for n, label in enumerate(order)}
    return np.array([of[label] for label in labels], dtype=np.int64)


def jackknife(
    value: float, without: Sequence[float], level: float = 0.95
) -> tuple[float, float] | None:
    """`value` ± t · se, from its values `without` each of G groups (delete-a-group jackknife).

    se² = (G − 1)/G · Σ(θ_g − mean θ)², t with G − 1 degrees of freedom (Kott 2001; Shao and Tu
    1995). None where there are under two groups, or a figure cannot be had without one of them.
    """
    from scipy.stats import t as student

    count = len(without)
    if count < 2 or not all(map(math.isfinite, [value, *without])):
        return None
    spread = np.square(np.array(without) - np.mean(without)).sum()
    half = float(student.ppf(0.5 + level / 2, count - 1) * math.sqrt((count - 1) / count * spread))
    return value - half, value + half
