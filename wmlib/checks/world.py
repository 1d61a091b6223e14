"""Notebook 01."""

from collections.abc import Callable

import numpy as np

from wmlib.checks.exercise import ask, exercise, expect


@exercise(1)
def check_gigabytes(gigabytes: float) -> None:
    """The paper's recordings, had it kept the game's own pictures."""
    expected = 10_000 * 1001 * 96 * 96 * 3 / 1e9
    hint = "mind the size of a picture, its three colours, and the first picture of each game"
    expect(abs(gigabytes - expected) < 0.05, f"{gigabytes} is not it; {hint}")


@exercise(2)
def check_walk(walk: Callable) -> None:
    """The mean-reverting walk, against the sum that it comes to."""
    rng = np.random.default_rng(0)
    for keep in (0.0, 0.5, 0.97):
        noise = rng.normal(size=200)
        echo = np.sqrt(1 - keep**2) * keep ** np.arange(200)  # of one element of noise
        expected = np.convolve(noise, echo)[:200]
        answer = np.asarray(ask(walk, keep, noise))
        expect(answer.shape == expected.shape, f"200 elements of noise gave {answer.shape} states")
        first = np.flatnonzero(~np.isclose(answer, expected, atol=1e-8))
        if len(first):
            n = first[0]
            expect(False, f"k = {keep}: state {n + 1} is {answer[n]:.4f}, should be {expected[n]:.4f}")


@exercise(3)
def check_tiles(tiles: Callable) -> None:
    """Tiles that were touched, from rewards that we made of a known number."""
    rng = np.random.default_rng(0)
    for track in (236, 281, 333):
        touched = rng.choice([0, 0, 0, 1, 1, 2], 300)
        rewards = touched * 1000 / track - 0.1
        answer = ask(tiles, rewards, track)
        expect(answer == touched.sum(), f"{touched.sum()} tiles were touched, you count {answer}")
        answer = ask(tiles, np.append(rewards, -100.0), track)
        expect(answer == touched.sum(), f"with a fall at the end: {touched.sum()} tiles, not {answer}")


@exercise(4)
def check_hold(hold: Callable) -> None:
    """Held actions: their range, how they are spread in it, and how long they last."""
    for mean_length in (4, 10):
        actions = np.asarray(ask(hold, np.random.default_rng(0), 20_000, mean_length))
        expect(actions.shape == (20_000, 3), f"20,000 steps gave an array {actions.shape}")
        low, high = np.array([-1, 0, 0]), np.ones(3)
        within = (actions >= low).all() and (actions <= high).all()
        expect(within, "some action is outside [-1, 1], [0, 1], [0, 1]")
        changes = np.flatnonzero((np.diff(actions, axis=0) != 0).any(1))
        length = 20_000 / (len(changes) + 1)
        right = abs(length / mean_length - 1) < 0.15
        expect(right, f"an action lasts {length:.1f} frames on average, not {mean_length}")
        drawn = (actions[np.append(changes, -1)] - low) / (high - low)
        # Uniform numbers have mean 1/2 and deviation 1/sqrt(12).
        even = np.allclose(drawn.mean(0), 0.5, atol=0.05) and np.allclose(drawn.std(0), 0.289, atol=0.03)
        expect(even, "the actions are not spread evenly over their range")
