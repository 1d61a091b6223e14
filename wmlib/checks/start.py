"""Notebook 00."""

from collections.abc import Callable

import numpy as np

from wmlib.checks.exercise import ask, exercise, expect


@exercise(1)
def check_compression(ratio: float) -> None:
    """How many numbers of a frame share one number of z."""
    right = abs(ratio - 64 * 64 * 3 / 32) < 1e-6
    expect(right, f"{ratio} is not it: a frame has 64 x 64 pixels of 3 colours, z has 32")


@exercise(2)
def check_action(action: Callable) -> None:
    """The game's action for C's three raw outputs."""
    rng = np.random.default_rng(0)
    for raw in [np.zeros(3), *rng.normal(0, 2, (20, 3))]:
        answer = ask(action, raw)
        steer, gas, brake = np.tanh(raw)
        expected = [steer, (gas + 1) / 2, min(max(brake, 0.0), 1.0)]
        right = np.shape(answer) == (3,) and np.allclose(answer, expected, atol=1e-6)
        expect(right, f"for raw outputs {raw.round(2)} you gave {answer}, not {expected}")


@exercise(3)
def check_interval(interval: Callable) -> None:
    """A 95 % interval of a mean, from the returns alone."""
    rng = np.random.default_rng(1)
    for n in (40, 100, 400):
        returns = rng.normal(800, 120, n)
        answer = ask(interval, returns)
        half = 1.96 * returns.std(ddof=1) / np.sqrt(n)
        expected = (returns.mean() - half, returns.mean() + half)
        # A bootstrap and the normal formula both pass: they agree within a tenth of the width.
        right = np.shape(answer) == (2,) and np.allclose(answer, expected, atol=0.2 * half)
        wanted = tuple(round(float(x), 1) for x in expected)
        expect(right, f"for {n} returns you gave {answer}, expected about {wanted}")
