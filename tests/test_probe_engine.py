"""Many probes at once give what each gives alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import registry
from bench.pools import Halted
from bench.probing import arms, engine, sequence
from bench.probing.contract import Batch, Capacity
from bench.probing.engine import Outcome, Task
from bench.probing.folds import folds_of
from bench.probing.heads import Models
from bench.probing.inputs import Layout, Source, of_tokens, spelt
from bench.probing.settings import Settings, settings
from tests.probe_data import INFO, items, random_of

SHORT = Settings((0.01, 0.03), 5, 2, 9, 0, 256, 8, None, 3000)


def made(
    task: str, capacity: Capacity, how: Settings, count: int = 40
) -> tuple[Task, list[engine.Job]]:
    """A probe on made-up items, and all of its jobs."""
    probe = registry.plugin("probes", task).load()
    probe.min_seconds = 0.0
    own = items(random_of, count)
    folds = folds_of(own, disjoint=False)
    labels = probe.validate(own, folds[0].train)
    control = probe.control(own, labels, 0)
    layout = Layout.of([item.seconds for item in own])
    ids = [
        spelt([(item.tokens.streams[0], 50.0)], INFO.streams, int(n))
        for item, n in zip(own, layout.counts, strict=True)
    ]
    source = of_tokens(ids, INFO.streams, layout, folds[0].train)
    shape = probe.model(1, capacity, labels)
    pooled = shape.level == "utterance" and capacity == "linear"
    if pooled:
        source, layout = source.pooled(layout), layout.single()
    models = Models(shape, source, pooled, "cpu")
    jobs = arms.jobs(
        folds, capacity, how, [0, 10], tokens=True, random=True, shuffled=not pooled, code=True,
        codes=False, books=1,
    )  # fmt: skip
    return engine.task(probe, [labels, control], layout, models, how, 0), jobs


def trained(task: Task, jobs: list[engine.Job]) -> list[Outcome]:
    """Outcomes of all jobs, those of losing learning rates too."""
    training = engine._Training(task, jobs)
    training.run()
    return training._outcomes(list(range(len(jobs))))


@pytest.mark.parametrize(
    ("task", "capacity"),
    [
        ("speaker", "linear"),
        ("speaker", "network"),
        ("phone", "linear"),
        ("phone", "network"),
        ("asr", "linear"),
        ("rate", "linear"),
    ],
)
def test_a_batch_of_models_gives_what_each_gives_alone(task: str, capacity: Capacity) -> None:
    rates = SHORT.rates if capacity == "linear" else (1e-3, 3e-3)
    how, jobs = made(task, capacity, replace(SHORT, rates=rates))
    jobs = jobs[:: max(1, len(jobs) // 6)]
    together = trained(how, jobs)
    for job, of_batch in zip(jobs, together, strict=True):
        (alone,) = trained(how, [job])
        assert of_batch.validation == pytest.approx(alone.validation, rel=1e-4)
        assert of_batch.nats == pytest.approx(alone.nats, rel=1e-4)
        assert of_batch.steps == alone.steps > 0
        for a, b in zip(of_batch.outputs.output, alone.outputs.output, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    said = [np.concatenate([x.ravel() for x in o.outputs.output]) for o in together]
    assert len({x.tobytes() for x in said}) == len(said), "jobs differ, so what they say does"


def test_a_model_that_stops_changes_no_other() -> None:
    how, jobs = made("speaker", "linear", replace(SHORT, steps=40, patience=1))
    together = trained(how, jobs)
    assert len({o.steps for o in together}) > 1, "some stopped earlier"
    for job, of_batch in list(zip(jobs, together, strict=True))[::7]:
        (alone,) = trained(how, [job])
        assert of_batch.steps == alone.steps
        assert of_batch.validation == pytest.approx(alone.validation, rel=1e-4)


def test_the_learning_rate_is_that_of_the_best_validation_loss() -> None:
    how, jobs = made("speaker", "linear", SHORT)
    everything = trained(how, jobs)
    kept = engine.run(how, jobs)
    assert len(kept) == len(jobs) // 2
    losses: dict[tuple[str, float], list[float]] = {}
    for o in everything:
        losses.setdefault((o.job.arm, o.job.rate), []).append(o.validation)
    for o in kept:
        mean = {rate: np.mean(losses[o.job.arm, rate]) for rate in SHORT.rates}
        assert o.job.rate == min(mean, key=lambda rate: mean[rate])


def test_a_halted_training_ends_at_its_next_step() -> None:
    how, jobs = made("speaker", "linear", SHORT)
    how.halted.set()
    with pytest.raises(Halted):
        engine.run(how, jobs)


def test_the_size_of_a_head_depends_on_no_stream() -> None:
    for task in ("speaker", "phone"):
        how, _ = made(task, "network", SHORT)
        source = how.models.source
        heads = set()
        for streams in (1, 8):
            stream = np.arange(source.rows) % streams
            other = Source(source.rows, stream, streams, source.dense, names=source.names)
            sizes = Models(how.models.shape, other, False, "cpu").sizes()
            heads.add(
                sum(int(np.prod(s)) for n, s in sizes.items() if n not in ("table", "streams"))
            )
        assert len(heads) == 1
        assert 0.7e6 < heads.pop() < 1.1e6


def test_ctc_equals_that_of_each_segment_alone() -> None:
    import torch
    import torch.nn.functional as F

    torch.manual_seed(0)
    output = torch.randn(2, 48, 5)
    starts, counts = torch.tensor([[0, 24], [0, 16]]), torch.tensor([[20, 22], [9, 0]])
    sequences = torch.tensor([[[1, 2, 2], [3, 0, 0]], [[4, 1, 0], [0, 0, 0]]])
    lengths = torch.tensor([[3, 1], [2, 0]])
    present = torch.tensor([[True, True], [True, False]])
    nothing = torch.zeros(2, 2, 0)
    batch = Batch(nothing, starts, sequences, lengths, starts, counts, present)
    found = sequence.ctc_loss(output, batch)
    for m, s in ((0, 0), (0, 1), (1, 0)):
        first, steps = int(starts[m, s]), int(counts[m, s]) // 2
        own = output[m, first : first + 2 * steps].reshape(steps, 2, 5).mean(1).log_softmax(-1)
        wanted = sequences[m, s, : int(lengths[m, s])]
        alone = F.ctc_loss(own, wanted, [steps], [len(wanted)], reduction="sum")
        assert float(found[m, s]) == pytest.approx(float(alone), rel=1e-5)
    assert float(found[1, 1]) == 0.0


def test_greedy_drops_repetitions_and_blanks() -> None:
    best = [0, 2, 2, 0, 2, 1, 1, 0]
    output = np.repeat(np.eye(3, dtype=np.float32)[best], sequence.STEP, axis=0)
    assert sequence.greedy(output) == [1, 1, 0]
    assert sequence.greedy(np.zeros((1, 3), np.float32)) == []


def test_ctc_needs_a_step_between_equal_labels() -> None:
    assert sequence.fits([1, 2, 3], 6)
    assert not sequence.fits([1, 2, 2], 6)
    assert sequence.fits([1, 2, 2], 8)


@pytest.mark.benchmark
def test_speed_of_a_batch_against_one_after_another(benchmark) -> None:  # type: ignore[no-untyped-def]
    """The same jobs of a linear speaker probe, at its real settings for 24 steps: the ratio is in
    `extra_info`, wanted: 4 or more."""
    import time

    import torch

    torch.set_num_threads(1)
    how, jobs = made("speaker", "linear", replace(settings("utterance", "linear"), steps=24), 120)
    trained(how, jobs[:1])
    start = time.process_time()
    for job in jobs:
        trained(how, [job])
    alone = time.process_time() - start
    start = time.process_time()
    benchmark.pedantic(trained, (how, jobs), rounds=1)
    together = time.process_time() - start
    benchmark.extra_info["models"] = len(jobs)
    benchmark.extra_info["ratio"] = round(alone / together, 1)
    print(f"{len(jobs)} models: {alone:.2f} s one after another, {together:.2f} s together")
