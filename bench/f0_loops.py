"""What `bench.f0` does lag by lag and state by state, compiled."""

from __future__ import annotations

import numpy as np

from bench.compiling import compiled
from bench.f0 import CANDIDATES, CEILING, FINER, FLOOR, JUMP, OCTAVE, SWITCH, VOICING
from bench.metrics._inputs import RATE


@compiled
def peaks(r, frequency, strength):  # type: ignore[no-untyped-def]
    """The strongest peaks of each row of lags, by a parabola, beside what is there already."""
    for t in range(len(r)):
        found, weakest = 1, 1
        for lag in range(1, r.shape[1] - 1):
            before, here, after = r[t, lag - 1], r[t, lag], r[t, lag + 1]
            if not (here > before and here >= after and here > 0.5 * VOICING):
                continue
            slope = (after - before) / 2
            shift = slope / (2 * here - before - after)
            hertz = RATE * FINER / (lag + shift)
            if not FLOOR <= hertz <= CEILING:
                continue
            height = here + 0.5 * slope * shift
            if height > 1:
                height = 1 / height
            height -= OCTAVE * np.log2(FLOOR / hertz)
            if found < CANDIDATES:
                place, found = found, found + 1
            elif height > strength[t, weakest]:
                place = weakest
            else:
                continue
            frequency[t, place], strength[t, place] = hertz, height
            weakest = 1 + strength[t, 1:].argmin()


@compiled
def path(frequency, strength):  # type: ignore[no-untyped-def]
    """F0 [T] of the path with the greatest strength less the costs of its jumps."""
    frames, states = frequency.shape
    back = np.zeros((frames, states), np.int64)
    octave = np.log2(np.where(frequency > 0, frequency, 1.0))
    total, reached = strength[0].copy(), np.zeros(states)
    for t in range(1, frames):
        for j in range(states):
            best, state = -np.inf, 0
            for i in range(states):
                cost = 0.0
                if frequency[t, j] > 0 and frequency[t - 1, i] > 0:
                    cost = JUMP * abs(octave[t, j] - octave[t - 1, i])
                elif frequency[t, j] > 0 or frequency[t - 1, i] > 0:
                    cost = SWITCH
                if total[i] - cost > best:
                    best, state = total[i] - cost, i
            reached[j], back[t, j] = best + strength[t, j], state
        total[:] = reached
    f0 = np.zeros(frames)
    state = total.argmax()
    for t in range(frames - 1, -1, -1):
        f0[t] = frequency[t, state]
        state = back[t, state]
    return f0
