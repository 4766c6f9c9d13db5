"""A training run: steps, learning rates, checkpoints, resumption, a log of the losses.

A run lives in a folder: `state.pt` (everything needed to go on, read with `weights_only`),
`log.csv` (losses every `LOG_EVERY` steps) and, at the end, the checkpoint. What a step does
depends on the seed, the step and the state alone, so a run that was killed and resumed ends with
the same weights as one that was not.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.errors import UserError

LOG_EVERY = 50
SAVE_SECONDS = 120.0


def cosine(step: int, steps: int, warmup: int = 200, floor: float = 0.02) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


class Loop:
    """parts: name → anything with `state_dict` and `load_state_dict` (modules, optimizers).

    settings: what must be the same for a run to be resumed.
    """

    def __init__(self, folder: Path, parts: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.folder, self.parts = folder, dict(parts)
        self.settings: dict[str, Any] = json.loads(json.dumps(dict(settings)))
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._state = folder / "state.pt"
        if self._state.is_file():
            self._resume()

    def _resume(self) -> None:
        try:
            kept = torch.load(self._state, weights_only=True)
        except Exception as error:
            raise UserError(
                f"{self._state} is damaged ({type(error).__name__}); delete it to begin anew"
            ) from error
        changed = sorted(
            k
            for k in set(kept["settings"]) | set(self.settings)
            if kept["settings"].get(k) != self.settings.get(k)
        )
        if changed:
            raise UserError(
                f"{self.folder} holds a run with another {', '.join(changed)}; give the same "
                "settings to go on, or another --out"
            )
        for name, part in self.parts.items():
            part.load_state_dict(kept["parts"][name])
        self.step, self.seconds = kept["step"], kept["seconds"]

    def save(self) -> None:
        """Write the state whole, so that a kill while writing leaves the one before."""
        scratch = self._state.with_suffix(".part")
        torch.save({"parts": {n: p.state_dict() for n, p in self.parts.items()},
                    "settings": self.settings, "step": self.step, "seconds": self.seconds},
                   scratch)  # fmt: skip
        scratch.replace(self._state)

    def run(self, steps: int, train: Callable[[int], dict[str, float]], *,
            stop_after: float = math.inf, quiet: bool = False) -> bool:  # fmt: skip
        """Call `train(step)` up to `steps`; True when they are done.

        stop_after: seconds after which the run pauses (saved; the same call goes on).
        """
        began = saved = time.monotonic()
        before = self.seconds
        totals: dict[str, float] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"),
                   TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
        with Progress(*columns, disable=quiet) as bar:
            task = bar.add_task(self.folder.name, total=steps, completed=self.step, told="")
            while self.step < steps:
                for name, value in train(self.step).items():
                    totals[name] = totals.get(name, 0.0) + value
                self.step += 1
                now = time.monotonic()
                self.seconds = before + now - began
                if self.step % LOG_EVERY == 0:
                    means = {name: total / LOG_EVERY for name, total in totals.items()}
                    if not all(math.isfinite(v) for v in means.values()):
                        raise UserError(
                            f"the loss is no longer finite at step {self.step}: lower the learning "
                            f"rate; {self._state} is from before"
                        )
                    self._log(means)
                    totals = {}
                    told = " ".join(f"{n} {v:.3f}" for n, v in means.items())
                    rate = self.step / max(self.seconds, 1e-9)
                    bar.update(task, completed=self.step,
                               told=f"{self.step}/{steps} {rate:.1f}/s {told}")  # fmt: skip
                # Losses are summed between two log lines: saved there only, a resumed log is whole.
                if self.step % LOG_EVERY == 0 and (
                    now - saved > SAVE_SECONDS or now - began > stop_after
                ):
                    self.save()
                    saved = now
                    if now - began > stop_after:
                        return False
        self.save()
        return True

    def _log(self, means: Mapping[str, float]) -> None:
        path = self.folder / "log.csv"
        known: list[list[str]] = []
        if path.is_file():  # lines after the state that was resumed are written again
            with path.open(newline="") as file:
                known = [r for r in csv.reader(file) if r and r[0].isdigit()
                         and int(r[0]) < self.step]  # fmt: skip
        line = [str(self.step), f"{self.seconds:.0f}", *(f"{v:.5g}" for v in means.values())]
        scratch = path.with_suffix(".part")
        with scratch.open("w", newline="") as file:
            csv.writer(file).writerows([["step", "seconds", *means], *known, line])
        scratch.replace(path)
