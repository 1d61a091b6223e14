"""Notebook 04."""

from collections.abc import Callable

import numpy as np

from wmlib.checks.exercise import ask, exercise, expect


@exercise(1)
def check_controller_size(size: int) -> None:
    """The numbers of the paper's C for its other game."""
    expect(size == 64 + 512 + 512, f"{size} is not it: one action, and no bias")


@exercise(2)
def check_mean_step(mean_step: Callable) -> None:
    """CMA-ES's step of the mean, against pycma's own weights."""
    from cma.recombination_weights import RecombinationWeights

    rng = np.random.default_rng(0)
    for people in (6, 12, 20):
        mean, y, heights = rng.normal(size=4), rng.normal(size=(people, 4)), rng.normal(size=people)
        weights = np.array(RecombinationWeights(people).positive_weights)
        expected = mean + 0.3 * weights @ y[np.argsort(heights)[: len(weights)]]
        answer = np.asarray(ask(mean_step, mean, 0.3, y, heights))
        expect(answer.shape == (4,), f"the mean has 4 numbers, your answer the shape {answer.shape}")
        right = np.allclose(answer, expected, atol=1e-6)
        expect(right, f"with {people} candidates the mean should be {expected.round(3)}")


@exercise(3)
def check_lead(choice: Callable) -> None:
    """Who leads, and by how much for sure."""
    rng = np.random.default_rng(0)
    for tracks in (10, 40):
        luck = rng.normal(0, 150, tracks)  # of the track, the same for all
        scores = rng.permutation(np.arange(10))[:, None] * 20.0 + luck + rng.normal(0, 20, (10, tracks))
        answer = ask(choice, scores)
        expect(isinstance(answer, tuple) and len(answer) == 2, "return (index, (low, high))")
        order = np.argsort(-scores.mean(1))
        expect(answer[0] == order[0], f"number {order[0]} has the highest mean, you chose {answer[0]}")
        lead = scores[order[0]] - scores[order[1]]
        half = 1.96 * lead.std(ddof=1) / np.sqrt(tracks)
        wanted = (lead.mean() - half, lead.mean() + half)
        right = np.allclose(answer[1], wanted, atol=0.15 * half)
        text = "{:.1f} to {:.1f}"
        expect(right, f"the lead is {text.format(*wanted)}, you say {text.format(*answer[1])}")


@exercise(4)
def check_strategy(strategy: Callable) -> None:
    """A search that must arrive, and keep to its budget."""
    rng = np.random.default_rng(0)
    turned, _ = np.linalg.qr(rng.normal(size=(10, 10)))
    goal, steep = rng.normal(size=10), np.logspace(0, 2, 10)
    asked = 0

    def height(x: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(x)
        return (((np.asarray(x) - goal) @ turned) ** 2 * steep).sum(1)

    best = np.asarray(ask(strategy, height, np.zeros(10), 6000))
    expect(asked <= 6000, f"you asked for {asked} heights, 6000 are allowed")
    expect(best.shape == (10,), f"the answer is one point, (10,), not {best.shape}")
    reached = float(height(best[None])[0])
    expect(reached < 0.01, f"you arrived at a height of {reached:.2g}; below 0.01 is asked for")
