"""The loss of CTC and its gradient against torch's own, and where logarithms are extreme."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.probing.ctc import nats_of


def segments(seed: int, scale: float) -> tuple[Tensor, list[Tensor]]:
    """Random scores [N, C], and first, counts, targets and lengths of a few segments."""
    g = torch.Generator().manual_seed(seed)
    number, classes, steps = 6, 9, 24
    scores = torch.randn(number * steps, classes, generator=g, dtype=torch.float64) * scale
    lengths = torch.randint(1, 12, (number,), generator=g)
    counts = torch.randint(12, steps + 1, (number,), generator=g)  # some labels may not fit
    targets = torch.randint(1, 4, (number, 12), generator=g)  # few, so that some repeat
    return scores, [torch.arange(number) * steps, counts, targets, lengths]


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.1, 1.0, 10.0, 200.0, 2000.0]))
@settings(max_examples=60, deadline=None)
def test_loss_and_gradient_are_torchs(seed: int, scale: float) -> None:
    scores, how = segments(seed, scale)
    scores.requires_grad_()
    logs = scores.log_softmax(-1)
    first, counts, targets, lengths = how
    found = nats_of(logs, *(x.numpy() for x in how))
    number = len(first)
    alone = F.ctc_loss(
        logs.reshape(number, -1, logs.shape[-1]).transpose(0, 1),
        targets, counts, lengths, reduction="none",
    )  # fmt: skip
    assert torch.equal(found.isfinite(), alone.isfinite())
    fits = found.isfinite()
    torch.testing.assert_close(found[fits], alone[fits], rtol=1e-9, atol=1e-9)
    weight = torch.arange(1.0, number + 1, dtype=torch.float64)
    (mine,) = torch.autograd.grad((found * weight)[fits].sum(), scores, retain_graph=True)
    (torchs,) = torch.autograd.grad((alone * weight)[fits].sum(), scores)
    spans = [range(int(a), int(a + c)) for a, c in zip(first[fits], counts[fits], strict=True)]
    rows = [row for span in spans for row in span]
    torch.testing.assert_close(mine[rows], torchs[rows], rtol=0, atol=2e-6)


def test_the_sum_over_all_alignments() -> None:
    """By hand: every way to write "aab" in five steps."""
    logs = torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    whole = 0.0
    for path in product(range(3), repeat=5):
        kept = [c for n, c in enumerate(path) if c and (n == 0 or c != path[n - 1])]
        if kept == [1, 1, 2]:
            whole += float(logs.exp()[range(5), path].prod())
    found = nats_of(logs, np.array([0]), np.array([5]), np.array([[1, 1, 2]]), np.array([3]))
    assert float(found) == pytest.approx(-np.log(whole), rel=1e-6)


def test_what_no_double_can_hold() -> None:
    """300 labels of e^-200 each: e^-60000, and a way there that is all but impossible at first."""
    steps, labels = 600, 300
    logs = torch.full((steps, 3), -200.0, dtype=torch.float64)
    logs[:, 0] = 0.0  # blank
    targets = np.tile([1, 2], labels // 2)[None]
    logs.requires_grad_()
    found = nats_of(logs, np.array([0]), np.array([steps]), targets, np.array([labels]))
    # Each label once, all the ways to place them: Σ over places = C(600, 300) (all differ).
    from math import lgamma

    ways = lgamma(601) - 2 * lgamma(301)
    assert found.item() == pytest.approx(200.0 * labels - ways, rel=1e-9)
    (grad,) = torch.autograd.grad(found.sum(), logs)
    assert float(-grad.sum()) == pytest.approx(steps, rel=1e-5)  # one symbol a step
    assert float(-grad[:, 1:].sum()) == pytest.approx(labels, rel=1e-5)


def test_labels_that_do_not_fit_and_chances_of_nothing() -> None:
    logs = torch.zeros(4, 3).log_softmax(-1)
    found = nats_of(
        logs, np.array([0, 2, 4]), np.array([2, 2, 0]),
        np.array([[1, 1], [1, 2], [1, 0]]), np.array([2, 2, 1]),
    )  # fmt: skip
    assert found.isfinite().tolist() == [False, True, False]
    never = torch.full((2, 2), -torch.inf)
    found = nats_of(never, np.array([0]), np.array([2]), np.array([[1]]), np.array([1]))
    assert found.tolist() == [torch.inf]


@pytest.mark.benchmark
def test_speed_against_torchs(benchmark) -> None:  # type: ignore[no-untyped-def]
    """Loss and gradient of 120 segments of six seconds, a processor each: the ratio is in
    `extra_info`."""
    import time

    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(0)
    number, steps, classes, labels = 120, 150, 30, 70
    scores = torch.randn(number * steps, classes, generator=g)
    logs = scores.log_softmax(-1).requires_grad_()
    targets = torch.randint(1, classes, (number, labels), generator=g)
    lengths = torch.randint(20, labels + 1, (number,), generator=g)
    counts = torch.full((number,), steps)
    how = [x.numpy() for x in (torch.arange(number) * steps, counts, targets, lengths)]

    def ours() -> None:
        torch.autograd.grad(nats_of(logs, *how).sum(), logs)

    def torchs() -> None:
        padded = logs.reshape(number, steps, classes).transpose(0, 1)
        found = F.ctc_loss(padded, targets, counts, lengths, reduction="none")
        torch.autograd.grad(found.sum(), logs)

    ours(), torchs()
    start = time.process_time()
    for _ in range(5):
        torchs()
    alone = (time.process_time() - start) / 5
    benchmark.pedantic(ours, rounds=5)
    ratio = round(alone / benchmark.stats.stats.mean, 1)
    benchmark.extra_info["ratio"] = ratio
    print(f"torch's takes {ratio} times as long")
