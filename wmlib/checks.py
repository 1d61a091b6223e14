"""Checkers for the exercises: each takes your answer and compares it with an oracle.

An answer of None, or a function that raises NotImplementedError, is "not attempted": that is said, and
is no error, unless WMLIB_STRICT_CHECKS is set, as it is for the solutions.
"""

import os
from collections.abc import Callable

import numpy as np

NOT_ATTEMPTED = object()


def _report(name: str, verdict: str | None) -> None:
    """verdict: None when right, else what is wrong."""
    if verdict is not None:
        raise AssertionError(f"{name}: {verdict}")
    print(f"{name}: right ✓")


def _skip(name: str) -> None:
    if os.environ.get("WMLIB_STRICT_CHECKS"):
        raise AssertionError(f"{name}: not attempted")
    print(f"{name}: not attempted yet")


def _call(function: Callable | None, *args):
    if function is None:
        return NOT_ATTEMPTED
    try:
        result = function(*args)
    except NotImplementedError:
        return NOT_ATTEMPTED
    return NOT_ATTEMPTED if result is None else result


def check_compression(ratio: float | None) -> None:
    """Notebook 00: how many numbers of a frame share one number of z."""
    name = "exercise 1"
    if ratio is None:
        return _skip(name)
    expected = 64 * 64 * 3 / 32
    if abs(ratio - expected) > 1e-6:
        return _report(name, f"{ratio} is not it: a frame has 64 x 64 pixels of 3 colours, z has 32")
    return _report(name, None)


def check_action(action: Callable | None) -> None:
    """Notebook 00: the game's action for C's three raw outputs."""
    name = "exercise 2"
    rng = np.random.default_rng(0)
    for raw in [np.zeros(3), *rng.normal(0, 2, (20, 3))]:
        answer = _call(action, raw)
        if answer is NOT_ATTEMPTED:
            return _skip(name)
        steer, gas, brake = np.tanh(raw)
        expected = [steer, (gas + 1) / 2, min(max(brake, 0.0), 1.0)]
        if np.shape(answer) != (3,) or not np.allclose(answer, expected, atol=1e-6):
            return _report(name, f"for raw outputs {raw.round(2)} you gave {answer}, not {expected}")
    return _report(name, None)


def check_interval(interval: Callable | None) -> None:
    """Notebook 00: a 95 % interval of a mean, from the returns alone."""
    name = "exercise 3"
    rng = np.random.default_rng(1)
    for n in (40, 100, 400):
        returns = rng.normal(800, 120, n)
        answer = _call(interval, returns)
        if answer is NOT_ATTEMPTED:
            return _skip(name)
        half = 1.96 * returns.std(ddof=1) / np.sqrt(n)
        expected = (returns.mean() - half, returns.mean() + half)
        # A bootstrap and the normal formula both pass: they agree within a tenth of the width.
        if np.shape(answer) != (2,) or not np.allclose(answer, expected, atol=0.2 * half):
            wanted = tuple(round(float(x), 1) for x in expected)
            return _report(name, f"for {n} returns you gave {answer}, expected about {wanted}")
    return _report(name, None)
