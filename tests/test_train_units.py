"""`bench train kmeans` and `bench train bpe`: known answers, seeds, interruptions, mistakes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bench.errors import ItemFailure, UserError
from bench.kmeans import load_kmeans, nearest
from bench.train import frames as extraction
from bench.train.arguments import add_train
from bench.train.clustering import Settings, fit, settled, sklearn_pass, torch_pass
from bench.unit_bpe import load_bpe
from tests.conftest import ROOT, speech, write_suite

torch = pytest.importorskip("torch")
BLOBS, SPREAD = 12, 0.05


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """(frames [N, 5], centres [12, 5]): clusters of different sizes, far apart."""
    random = np.random.default_rng(4)
    centres = random.normal(size=(BLOBS, 5)) * 4
    sizes = np.geomspace(150, 900, BLOBS).astype(int)
    points = [c + SPREAD * random.normal(size=(n, 5)) for c, n in zip(centres, sizes, strict=True)]
    return random.permutation(np.concatenate(points)).astype(np.float32), centres


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches a pass though the corpora here are small."""
    monkeypatch.setattr("bench.train.clustering.BATCH", 1000)


@pytest.mark.parametrize("run", [sklearn_pass, torch_pass])
def test_known_clusters_are_found(
    run: Any, blobs: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.train.clustering.sklearn_pass", run)
    points, centres = blobs
    made = fit(points, Settings(BLOBS, passes=8), tmp_path, "cpu", quiet=True)
    found, distances = nearest(centres.astype(np.float32), made.centroids)
    assert sorted(found) == list(range(BLOBS))
    assert np.sqrt(distances.max()) < SPREAD
    assert made.inertia[-1] == pytest.approx(5 * SPREAD**2, rel=0.05)
    assert made.counts.sum() == len(points) and made.counts.min() >= 150


def test_scikit_learn_and_torch_take_the_same_steps(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    """Each centroid has a cluster of its own: no rounding decides where a frame falls."""
    points, centres = blobs
    start, weights = (centres + 0.3).astype(np.float32), np.linspace(0.1, 9, BLOBS)
    weights = weights.astype(np.float32)
    parts = np.array_split(points, 5)
    one = sklearn_pass(start, weights, iter(parts), "cpu")
    other = torch_pass(start, weights, iter(parts), "cpu")
    np.testing.assert_allclose(one, other, atol=1e-4)
    assert np.abs(one - start).max() > 0.01


def test_a_pass_is_the_running_mean() -> None:
    """By hand: centroids 0 and 10 of weight 1; frames 2 and 1 fall to the first, 16 to the last."""
    start = np.array([[0.0], [10.0]], dtype=np.float32)
    parts = [np.array([[2.0], [16.0]], dtype=np.float32), np.array([[1.5], [13.0]], np.float32)]
    for run in (sklearn_pass, torch_pass):
        moved = run(start, np.ones(2, np.float32), iter(parts), "cpu")
        np.testing.assert_allclose(moved, [[3.5 / 3], [39 / 3]], rtol=1e-6)


def test_the_seed_decides(blobs: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    made = [
        fit(blobs[0], Settings(30, 3, seed), tmp_path / str(n), "cpu", quiet=True).centroids
        for n, seed in enumerate((5, 5, 6))
        if (tmp_path / str(n)).mkdir() is None
    ]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_more_passes_are_no_worse(blobs: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    made = fit(blobs[0], Settings(40, 10), tmp_path, "cpu", quiet=True)
    assert made.inertia[-1] < made.inertia[0]
    assert len(made.inertia) == 10


def test_unused_centroids_become_far_frames(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    points, _ = blobs
    far = np.full((8, 5), 1e4, dtype=np.float32)
    centroids, counts, _ = settled(points, np.concatenate([points[:1], far]), "cpu", 50)
    assert counts.min() > 0 and np.abs(centroids).max() < 100
    np.testing.assert_array_equal(counts, np.bincount(nearest(points, centroids)[0], minlength=9))


@pytest.mark.parametrize(
    ("points", "k", "sentence"),
    [
        (np.random.default_rng(0).normal(size=(9, 2)), 10, "--k 10 is more than the 9 frames"),
        (np.repeat(np.eye(4), 9, axis=0), 6, "fewer different values"),
        (np.eye(4), 1, "choose 2 or more"),
    ],
)
def test_centroids_that_cannot_be(
    points: np.ndarray, k: int, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        fit(points.astype(np.float32), Settings(k, 2), tmp_path, "cpu", quiet=True)


def test_a_state_of_other_settings_or_damaged(
    blobs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    fit(blobs[0], Settings(5, 1), tmp_path, "cpu", quiet=True)
    with pytest.raises(UserError, match="a run of other speech, encoder, k or seed"):
        fit(blobs[0], Settings(6, 1), tmp_path, "cpu", quiet=True)
    (tmp_path / "state.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="is damaged"):
        fit(blobs[0], Settings(5, 1), tmp_path, "cpu", quiet=True)


# ----------------------------------------------------------------------- frames and interruptions
class Fake:
    """An encoder whose frames are the samples, two in each; it cannot take short recordings."""

    name, model, layer, dimension, hop = "fake", "fake", None, 2, 2
    weights = revision = "1"
    batching = "any"

    def __init__(self, stop: int | None = None) -> None:
        self.stop, self.seen = stop, 0

    def frames(self, audio: Sequence[np.ndarray]) -> list[np.ndarray]:
        if any(len(a) < 10 for a in audio):
            raise ItemFailure("too short")
        self.seen += len(audio)
        if self.stop is not None and self.seen > self.stop:
            os.kill(os.getpid(), signal.SIGKILL)
        return [a[: len(a) // 2 * 2].reshape(-1, 2) for a in audio]


def recordings(folder: Path, count: int = 40) -> list[dict[str, Any]]:
    """Rows of `count` files of noise; the fifth is too short."""
    rows = []
    for n in range(count):
        sound = np.random.default_rng(n).uniform(-0.9, 0.9, 4 if n == 5 else 1000 + 2 * n)
        path = folder / f"{n}.wav"
        if not path.is_file():
            soundfile.write(path, sound, 16_000)
        rows.append({"utterance": str(n), "path": path, "seconds": len(sound) / 16_000,
                     "speaker": "", "language": "", "corpus": ""})  # fmt: skip
    return rows


def extract(folder: Path, rows: list[dict[str, Any]], encoder: Any, most: int = 10**6) -> Any:
    folder.mkdir(exist_ok=True)
    return extraction.extract(
        encoder, rows, folder, most=most, seed=3, settings={"e": "fake"}, quiet=True
    )


def test_frames_of_all_recordings_lie_in_order_in_one_file(tmp_path: Path) -> None:
    rows = recordings(tmp_path)
    found = extract(tmp_path / "run", rows, Fake())
    wanted = [soundfile.read(r["path"], dtype="float32")[0] for r in rows]
    np.testing.assert_allclose(found.reshape(-1), np.concatenate([*wanted[:5], *wanted[6:]]))
    assert isinstance(found, np.memmap)
    extraction.remove(tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_of_much_speech_a_seeded_sample_is_kept(tmp_path: Path) -> None:
    rows = recordings(tmp_path)
    whole = extract(tmp_path / "whole", rows, Fake())
    some, again = (extract(tmp_path / name, rows, Fake(), len(whole) // 4) for name in "ab")
    np.testing.assert_array_equal(some, again)
    assert len(some) == pytest.approx(len(whole) / 4, rel=0.1)
    assert {tuple(f) for f in some} < {tuple(f) for f in whole}


KILLED = """
import sys
from pathlib import Path
import tests.test_train_units as t
t.killed(Path(sys.argv[1]))
"""


def killed(folder: Path) -> None:
    """Runs in a process of its own: dies in the middle of the frames, then after two passes."""
    import bench.train.clustering as clustering

    rows = recordings(folder)
    run = folder / "run"
    if not run.is_dir():
        extract(run, rows, Fake(stop=20))
    saved, save = [], clustering._save

    def dying(*given: Any) -> None:
        save(*given)
        saved.append(given)
        if len(saved) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    clustering._save, clustering.BATCH = dying, 1000
    fit(extract(run, rows, Fake()), Settings(7, 5), run, "cpu", quiet=True)


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    for state in ("frames.json", "state.safetensors"):
        done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
        assert done.returncode == -signal.SIGKILL
        assert (tmp_path / "run" / state).is_file()
    rows, encoder = recordings(tmp_path), Fake()
    resumed = extract(tmp_path / "run", rows, encoder)
    assert encoder.seen == 0  # nothing was left to extract
    once = extract(tmp_path / "once", rows, Fake())
    np.testing.assert_array_equal(resumed, once)
    one, other = (
        fit(once, Settings(7, 5), tmp_path / name, "cpu", quiet=True) for name in ("run", "once")
    )
    np.testing.assert_array_equal(one.centroids, other.centroids)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.inertia == other.inertia and len(one.inertia) == 5


def test_frames_of_other_settings_begin_anew(tmp_path: Path) -> None:
    rows = recordings(tmp_path, 8)
    extract(tmp_path / "run", rows, Fake())
    encoder = Fake()
    assert len(extract(tmp_path / "run", rows[:3], encoder)) == 500 + 501 + 502
    assert encoder.seen == 3


# ------------------------------------------------------------------------------------ the commands
def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_train(parser.add_subparsers(dest="command"))
    return parser.parse_args(["train", *given, "--device", "cpu", "--threads", "1"])


def run(*given: str) -> int:
    from bench.train.commands import train

    return train(arguments(*given))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three real utterances with a manifest."""
    folder = write_suite(tmp_path_factory.mktemp("corpus"), speech(3)).parent
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "units"
    assert run("kmeans", "--k", "12", "--passes", "3", "--data", str(corpus), "--out",
               str(folder / "kmeans")) == 0  # fmt: skip
    for merges, name in ((2, "bpe-2"), (4, "bpe-4"), (4, "bpe-4-frames")):
        every = ["--every-frame"] if name.endswith("frames") else []
        assert run("bpe", "--kmeans", str(folder / "kmeans"), "--merges", str(merges), *every,
                   "--data", str(corpus), "--out", str(folder / name)) == 0  # fmt: skip
    return folder


def test_what_the_commands_write(trained: Path) -> None:
    kmeans = load_kmeans(trained / "kmeans")
    assert kmeans.centroids.shape == (12, 288) and kmeans.config["k"] == 12
    assert kmeans.config["rate"] == pytest.approx(125 / 3)
    card = (trained / "kmeans" / "CARD.md").read_text()
    assert "k = 12" in card and "| – | en |" in card and "All 12 are used" in card
    assert len((trained / "kmeans" / "data.csv").read_text().splitlines()) == 4
    assert not (trained / "kmeans" / "frames.f32").exists()
    for name, dedup in (("bpe-4", True), ("bpe-4-frames", False)):
        bpe = load_bpe(trained / name)
        assert bpe.config == {"k": 12, "merges": 4, "dedup": dedup, "kmeans": kmeans.revision}
        assert "4 merges" in (trained / name / "CARD.md").read_text()
        assert json.loads((trained / name / "config.json").read_text())["kind"] == "unit-bpe"


def test_fewer_merges_are_the_first_of_more(trained: Path) -> None:
    few, many = load_bpe(trained / "bpe-2"), load_bpe(trained / "bpe-4")
    for token in range(few.vocabulary):
        one = np.array([token])
        np.testing.assert_array_equal(few.decode(one), many.decode(one))


def test_the_same_command_on_a_finished_run_changes_nothing(trained: Path, corpus: Path) -> None:
    before = (trained / "kmeans" / "model.safetensors").read_bytes()
    run("kmeans", "--k", "12", "--passes", "3", "--data", str(corpus), "--out",
        str(trained / "kmeans"))  # fmt: skip
    assert (trained / "kmeans" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["kmeans", "--k", "100000"], "--k 100000 is more than the"),
        (["kmeans", "--passes", "0"], "--passes"),
        (["kmeans", "--layer", "7"], "layer=7 is not possible with encoder=moonshine"),
        (["kmeans", "--encoder", "hubert", "--model", "/no/where/x"], "does not exist"),
        (["bpe", "--kmeans", "x", "--merges", "0"], "--merges 0 is not possible"),
        (["bpe", "--kmeans", "/no/where"], r"/no/where is no kmeans checkpoint"),
    ],
)
def test_mistakes(given: list[str], sentence: str, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        run(*given, "--data", str(corpus), "--out", str(tmp_path / "out"))
