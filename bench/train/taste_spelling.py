"""Training of the network that spells words a lexicon lacks, on the lexicon."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from bench import checkpoint
from bench.nn.taste_spelling import KIND, NOTHING, Speller, numbers
from bench.nn.taste_text import SLOTS, Phones

HELD = 20
"""One word of so many is kept to test on."""
CARD = """# Spelling

Letters to phones for words that the lexicon lacks, trained on the lexicon for {steps} steps. Of
{held} words kept apart it gives {exact:.1f} % exactly as the lexicon does.
"""


def train_speller(lexicon: Mapping[str, Phones], folder: Path, seed: int, *, steps: int = 2500,
                  batch: int = 160) -> None:  # fmt: skip
    """Train on `lexicon` and write the checkpoint; nothing is done where it is there already."""
    if (folder / checkpoint.WEIGHTS).is_file():
        return
    pairs = [(numbers(word), np.array(phones) - len(SLOTS)) for word, phones in lexicon.items()]
    pairs = [(a, b) for a, b in pairs if len(b) + _doubles(b) <= 2 * len(a)]
    known = [p for n, p in enumerate(pairs) if n % HELD]
    held = pairs[::HELD]
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    speller = Speller()
    optimizer = torch.optim.AdamW(speller.parameters(), 3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = [known[i] for i in random.integers(0, len(known), batch)]
        longest = max(len(a) for a, _ in chosen)
        letters = torch.tensor([a + [0] * (longest - len(a)) for a, _ in chosen])
        loss = F.ctc_loss(
            speller(letters).log_softmax(-1).transpose(0, 1),
            torch.from_numpy(np.concatenate([b for _, b in chosen])),
            torch.tensor([2 * len(a) for a, _ in chosen]),
            torch.tensor([len(b) for _, b in chosen]),
            blank=NOTHING,
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(speller.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    exact = _exact(speller.eval(), held[:1000])
    card = CARD.format(steps=steps, held=len(held[:1000]), exact=100 * exact)
    checkpoint.save(folder, KIND, {"steps": steps}, speller.state_dict(), card=card, half=True)
    print(f"{folder}: {100 * exact:.1f} % of held-out words spelled as in the lexicon",
          file=sys.stderr)  # fmt: skip


def _doubles(phones: np.ndarray) -> int:
    """Repeated neighbours, between which CTC needs a nothing."""
    return int((phones[1:] == phones[:-1]).sum())


@torch.inference_mode()
def _exact(speller: Speller, held: list[tuple[list[int], np.ndarray]]) -> float:
    from bench.nn.taste_spelling import LETTERS

    right = 0
    for letters, phones in held:
        made = speller.spell("".join(LETTERS[n - 1] for n in letters))
        right += made == tuple(int(p) + len(SLOTS) for p in phones)
    return right / max(1, len(held))
