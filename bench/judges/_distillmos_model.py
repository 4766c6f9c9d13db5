"""The convolutions of Distill-MOS over the part of a segment that sounds.

Shorter audio is padded with zeros to 7.68 s, of which every frame is alike: once the convolutions
see nothing else, all columns of their output are equal. They run over what sounds and the zeros
that they can reach from it, and the column is repeated. On one processor the result is the
package's, bit for bit.
"""

from __future__ import annotations

import torch

HOP, REACH = 160, 80
"""Samples between frames, and that a frame sees beyond its first sample to the left."""
SIDE = 6
"""Frames that the six 3-wide convolutions reach to a side; the last one halves the rate."""
EDGE = 3
"""Columns whose convolutions see the padding at the end of a segment."""


class Sounding(torch.nn.Module):
    """`cnn`: waveforms [B, L] → [B, C, L/320]."""

    def __init__(self, cnn: torch.nn.Module) -> None:
        super().__init__()
        self.cnn = cnn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `cnn`; in a batch, whose rows must not depend on each other, all of it."""
        there = x[0].nonzero()
        end = int(there[-1]) + 1 if len(there) else 0
        # The last column but EDGE is the first to be repeated: it must see zeros alone.
        silent = -(-(end + REACH) // HOP)  # the first frame that does
        columns = (silent + SIDE + 1) // 2 + 1 + EDGE
        whole = x.shape[1] // (2 * HOP)
        if len(x) > 1 or columns >= whole:
            made: torch.Tensor = self.cnn(x)
            return made
        made = self.cnn(x[:, : columns * 2 * HOP])
        start, alike, rest = made.split([columns - EDGE - 1, 1, EDGE], dim=2)
        return torch.cat([start, alike.expand(-1, -1, whole - columns + 1), rest], dim=2)
